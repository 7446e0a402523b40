/// The two day fields of a cron expression together.
struct CronDays: Hashable, Sendable {
  let ofMonth: CronField
  let ofWeek: CronField

  /// Bit d: day d of that month matches.
  ///
  /// cronie: both fields must match when one of them starts with `*`, otherwise either may.
  func bits(year: Int, month: Int) -> UInt64 {
    let calendar = MonthCalendar(year: year, month: month)
    let byMonth = monthBits(calendar)
    let byWeek = weekBits(calendar)
    return (ofMonth.isStar || ofWeek.isStar ? byMonth & byWeek : byMonth | byWeek) & calendar.all
  }

  private func monthBits(_ calendar: MonthCalendar) -> UInt64 {
    var bits = ofMonth.bits
    for item in ofMonth.items {
      switch item {
      case .lastDay(let before) where before < calendar.length: bits |= 1 << (calendar.length - before)
      case .lastWorkday: bits |= 1 << calendar.workday(nearestTo: calendar.length)
      case .nearestWorkday(let day) where day <= calendar.length:
        bits |= 1 << calendar.workday(nearestTo: day)
      default: break
      }
    }
    return bits
  }

  private func weekBits(_ calendar: MonthCalendar) -> UInt64 {
    var bits: UInt64 = 0
    for weekday in 0..<7 where ofWeek.bits & (1 << weekday) != 0 { bits |= calendar.days(weekday) }
    for item in ofWeek.items {
      switch item {
      case .lastWeekday(let weekday):
        bits |= 1 << (63 - (calendar.days(weekday) & calendar.all).leadingZeroBitCount)
      case .nthWeekday(let weekday, let nth):
        let day = calendar.first(weekday) + (nth - 1) * 7
        if day <= calendar.length { bits |= 1 << day }
      default: break
      }
    }
    return bits
  }
}

/// Where the weekdays of one month lie.
private struct MonthCalendar {
  let length: Int
  /// Weekday of day 1; 0 is Sunday.
  let start: Int

  init(year: Int, month: Int) {
    length = CivilDate.daysInMonth(month, ofYear: year)
    start = CivilDate(year: year, month: month, day: 1)!.weekday
  }

  /// Bits 1 to `length`.
  var all: UInt64 { (2 << length) - 2 }

  func first(_ weekday: Int) -> Int { 1 + (weekday - start + 7) % 7 }

  func days(_ weekday: Int) -> UInt64 {
    // Every seventh bit from bit 0, moved to the first such day.
    (0x8_1020_4081 as UInt64) << first(weekday)
  }

  /// The Monday-to-Friday day nearest to `day` that is in the month (Quartz's `W`).
  func workday(nearestTo day: Int) -> Int {
    switch (start + day - 1) % 7 {
    case 6: day > 1 ? day - 1 : day + 2
    case 0: day < length ? day + 1 : day - 2
    default: day
    }
  }
}
