import Synchronization
import TriggerCore

/// Who has nothing to do, and whom to wake when something comes. No work is left lying while everybody sleeps: who
/// goes to rest is in the list first and looks for work then; who brings work has put it down first and looks at the
/// list then. So one of the two sees the other (both in sequentially consistent order).
final class IdleWorkers<Worker: AnyObject & Sendable>: Sendable {
  private let resting = Mutex<[Worker]>([])
  private let count = Atomic<Int>(0)

  /// A worker without work goes to rest, and sleeps once this has returned.
  ///
  /// - Parameter hasWork: whether work came meanwhile.
  /// - Returns: whom to wake, maybe the worker itself: work came, and its bringer may have seen nobody.
  func rest(_ worker: Worker, hasWork: () -> Bool) -> Worker? {
    Seam.willRead(Unmanaged.passUnretained(self).toOpaque())
    resting.withLock {
      $0.append(worker)
      count.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
    return hasWork() ? take() : nil
  }

  /// Work has been put down: whom to wake, nil when nobody rests. Any thread; one load while everybody works.
  @inline(__always)
  func takeOne() -> Worker? { count.loadInOrder() > 0 ? take() : nil }

  private func take() -> Worker? {
    Seam.willRead(Unmanaged.passUnretained(self).toOpaque())
    return resting.withLock { resting -> Worker? in
      guard let worker = resting.popLast() else { return nil }
      count.wrappingSubtract(1, ordering: .sequentiallyConsistent)
      return worker
    }
  }
}
