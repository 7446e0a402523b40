import TriggerCore

extension Engine {
  /// An event that comes in, whatever it comes from, but for its payload. Each of the two ways in builds it in one
  /// piece: it is far too large to be copied for each field that is set.
  struct Arrival {
    let kind: EventKind
    let name: String
    let source: UInt64
    /// Nil: what each trigger declares.
    let priority: Priority?
    let cancellation: Cancellation?
    /// What the event is known by outside; nil: nobody asks.
    var id: EventID?
    var key: EventKey?
    /// The log keeps it until its operations are decided; then `whenKept` is called.
    let isKept: Bool
    var whenKept: (@Sendable () -> Void)?
    let hops: UInt8
    /// What made it here; nil: it came from outside.
    let inside: Inside?

    /// Of an event that the engine itself admits.
    struct Inside {
      /// Among `unfinished` already.
      var isCounted = false
      /// The commit that emitted it.
      var cause: LogRecord.Cause?
      var family: Operation.Family?
      /// What came before; nil: nothing.
      var past: Operation.Past?
    }

    /// An event from outside.
    init(_ event: borrowing Event, cancellation: Cancellation? = nil, whenKept: (@Sendable () -> Void)? = nil)
    {
      (kind, name, source, priority) = (event.kind, event.name, event.source, event.priority)
      (id, key, isKept) = (event.id, event.key, event.isKept)
      self.cancellation = cancellation
      self.whenKept = whenKept
      hops = 0
      inside = nil
    }

    /// An event of the engine's own: the bound of the queue is not for it.
    init(
      kind: EventKind, name: String, source: UInt64, priority: Priority? = nil, hops: UInt8,
      cancellation: Cancellation? = nil, inside: Inside
    ) {
      (self.kind, self.name, self.source, self.priority) = (kind, name, source, priority)
      (id, key, isKept, whenKept) = (nil, nil, false, nil)
      self.cancellation = cancellation
      self.hops = hops
      self.inside = inside
    }
  }
}
