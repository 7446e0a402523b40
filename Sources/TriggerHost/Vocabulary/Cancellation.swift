import Synchronization

/// Lets a sender cancel the operations of an event. Operations that are not yet decided end `skipped` and write
/// nothing. Running Lua attempts end within a millisecond. Any thread.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)
  private let wider: Cancellation?

  /// Give the cancellation to `TriggerQueue.enqueue` or `offer` with the event. One cancellation may serve several
  /// events.
  public init() { wider = nil }

  /// Cancels one operation. The operation is cancelled too when `wider` is; nil: it stands alone.
  package init(within wider: Cancellation?) { self.wider = wider }

  /// True from `cancel` on.
  public var isCancelled: Bool { flag.load(ordering: .relaxed) || wider?.isCancelled ?? false }
  /// Cancels the operations. Operations that are decided already stay as they are. Safe to call twice.
  public func cancel() { flag.store(true, ordering: .relaxed) }
}
