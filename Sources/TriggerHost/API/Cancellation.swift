import Synchronization

/// Lets a sender take back the operations of an event: those not yet decided end `skipped`, whatever they
/// would have written. Running Lua attempts end within a millisecond. Any thread.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)

  public init() {}

  public var isCancelled: Bool { flag.load(ordering: .relaxed) }
  public func cancel() { flag.store(true, ordering: .relaxed) }
}
