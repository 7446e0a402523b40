/// A day of the proleptic Gregorian calendar, without a zone.
///
/// The conversions to and from day numbers are those of Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms" (https://howardhinnant.github.io/date_algorithms.html): years start in March, so
/// that the leap day is the last of its year, and repeat in eras of 400 years or 146,097 days. O(1).
public struct CivilDate: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Year 0 is 1 BC.
  public let year: Int
  /// 1...12
  public let month: Int
  /// 1...31
  public let day: Int

  /// Nil if the month or the day does not exist.
  public init?(year: Int, month: Int, day: Int) {
    guard (1...12).contains(month), day >= 1, day <= Self.daysInMonth(month, ofYear: year) else {
      return nil
    }
    (self.year, self.month, self.day) = (year, month, day)
  }

  /// The day `days` after 1970-01-01, before it if negative.
  public init(daysSinceEpoch days: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Days since 1970-01-01, negative before.
  public var daysSinceEpoch: Int {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let monthFromMarch = month > 2 ? month - 3 : month + 9
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// 0 is Sunday, 6 Saturday, as in cron.
  public var weekday: Int {
    let days = daysSinceEpoch
    return days >= -4 ? (days + 4) % 7 : (days + 5) % 7 + 6
  }

  /// Whether the year has a February 29, by the Gregorian rule for all years, before 1582 too.
  public static func isLeap(year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  /// 28...31. `month` is 1...12.
  public static func daysInMonth(_ month: Int, ofYear year: Int) -> Int {
    precondition((1...12).contains(month), "no month \(month)")
    switch month {
    case 2: return isLeap(year: year) ? 29 : 28
    case 4, 6, 9, 11: return 30
    default: return 31
    }
  }

  /// The earlier day is the lesser.
  public static func < (left: CivilDate, right: CivilDate) -> Bool {
    (left.year, left.month, left.day) < (right.year, right.month, right.day)
  }

  /// `2026-07-01`.
  public var description: String { "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))" }
}

/// `number` in at least `digits` digits, zeros in front.
func padded(_ number: Int, _ digits: Int) -> String {
  let text = String(number.magnitude)
  let zeros = String(repeating: "0", count: max(0, digits - text.count))
  return (number < 0 ? "-" : "") + zeros + text
}
