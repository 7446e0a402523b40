import TriggerCore

/// A named value that arrives.
public struct Event: Sendable {
  /// Decides together with `name` which triggers it reaches.
  public var kind: EventKind
  /// What the patterns of `on` are matched with, like `bars/EURUSD`.
  public var name: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  /// Default: what each trigger declares.
  public var priority: Priority?
  /// Events of one source keep their order at each trigger.
  public var source: UInt64
  /// What acknowledgements call it; nil: nobody asks.
  public var id: EventID?
  /// What its source knows it by: recovery tells how far each source was.
  public var key: EventKey?
  /// Once it is admitted the log keeps it until its operations are decided, whatever happens; `whenKept` says
  /// from when on. An event that is not kept may be gone after a crash, but never in part.
  public var isKept = false

  /// Encodes the payload. O(size); its limits are not checked (see `Value.validate`).
  public init(
    _ name: String, _ payload: Value = .map([:]), kind: EventKind = .event, priority: Priority? = nil,
    source: UInt64 = 0
  ) {
    self.init(
      name, encoded: CanonicalEncoding.encode(payload), kind: kind, priority: priority, source: source)
  }

  /// - Parameter encoded: canonical encoding of the event, as `CanonicalEncoding.encode` gives it.
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
