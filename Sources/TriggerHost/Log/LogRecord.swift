import TriggerCore

/// One decided seq, as the log keeps it. Records are enough to rebuild the state, and to run each operation again.
///
/// A record is encoded as one CBOR array (`LogCoding`). A log is a sequence of records (RFC 8742).
public struct LogRecord: Sendable, Hashable {
  /// One prepared change.
  public struct Intent: Sendable, Hashable {
    /// What it does; stores are known by their names.
    public var action: CommitAction<String>
    /// The key in UTF-8; for `emit`, the event's name; for `send` and `broadcast`, the session or the topic.
    public var key: [UInt8]
    /// The value, operand, payload or message in canonical encoding; empty for `delete`.
    public var value: [UInt8]

    package init(action: CommitAction<String>, key: [UInt8], value: [UInt8]) {
      (self.action, self.key, self.value) = (action, key, value)
    }

    /// What scripts call it: `put`, `emit` and the like.
    public var kind: String { action.description }
    /// The store's name; empty when it changes none.
    public var store: String { action.store ?? "" }
  }

  /// An event that the commit admitted: an `emit`, or the event for triggers that are bound to `commit`.
  public struct Emission: Sendable, Hashable {
    /// `event` or `commit`.
    public var kind: EventKind
    /// The event's name.
    public var name: String
    /// The content of the event, in canonical encoding.
    public var payload: [UInt8]
    /// The names of the triggers for which the event made operations, in order.
    public var triggers: [String]
  }

  /// The commit that emitted an operation's event.
  public struct Cause: Sendable, Hashable {
    /// The seq of the commit.
    public var seq: Int64
    /// The place of the event in the commit's emissions, counted from 0.
    public var index: Int

    package init(seq: Int64, index: Int) { (self.seq, self.index) = (seq, index) }
  }

  /// An event from outside.
  public struct Outside: Sendable, Hashable {
    /// The id in acknowledgements.
    public var id: EventID
    /// The key by which its source knows the event.
    public var key: EventKey?
    /// The names of all triggers for which the event made operations; empty when the record's trigger is the only one.
    public var triggers: [String]
    /// The priority that the event came with; nil: the priority that each trigger declares.
    public var priority: Priority?
  }

  /// Who sent an event with a key. When a failed operation of the event is tried again, the sender can ask for the
  /// later result.
  public struct Sender: Sendable, Hashable {
    /// The event's id.
    public var event: EventID
    /// The scope that says whose key it is.
    public var scope: String
    /// The key that the sender chose.
    public var key: String

    package var place: SenderKey { SenderKey(scope: scope, key: key) }
  }

  /// Where an absorbed operation came from.
  public enum Absorbed: Sendable, Hashable {
    /// An event from outside.
    case event(Outside)
    /// An event that a commit emitted.
    case commit(Cause)
    /// The retry of a failed seq. `sender` is set when the event of that seq had a key.
    case retry(of: Int64, sender: Sender?)
  }

  /// The seq, counted from 1. No seq is left out.
  public var seq: Int64
  /// The first seq of the operation. `ctx.seq` shows it, and the seed of `math.random` is made from it.
  public var identity: Int64
  /// How the seq ended.
  public var outcome: Outcome
  /// The trigger's name.
  public var trigger: String
  /// The kind of the event.
  public var kind: EventKind
  /// The event's name.
  public var event: String
  /// The content of the event, in canonical encoding.
  public var payload: [UInt8]
  /// The operation's priority.
  public var priority: Priority
  /// When the event was admitted, in nanoseconds since 1970.
  public var admitted: Int64
  /// The source of the event. Events of one source keep their order.
  public var source: UInt64
  /// The number of commits between the event from outside and this operation.
  public var hops: Int
  /// The script tree that the operation used; 0: none.
  public var tree: Int
  /// The commit that emitted the event; nil for an event from outside.
  public var cause: Cause?
  /// The number of executions that the operation took.
  public var attempts: Int
  /// The intents that were applied, in list order; empty unless committed.
  public var intents: [Intent]
  /// The events that the commit admitted.
  public var emissions: [Emission]
  /// True when the engine ended the execution, for example because its time was used up or the host stopped. How far it
  /// had come then is not repeatable.
  public var isKilled: Bool
  /// The message and traceback of a failed operation, or why an operation was dropped.
  public var error: String?
  /// The code of the failure; nil when there is none, or when an older version wrote the record.
  public var code: FailureCode?
  /// The reads of the deciding attempt, one line each; empty unless the log asks for reads.
  public var reads: [String]
  /// The event from outside, when it has an id or a key, is kept, or made several operations.
  public var outside: Outside?
  /// The origins of the operations that this operation superseded before they had a seq.
  public var absorbed: [Absorbed] = []
  /// The failed seq that this operation tries again; nil for a first try.
  public var retryOf: Int64?
  /// The number of tries before this one, since the event came or was put back (`dead requeue`).
  public var tries = 0
  /// Who sent the event of the failed seq, when it had a key.
  public var sender: Sender?
  /// When the failed operation is tried again, in nanoseconds since 1970; nil: never.
  public var retryAt: Int64?
  /// The pause from the failure to `retryAt`, in nanoseconds; 0 when an older version wrote the record.
  public var retryPause: Int64 = 0
  /// In few records: the digests, as of this seq, of the stores that changed since the last record with digests. In
  /// byte order of the stores' names.
  public var digests: [StateDigests.Store] = []

  package var failure: Failure? { error.map { Failure(code ?? .error, $0) } }

  /// True when the operation had failed for good and somebody has put it back.
  public var isRequeued: Bool { retryOf != nil && tries == 0 }

  /// The sender of the event who can ask for the operation's result; nil when the event had no key.
  package var senderOfEvent: Sender? { sender ?? outside?.sender }
}

extension LogRecord.Outside {
  /// The sender of the event; nil when the event has no key that a sender chose.
  public var sender: LogRecord.Sender? { key?.sender(of: id) }
}

extension EventKey {
  package func sender(of event: EventID) -> LogRecord.Sender? {
    guard case .client(let scope, let key, _) = self else { return nil }
    return LogRecord.Sender(event: event, scope: scope, key: key)
  }
}
