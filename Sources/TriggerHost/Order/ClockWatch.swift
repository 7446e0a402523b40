import TriggerCore

/// Notices when somebody sets the wall clock, by comparing it with a clock that nobody can set. A pure state machine.
struct ClockWatch {
  /// One setting of the wall clock.
  struct Step: Equatable, Sendable {
    /// How far the clock was set ahead, in nanoseconds. Below zero: how far back.
    var by: Int64
    /// The time that the clock shows now, in nanoseconds since 1970.
    var to: Int64
  }

  /// The difference between two looks that does not count as a setting, in nanoseconds.
  static let tolerance: Int64 = 500_000_000
  /// One part in so many of the time between two looks does not count either: adjtime(3) and NTP make a clock run
  /// faster or slower, by at most 500 millionths.
  private static let drift: Int64 = 1000

  private var last: ClockReading

  init(_ now: ClockReading) { last = now }

  /// The wall time at a moment near the last look, in nanoseconds since 1970.
  func wall(at time: MonotonicTime) -> Int64 { last.wall &+ (time - last.monotonic) }

  /// Compares both clocks with the last look. Returns how the wall clock was set meanwhile; nil when it was not.
  mutating func look(_ now: ClockReading) -> Step? {
    let expected = wall(at: now.monotonic)
    let allowed = Self.tolerance + (now.monotonic - last.monotonic) / Self.drift
    last = now
    let step = now.wall &- expected
    return abs(step) > allowed ? Step(by: step, to: now.wall) : nil
  }
}
