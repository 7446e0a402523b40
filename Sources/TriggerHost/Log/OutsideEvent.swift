import TriggerCore

/// An event from outside that is more to the engine than one operation: it has a key, an acknowledgement to
/// come, or several operations. Shared by those.
package final class OutsideEvent: @unchecked Sendable {
  // `left` is guarded by the engine lock, the rest constant.
  /// What records say of it.
  package let named: LogRecord.Outside
  /// Kept by the log until all its operations are decided, whatever happens.
  package let isAccepted: Bool
  /// Operations not yet decided.
  @exclusivity(unchecked) package var left: Int

  package init(_ named: LogRecord.Outside, isAccepted: Bool, left: Int) {
    self.named = named
    self.isAccepted = isAccepted
    self.left = left
  }
}

/// An accepted event as the log keeps it until its operations are decided.
public struct AcceptedEvent: Sendable, Hashable {
  /// Its name in acknowledgements.
  public var id: EventID
  /// What its source knows it by.
  public var key: EventKey?
  /// What kind of event it is.
  public var kind: EventKind
  /// The event's name.
  public var name: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  /// Nil: what each trigger declares.
  public var priority: Priority?
  /// Events of one source keep their order at each trigger.
  public var source: UInt64
  /// Admission time, nanoseconds since 1970.
  public var admitted: Int64
  /// The triggers it makes operations for.
  public var triggers: [String]
  /// The failed seq whose operation it is, put back; nil for an event.
  public var retryOf: Int64?
  /// Who sent the event of the failed seq, when it had a key.
  public var sender: LogRecord.Sender?
  /// Commits between the outside event and it.
  public var hops = 0

  /// For tools that put an event into a log.
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
