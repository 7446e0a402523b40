import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where the engine takes time from: nanoseconds since 1970-01-01T00:00:00Z. Any thread.
public class EngineClock: @unchecked Sendable {  // no state of its own; subclasses guard theirs
  public init() {}

  /// Wall time. Costs about 25 ns.
  public func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }
}

/// A clock that stands still until it is told to move: for tests and simulation.
public final class ManualClock: EngineClock, @unchecked Sendable {  // the time is atomic
  private let time: Atomic<Int64>

  /// - Parameter now: nanoseconds since 1970-01-01T00:00:00Z.
  public init(now: Int64 = 0) {
    time = Atomic(now)
    super.init()
  }

  override public func now() -> Int64 { time.load(ordering: .relaxed) }

  public func advance(by duration: Duration) {
    let (seconds, attoseconds) = duration.components
    time.wrappingAdd(seconds * 1_000_000_000 + attoseconds / 1_000_000_000, ordering: .relaxed)
  }
}
