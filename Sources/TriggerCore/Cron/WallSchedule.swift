/// The instants at which a cron expression fires in a time zone.
///
/// Daylight saving as cronie's crontab(5) documents it: a job whose minute or hour field starts with `*`
/// fires whenever the clock shows a match, so not at times that a change of clocks skips, and twice at times
/// it repeats. Every other job is at a fixed time and follows `onClockChange`.
public struct WallSchedule: Hashable, Sendable {
  /// What a job at a fixed time does about wall times that a change of clocks skips or repeats.
  public enum OnClockChange: String, Sendable, CaseIterable {
    /// Nothing for a skipped time; a repeated one fires in its first pass.
    case skip
    /// A skipped time fires once at the first instant after the gap; a repeated one in its first pass.
    case once
    /// As `once`, and a repeated time fires in both passes.
    case both
  }

  /// Which times on the wall match.
  public var expression: CronExpression
  /// Where the wall is.
  public var zone: Zone
  /// For jobs at a fixed time (`CronExpression.isFixedTime`); the others do not look at it.
  public var onClockChange: OnClockChange

  /// By default in the machine's zone, and with `once`, as cronie does it.
  public init(_ expression: CronExpression, zone: Zone = .host, onClockChange: OnClockChange = .once) {
    self.expression = expression
    self.zone = zone
    self.onClockChange = onClockChange
  }

  /// The first fire after `time`; nil if none comes within 100 years. Whole seconds.
  ///
  /// O(changes of the zone's offset passed over).
  public func next(after time: Timestamp) -> Timestamp? {
    let after = floorDivide(Int(time.nanoseconds), by: 1_000_000_000).quotient
    // No clock was ever moved by more than a day, so what happened before then has no effect any more.
    var stretch = Stretch(start: after - 2 * 86_400, before: nil, in: zone)
    while true {
      if let found = fire(after: after, in: stretch) {
        return Timestamp(CivilDateTime(secondsSinceEpoch: found))
      }
      guard let end = stretch.end else { return nil }
      // A rule that never matches again would walk all the zone's future.
      guard end - after < 100 * 366 * 86_400 else { return nil }
      stretch = Stretch(start: end, before: stretch.offset, in: zone)
    }
  }

  /// The first fire after second `after` that lies in `stretch`.
  private func fire(after: Int, in stretch: Stretch) -> Int? {
    if let end = stretch.end, end <= after + 1 { return nil }
    var from = max(after + 1, stretch.start)
    if let before = stretch.before, expression.isFixedTime {
      let gap = stretch.offset - before
      if gap > 0, onClockChange != .skip, stretch.start > after,
        let missed = expression.next(from: civil(stretch.start + before)),
        missed.secondsSinceEpoch < stretch.start + stretch.offset
      {
        return stretch.start
      }
      if gap < 0, onClockChange != .both { from = max(from, stretch.start - gap) }
    }
    guard let match = expression.next(from: civil(from + stretch.offset)) else { return nil }
    let second = match.secondsSinceEpoch - stretch.offset
    return second < stretch.end ?? .max ? second : nil
  }

  private func civil(_ seconds: Int) -> CivilDateTime { CivilDateTime(secondsSinceEpoch: seconds) }
}

/// A stretch of time without a change of clocks.
private struct Stretch {
  /// Unix seconds; `end` is the next change.
  let start: Int
  let end: Int?
  let offset: Int
  /// The offset until `start`, nil when nothing changed there.
  let before: Int?

  init(start: Int, before: Int?, in zone: Zone) {
    self.start = start
    self.before = before
    offset = zone.offset(at: start)
    end = zone.transition(after: start)
  }
}
