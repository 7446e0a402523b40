import Glibc
import Synchronization
import TriggerCore

/// The wall time and the monotonic time of one moment.
public struct ClockReading: Sendable, Hashable {
  /// The time that people know, in nanoseconds since 1970-01-01T00:00:00Z. For times that leave the process or are
  /// written down. Somebody may set this clock.
  public var wall: Int64
  /// The time of a clock that nobody can set. For measuring spans.
  public var monotonic: MonotonicTime

  /// - Parameter wall: nanoseconds since 1970-01-01T00:00:00Z.
  public init(wall: Int64, monotonic: MonotonicTime) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// Where the engine takes time from: `SystemClock`, `ManualClock`, or a clock of one's own. Called from any thread, several
/// times for each operation, so it should cost little. `EngineClockContract` in the test kit says what one must keep.
public protocol EngineClock: Sendable {
  /// Wall time, nanoseconds since 1970-01-01T00:00:00Z. Somebody may set it: for spans there is `monotonic`.
  func now() -> Int64

  /// Never goes back. Goes on while the machine is suspended, so that a span is over when it would have been without.
  func monotonic() -> MonotonicTime

  /// Both times of one moment.
  func read() -> ClockReading

  /// Suspends until either clock shows what `due` says. May return earlier, and then takes a while: whoever calls looks
  /// again.
  ///
  /// - Throws: `CancellationError` when the task is cancelled.
  func sleep(until due: ClockReading) async throws
}

extension EngineClock {
  /// What passes between the two looks would be taken for a clock that was set, and on a busy machine that may be seconds.
  /// So it looks again until hardly anything does.
  public func read() -> ClockReading {
    var (best, reading) = (Int64.max, ClockReading(wall: 0, monotonic: .never))
    var before = monotonic()
    for _ in 0..<20 where best > 1_000_000 {
      let wall = now()
      let after = monotonic()
      if after - before < best {
        (best, reading) = (after - before, ClockReading(wall: wall, monotonic: after))
      }
      before = after
    }
    return reading
  }
}

/// The machine's clocks.
public struct SystemClock: EngineClock {
  private static let id = CLOCK_BOOTTIME

  /// All are the same clock.
  public init() {}

  /// `CLOCK_REALTIME`. About 25 ns.
  public func now() -> Int64 { Thread.time(CLOCK_REALTIME) }

  /// `CLOCK_BOOTTIME`. About 25 ns.
  public func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: Thread.time(Self.id)) }

  /// For at most about a second: somebody may set the wall clock.
  public func sleep(until due: ClockReading) async throws {
    let now = read()
    if now.hasReached(due) { return }
    // Neither clock has reached its time. A difference that overflows is below zero, so it is left out.
    let left = [1_000_000_000, due.monotonic - now.monotonic, due.wall &- now.wall].filter { $0 > 0 }.min()!
    try await Task.sleep(for: .nanoseconds(left))
  }
}

extension ClockReading {
  /// True when one of the clocks has reached its time in `due`.
  func hasReached(_ due: ClockReading) -> Bool { wall >= due.wall || monotonic >= due.monotonic }
}

/// A clock that moves only when a test or simulation moves it.
public final class ManualClock: EngineClock {
  private struct State {
    var time: ClockReading
    var newest = 0
    var waiting: [Int: (due: ClockReading, continuation: CheckedContinuation<Void, any Error>)] = [:]
    /// Who waits for somebody to sleep.
    var lookouts: [CheckedContinuation<Void, Never>] = []
    /// Sleepers that were cancelled before they waited.
    var cancelled: Set<Int> = []

    mutating func wake(all: Bool = false) {
      for (id, sleeper) in waiting where all || time.hasReached(sleeper.due) {
        waiting[id] = nil
        sleeper.continuation.resume()
      }
    }
  }
  private let state: Mutex<State>

  /// - Parameter now: the wall time at first, in nanoseconds since 1970-01-01T00:00:00Z.
  public init(now: Int64 = 0) {
    state = Mutex(State(time: ClockReading(wall: now, monotonic: MonotonicTime(nanoseconds: 0))))
  }

  /// What it was set to, and moved on by.
  public func now() -> Int64 { read().wall }
  /// The time that it was moved on by.
  public func monotonic() -> MonotonicTime { read().monotonic }
  /// Both.
  public func read() -> ClockReading { state.withLock { $0.time } }

  /// Lets time pass: both clocks move on, and the tasks wake whose time has come.
  public func advance(by duration: Duration) {
    state.withLock { state in
      state.time.wall += duration.nanoseconds
      state.time.monotonic = state.time.monotonic + duration.nanoseconds
      state.wake()
    }
  }

  /// Sets the wall clock ahead or, with a negative duration, back. No time passes. All sleeping tasks wake and read the
  /// clock again.
  public func step(by duration: Duration) {
    state.withLock { state in
      state.time.wall += duration.nanoseconds
      state.wake(all: true)
    }
  }

  /// Suspends until a task sleeps on this clock: it has seen what time it is, and goes on when the clock moves.
  public func waitForSleeper() async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.waiting.isEmpty { state.lookouts.append(continuation) }
        return !state.waiting.isEmpty
      }
      if isThere { continuation.resume() }
    }
  }

  /// Until somebody moves it there, or sets it.
  public func sleep(until due: ClockReading) async throws {
    let id = state.withLock { state in
      state.newest += 1
      return state.newest
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        state.withLock { state in
          if state.cancelled.remove(id) != nil {
            continuation.resume(throwing: CancellationError())
          } else if state.time.hasReached(due) {
            continuation.resume()
          } else {
            state.waiting[id] = (due, continuation)
            for lookout in state.lookouts { lookout.resume() }
            state.lookouts = []
          }
        }
      }
    } onCancel: {
      state.withLock { state in
        if let sleeper = state.waiting.removeValue(forKey: id) {
          sleeper.continuation.resume(throwing: CancellationError())
        } else {
          state.cancelled.insert(id)
        }
      }
    }
  }
}

/// The news that somebody has set the wall clock.
public struct ClockStep: Sendable, Hashable, CustomStringConvertible {
  /// How far the clock was set ahead. Below zero: how far back.
  public let by: Duration
  /// The time that the clock shows now.
  public let to: Timestamp

  /// `the clock was set back by 3600.0 s, to 2026-01-01T08:00:00Z`.
  public var description: String {
    let tenths = (abs(by.nanoseconds) + 50_000_000) / 100_000_000
    return "the clock was set \(by < .zero ? "back" : "ahead") by \(tenths / 10).\(tenths % 10) s, to \(to)"
  }
}
