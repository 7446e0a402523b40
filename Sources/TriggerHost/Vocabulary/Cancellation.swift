import Synchronization

/// Lets a sender take back the operations of an event: those not yet decided end `skipped`, whatever they
/// would have written. Running Lua attempts end within a millisecond. Any thread.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)
  private let wider: Cancellation?

  /// Give it to `TriggerQueue.enqueue` or `offer` with the event; one may serve several events.
  public init() { wider = nil }

  /// Of one operation among those that `wider` takes back together; nil: of one alone.
  package init(within wider: Cancellation?) { self.wider = wider }

  /// True from `cancel` on.
  public var isCancelled: Bool { flag.load(ordering: .relaxed) || wider?.isCancelled ?? false }
  /// Takes the operations back; what is decided already stays as it is. Safe to call twice.
  public func cancel() { flag.store(true, ordering: .relaxed) }
}
