import TriggerCore

/// What reacts to an event: the Swift form of a trigger. (The other form is a Lua script.)
///
/// `execute` runs on the cooperative pool with `ExecutionContext.current` set; it reads stores at the
/// context's snapshot and returns intents. It may run more than once for one operation: an attempt whose
/// reads have changed is thrown away and made anew under the same seq, so it must have no effects of its
/// own. An error ends the operation as `failed` with nothing applied.
public protocol Trigger: Sendable {
  /// Unique among the triggers in force. Default: the type's name.
  var name: String { get }
  /// Priority, bindings and limits. Default: `TriggerOptions()`.
  var options: TriggerOptions { get }
  /// The intents of one attempt, applied in list order, all or none; an empty list commits nothing.
  func execute() async throws -> [CommitIntent]
}

extension Trigger {
  /// The name of the type, without its module.
  public var name: String { String(describing: type(of: self)) }
  /// Priority `normal`, bound to nothing.
  public var options: TriggerOptions { TriggerOptions() }
}

/// One prepared change. Preparing changes nothing; returning it from `execute` does, when the seq commits.
public struct CommitIntent: Sendable {
  /// Stores are known by their names.
  package var action: CommitAction<String>
  /// Key of the store, the event's name, or the session or topic of a message.
  package var key: String
  package var value: [UInt8]

  /// Admits an event when the commit is applied, exactly once, past the queue's bound. The operation fails when one
  /// commit emits more than `maximumEmits` (`emits`), or beyond `maximumHops` (`loop`) or `maximumOffspring`
  /// (`offspring`) from one cause.
  public static func emit(_ name: String, _ payload: Value = .map([:])) -> CommitIntent {
    CommitIntent(action: .emit, key: name, value: CanonicalEncoding.encode(payload))
  }

  /// Sends a message to a session once the commit is durable, exactly once in the session's order. A message to a session
  /// that is over, or never was, is dropped.
  ///
  /// - Parameters:
  ///   - session: its id, as events of the session have it in the field `session`.
  ///   - message: the host adds the field `token`; a `type` does not begin with `$`. Else the operation fails.
  public static func send(_ session: String, _ message: Value.Map) -> CommitIntent {
    CommitIntent(action: .effect(.send), key: session, value: CanonicalEncoding.encode(.map(message)))
  }

  /// The same to every session that has subscribed to a topic.
  public static func broadcast(_ topic: String, _ message: Value.Map) -> CommitIntent {
    CommitIntent(action: .effect(.broadcast), key: topic, value: CanonicalEncoding.encode(.map(message)))
  }
}

/// Feeds a data update to the triggers bound to it: writes nothing, emits the event.
public struct DataUpdateTrigger: Trigger {
  /// Name of the event that it emits.
  public let source: String
  /// The event.
  public let payload: Value
  /// Its priority counts for the update itself; what it emits has that of the triggers bound to it.
  public var options = TriggerOptions()

  /// - Parameter source: the event's name, like `bars/EURUSD`.
  public init(source: String, payload: Value) {
    self.source = source
    self.payload = payload
  }

  /// The same for all updates: records and counters of them come together.
  public var name: String { "data-update" }
  /// One `emit`, so that the update has its place in the order.
  public func execute() async throws -> [CommitIntent] { [.emit(source, payload)] }
}
