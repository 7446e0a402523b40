import TriggerCore

/// One decided seq as the log keeps it: enough to rebuild the state, and to run the operation again.
///
/// Encoded as one CBOR array (`LogCoding`); a log is a sequence of them (RFC 8742).
public struct LogRecord: Sendable, Hashable {
  /// One prepared change.
  public struct Intent: Sendable, Hashable {
    /// What it does; stores are known by their names.
    public var action: CommitAction<String>
    /// Key, or the event's name for `emit`.
    public var key: [UInt8]
    /// Canonical encoding of the value, operand or payload; empty for `delete`.
    public var value: [UInt8]

    package init(action: CommitAction<String>, key: [UInt8], value: [UInt8]) {
      (self.action, self.key, self.value) = (action, key, value)
    }

    /// What scripts call it: `put`, `emit` and the like.
    public var kind: String { action.description }
    /// The store's name; empty when it changes none.
    public var store: String { action.store ?? "" }
  }

  /// An event that the commit admitted: an `emit`, or what triggers bound to `commit` get.
  public struct Emission: Sendable, Hashable {
    /// `event` or `commit`.
    public var kind: EventKind
    /// The event's name.
    public var name: String
    /// Canonical encoding of the event.
    public var payload: [UInt8]
    /// Triggers it made operations for, in that order.
    public var triggers: [String]
  }

  /// The commit that admitted an operation, and which of its events.
  public struct Cause: Sendable, Hashable {
    /// Seq of the commit.
    public var seq: Int64
    /// Place in its emissions, from 0.
    public var index: Int

    package init(seq: Int64, index: Int) { (self.seq, self.index) = (seq, index) }
  }

  /// An event from outside.
  public struct Outside: Sendable, Hashable {
    /// Its name in acknowledgements.
    public var id: EventID
    /// What its source knows it by.
    public var key: EventKey?
    /// All triggers it made operations for; empty when the record's is the only one.
    public var triggers: [String]
    /// What the event brought; nil: what each trigger declares.
    public var priority: Priority?
  }

  /// Who sent an event with a key: what comes of a failed operation of it later is the sender's to know.
  public struct Sender: Sendable, Hashable {
    /// The event's id.
    public var event: EventID
    /// Whose key it is.
    public var scope: String
    /// The key.
    public var key: String

    package var place: SenderKey { SenderKey(scope: scope, key: key) }
  }

  /// Where an absorbed operation came from.
  public enum Absorbed: Sendable, Hashable {
    /// From outside.
    case event(Outside)
    /// A commit emitted its event.
    case commit(Cause)
    /// It was to try a failed seq again; the sender when that seq's event had a key.
    case retry(of: Int64, sender: Sender?)
  }

  /// The seq, from 1, dense.
  public var seq: Int64
  /// First seq of the operation: what `ctx.seq` shows and the random seed is made from.
  public var identity: Int64
  /// How the seq ended.
  public var outcome: Outcome
  /// The trigger's name.
  public var trigger: String
  /// What kind of event it was.
  public var kind: EventKind
  /// The event's name.
  public var event: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  /// The operation's priority.
  public var priority: Priority
  /// Admission time, nanoseconds since 1970.
  public var admitted: Int64
  /// Where the event came from; events of one source keep their order.
  public var source: UInt64
  /// Commits between the outside event and this operation.
  public var hops: Int
  /// The script tree that the operation used; 0: none.
  public var tree: Int
  /// What emitted its event; nil for one from outside.
  public var cause: Cause?
  /// Executions it took.
  public var attempts: Int
  /// What was applied, in list order; empty unless committed.
  public var intents: [Intent]
  /// What the commit admitted.
  public var emissions: [Emission]
  /// It was ended for its time, or with the host: how far it came then is not repeatable.
  public var isKilled: Bool
  /// Message and traceback when it failed, the reason when it was dropped.
  public var error: String?
  /// The word for that; nil where an older version wrote the record.
  public var code: FailureCode?
  /// What the deciding attempt read, one line each; empty unless the log asks for reads.
  public var reads: [String]
  /// The event from outside, when it has a name there: an id, a key, or several operations.
  public var outside: Outside?
  /// Operations whose place this one took before they had a seq, by where they came from.
  public var absorbed: [Absorbed] = []
  /// The failed seq that this operation tries again; nil for a first try.
  public var retryOf: Int64?
  /// Tries before this one, since the event came or was put back (`dead requeue`).
  public var tries = 0
  /// Who sent the event of the failed seq, when it had a key.
  public var sender: Sender?
  /// When a failed operation is tried again, nanoseconds since 1970; nil: never.
  public var retryAt: Int64?
  /// How long after its failure that is, in nanoseconds; 0 where an older version wrote the record.
  public var retryPause: Int64 = 0
  /// Every now and then, of those stores that changed since it was last said: what they hold right after this seq, in
  /// byte order of their names.
  public var digests: [StateDigests.Store] = []

  package var failure: Failure? { error.map { Failure(code ?? .error, $0) } }

  /// Somebody has put back what had failed for good.
  public var isRequeued: Bool { retryOf != nil && tries == 0 }

  /// Who is to know what comes of it.
  package var senderOfEvent: Sender? { sender ?? outside?.sender }
}

extension LogRecord.Outside {
  /// Who sent the event, when it has a key.
  public var sender: LogRecord.Sender? { key?.sender(of: id) }
}

extension EventKey {
  package func sender(of event: EventID) -> LogRecord.Sender? {
    guard case .client(let scope, let key, _) = self else { return nil }
    return LogRecord.Sender(event: event, scope: scope, key: key)
  }
}
