import TriggerCore

/// Notices when somebody sets the wall clock: it is compared with one that nobody sets. A pure state machine.
struct ClockWatch {
  /// A wall clock that was set.
  struct Step: Equatable, Sendable {
    /// How far, in nanoseconds; below zero: back.
    var by: Int64
    /// What it shows now, nanoseconds since 1970.
    var to: Int64
  }

  /// A wall clock that is merely made to run faster or slower moves by less between two looks, in nanoseconds:
  /// adjtime(3) and NTP keep within 500 millionths.
  static let tolerance: Int64 = 500_000_000
  private static let drift: Int64 = 1000

  private var last: ClockReading

  init(_ now: ClockReading) { last = now }

  /// Wall time at a moment near the last look.
  func wall(at time: MonotonicTime) -> Int64 { last.wall &+ (time - last.monotonic) }

  /// Looks at both clocks: the step since the last look, nil when there was none.
  mutating func look(_ now: ClockReading) -> Step? {
    let expected = wall(at: now.monotonic)
    let allowed = Self.tolerance + (now.monotonic - last.monotonic) / Self.drift
    last = now
    let step = now.wall &- expected
    return abs(step) > allowed ? Step(by: step, to: now.wall) : nil
  }
}
