import TriggerCore

/// Something that happened: a name, a kind and a payload. The engine runs every trigger that is bound to the event.
public struct Event: Sendable {
  /// The kind and the name decide which triggers the event reaches.
  public var kind: EventKind
  /// The name that the patterns in `on` are compared with, like `bars/EURUSD`.
  public var name: String
  /// The content of the event, in canonical encoding.
  public var payload: [UInt8]
  /// Nil: the priority that each trigger declares.
  public var priority: Priority?
  /// Any number that stands for the sender. Events of one source keep their order at each trigger.
  public var source: UInt64
  /// The id in acknowledgements; nil when nobody waits for one.
  public var id: EventID?
  /// The key by which its source knows the event. From these keys recovery tells how far each source had come.
  public var key: EventKey?
  /// True: the log keeps the event from its admission until all its operations are decided. `whenKept` is called when
  /// the log has the event. A crash may lose an event that is not kept, but never a part of it.
  public var isKept = false

  /// Encodes the payload, without a check of its limits (see `Value.validate`). O(size).
  public init(
    _ name: String, _ payload: Value = .map([:]), kind: EventKind = .event, priority: Priority? = nil,
    source: UInt64 = 0
  ) {
    self.init(
      name, encoded: CanonicalEncoding.encode(payload), kind: kind, priority: priority, source: source)
  }

  /// - Parameter encoded: canonical encoding of the payload, as `CanonicalEncoding.encode` gives it.
  public init(
    _ name: String, encoded: [UInt8], kind: EventKind = .event, priority: Priority? = nil, source: UInt64 = 0
  ) {
    self.name = name
    payload = encoded
    self.kind = kind
    self.priority = priority
    self.source = source
  }
}
