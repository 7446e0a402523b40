import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where the engine takes time from: nanoseconds since 1970-01-01T00:00:00Z. Any thread.
public class EngineClock: @unchecked Sendable {  // no state of its own; subclasses guard theirs
  /// The machine's clock.
  public init() {}

  /// Wall time. Costs about 25 ns.
  public func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Suspends until the clock shows `time` or later. A clock that somebody sets is noticed within a second.
  ///
  /// - Throws: `CancellationError` when the task is cancelled.
  public func sleep(until time: Int64) async throws {
    while true {
      let left = time.subtractingReportingOverflow(now())
      if !left.overflow, left.partialValue <= 0 { return }
      let nap = left.overflow ? 1_000_000_000 : min(left.partialValue, 1_000_000_000)
      try await Task.sleep(for: .nanoseconds(nap))
    }
  }
}

/// A clock that stands still until it is told to move: for tests and simulation.
public final class ManualClock: EngineClock, @unchecked Sendable {  // the time is atomic
  private let time: Atomic<Int64>
  private let sleepers = Mutex<Sleepers>(Sleepers())

  private struct Sleepers {
    var newest = 0
    var waiting: [Int: (until: Int64, continuation: CheckedContinuation<Void, any Error>)] = [:]
    /// Cancelled before they waited.
    var cancelled: Set<Int> = []
  }

  /// - Parameter now: nanoseconds since 1970-01-01T00:00:00Z.
  public init(now: Int64 = 0) {
    time = Atomic(now)
    super.init()
  }

  override public func now() -> Int64 { time.load(ordering: .relaxed) }

  /// Moves the time on and wakes those whose time has come.
  public func advance(by duration: Duration) {
    sleepers.withLock { sleepers in
      let now = time.wrappingAdd(duration.nanoseconds, ordering: .relaxed).newValue
      for (id, sleeper) in sleepers.waiting where sleeper.until <= now {
        sleepers.waiting[id] = nil
        sleeper.continuation.resume()
      }
    }
  }

  /// How many tasks wait for the time to move on.
  public var sleeperCount: Int { sleepers.withLock { $0.waiting.count } }

  override public func sleep(until time: Int64) async throws {
    let id = sleepers.withLock { sleepers in
      sleepers.newest += 1
      return sleepers.newest
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        sleepers.withLock { sleepers in
          if sleepers.cancelled.remove(id) != nil {
            continuation.resume(throwing: CancellationError())
          } else if time <= now() {
            continuation.resume()
          } else {
            sleepers.waiting[id] = (time, continuation)
          }
        }
      }
    } onCancel: {
      sleepers.withLock { sleepers in
        if let sleeper = sleepers.waiting.removeValue(forKey: id) {
          sleeper.continuation.resume(throwing: CancellationError())
        } else {
          sleepers.cancelled.insert(id)
        }
      }
    }
  }
}
