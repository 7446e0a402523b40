import TriggerCore

/// An event from outside that has an id or a key, is kept by the log, or made several operations. All its operations
/// share this object.
package final class OutsideEvent: @unchecked Sendable {
  // `left` is guarded by the engine lock, the rest constant.
  /// What records say of it.
  package let named: LogRecord.Outside
  /// True when the log keeps the event until all its operations are decided.
  package let isAccepted: Bool
  /// The number of operations that are not yet decided.
  @exclusivity(unchecked) package var left: Int

  package init(_ named: LogRecord.Outside, isAccepted: Bool, left: Int) {
    self.named = named
    self.isAccepted = isAccepted
    self.left = left
  }
}

/// An accepted event: the log keeps it until all its operations are decided.
public struct AcceptedEvent: Sendable, Hashable {
  /// The id in acknowledgements.
  public var id: EventID
  /// The key by which its source knows the event.
  public var key: EventKey?
  /// The kind of the event.
  public var kind: EventKind
  /// The event's name.
  public var name: String
  /// The content of the event, in canonical encoding.
  public var payload: [UInt8]
  /// The priority that the event came with; nil: the priority that each trigger declares.
  public var priority: Priority?
  /// The source of the event. Events of one source keep their order at each trigger.
  public var source: UInt64
  /// When the event was admitted, in nanoseconds since 1970.
  public var admitted: Int64
  /// The names of the triggers for which the event makes operations.
  public var triggers: [String]
  /// For an operation that failed for good and was put back: the failed seq. Nil for an event.
  public var retryOf: Int64?
  /// Who sent the event of the failed seq, when it had a key.
  public var sender: LogRecord.Sender?
  /// The number of commits between the event from outside and this event.
  public var hops = 0

  /// An event that a tool puts into a log.
  public init(
    id: EventID, key: EventKey? = nil, kind: EventKind, name: String, payload: [UInt8],
    priority: Priority? = nil, source: UInt64 = 0, admitted: Int64, triggers: [String]
  ) {
    self.id = id
    self.key = key
    self.kind = kind
    self.name = name
    self.payload = payload
    self.priority = priority
    self.source = source
    self.admitted = admitted
    self.triggers = triggers
  }
}
