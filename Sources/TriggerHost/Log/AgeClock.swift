import TriggerCore

/// The wall time that the age of records is judged by. What is removed for its age does not come back, so a clock that
/// somebody sets ahead, or that wakes in a wrong year, is believed only when it has shown so for a while; a clock that is
/// set back is believed at once. A pure state machine.
struct AgeClock {
  /// A step ahead counts when the clock has stood by it for this long, and for twice as long at most: nanoseconds.
  static let patience: Int64 = 600_000_000_000

  /// The least that wall time was ahead of monotonic time, in the span before this one and in this one.
  private var before: Int64
  private var lately: Int64
  private var began: MonotonicTime

  /// - Parameter newest: the wall time of the newest record; nil: none. A clock that is ahead of it at the start may have
  ///   been set, or the host was down.
  init(_ now: ClockReading, newest: Int64?) {
    before = min(now.wall, newest ?? now.wall) &- now.monotonic.nanoseconds
    (lately, began) = (before, now.monotonic)
  }

  /// Wall time as far as it is believed, nanoseconds since 1970.
  mutating func look(_ now: ClockReading) -> Int64 {
    let ahead = now.wall &- now.monotonic.nanoseconds
    if now.monotonic - began >= Self.patience { (before, lately, began) = (lately, ahead, now.monotonic) }
    lately = min(lately, ahead)
    return now.monotonic.nanoseconds &+ min(before, lately)
  }
}
