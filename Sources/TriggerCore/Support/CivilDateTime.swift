/// A date and a time of day as a clock on the wall shows them: which instant that is depends on a
/// zone, and some local times happen twice or never.
public struct CivilDateTime: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The day the clock shows.
  public let date: CivilDate
  /// 0...23
  public let hour: Int
  /// 0...59
  public let minute: Int
  /// 0...59; leap seconds do not exist here, as in Unix time.
  public let second: Int
  /// 0...999_999_999
  public let nanosecond: Int

  /// Nil if a field is out of range.
  public init?(date: CivilDate, hour: Int, minute: Int = 0, second: Int = 0, nanosecond: Int = 0) {
    guard (0...23).contains(hour), (0...59).contains(minute), (0...59).contains(second),
      (0...999_999_999).contains(nanosecond)
    else { return nil }
    self.date = date
    self.hour = hour
    self.minute = minute
    self.second = second
    self.nanosecond = nanosecond
  }

  /// The fields a clock shows `seconds` after 1970-01-01T00:00:00 on that same clock.
  public init(secondsSinceEpoch seconds: Int, nanosecond: Int = 0) {
    precondition((0...999_999_999).contains(nanosecond), "nanosecond out of range")
    let (days, secondOfDay) = floorDivide(seconds, by: 86_400)
    date = CivilDate(daysSinceEpoch: days)
    hour = secondOfDay / 3_600
    minute = secondOfDay / 60 % 60
    second = secondOfDay % 60
    self.nanosecond = nanosecond
  }

  /// Seconds since 1970-01-01T00:00:00 on the same clock, without the nanoseconds.
  public var secondsSinceEpoch: Int {
    date.daysSinceEpoch * 86_400 + hour * 3_600 + minute * 60 + second
  }

  /// By what the clock shows, which is not always the order of the instants: a repeated hour is shown twice.
  public static func < (left: CivilDateTime, right: CivilDateTime) -> Bool {
    let (leftSeconds, rightSeconds) = (left.secondsSinceEpoch, right.secondsSinceEpoch)
    return leftSeconds == rightSeconds ? left.nanosecond < right.nanosecond : leftSeconds < rightSeconds
  }

  /// `2026-07-01T08:00:00` with 3, 6 or 9 digits of fraction where there is one.
  public var description: String {
    "\(date)T\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))\(fraction)"
  }

  private var fraction: String {
    if nanosecond == 0 { return "" }
    if nanosecond % 1_000_000 == 0 { return "." + padded(nanosecond / 1_000_000, 3) }
    if nanosecond % 1_000 == 0 { return "." + padded(nanosecond / 1_000, 6) }
    return "." + padded(nanosecond, 9)
  }
}

/// Quotient rounded down and remainder 0..<divisor. `divisor` is positive.
func floorDivide(_ dividend: Int, by divisor: Int) -> (quotient: Int, remainder: Int) {
  let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
  return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}
