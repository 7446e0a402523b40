import Synchronization

/// Lets a sender take back the operations of an event: those not yet decided end `skipped`, whatever they
/// would have written. Running Lua attempts end within a millisecond. Any thread.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)

  /// Give it to `TriggerQueue.enqueue` or `offer` with the event; one may serve several events.
  public init() {}

  /// True from `cancel` on.
  public var isCancelled: Bool { flag.load(ordering: .relaxed) }
  /// Takes the operations back; what is decided already stays as it is. Safe to call twice.
  public func cancel() { flag.store(true, ordering: .relaxed) }
}
