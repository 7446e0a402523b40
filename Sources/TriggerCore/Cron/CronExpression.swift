/// A cron expression: which civil times of day and days of the calendar match. Knows no zone and no DST;
/// `WallSchedule` turns its matches into instants.
///
/// Five fields mean what cronie's crontab(5) says: minute, hour, day of month, month, day of week; when
/// neither day starts with `*`, either one matches, otherwise both must. Six fields put seconds first.
/// `? L W #` mean what Quartz's CronTrigger says, with cron's weekday numbers (0 and 7 are Sunday).
public struct CronExpression: Hashable, Sendable, CustomStringConvertible {
  let second: CronField
  let minute: CronField
  let hour: CronField
  let days: CronDays
  let month: CronField
  /// As it was written, with single spaces.
  public let description: String

  /// - Throws: `CronSyntaxError`, with the column of what is wrong in `text`. An expression that matches
  ///   no day of any year (`0 0 30 2 *`) is wrong too.
  public init(parsing text: String) throws(CronSyntaxError) {
    try self.init(fields: cronWords(text))
  }

  /// - Parameter name: what to show instead of the fields.
  init(fields: [CronWord], named name: String? = nil) throws(CronSyntaxError) {
    guard fields.count == 5 || fields.count == 6 else {
      throw CronSyntaxError(
        column: fields.first?.column ?? 1,
        message:
          "a cron expression has 5 fields (minute hour day month weekday) or 6 (with seconds first), got \(fields.count)"
      )
    }
    let five = Array(fields.suffix(5))
    func read(_ kind: CronFieldKind, _ word: CronWord) throws(CronSyntaxError) -> CronField {
      try CronFieldParser(kind, word.text, column: word.column).parse()
    }
    second = fields.count == 6 ? try read(.second, fields[0]) : .only(0, .second)
    minute = try read(.minute, five[0])
    hour = try read(.hour, five[1])
    days = CronDays(ofMonth: try read(.dayOfMonth, five[2]), ofWeek: try read(.dayOfWeek, five[4]))
    month = try read(.month, five[3])
    description = name ?? fields.map(\.text).joined(separator: " ")
    // The Gregorian calendar repeats its weekdays every 28 years within a century.
    let start = CivilDateTime(date: CivilDate(year: 2000, month: 1, day: 1)!, hour: 0)!
    guard let first = next(from: start), first.date.year < 2028 else {
      throw CronSyntaxError(column: five[2].column, message: "no year has such a day: it would never fire")
    }
  }

  /// Neither the minute nor the hour starts with `*`: DST rules for jobs at a fixed time apply (crontab(5)
  /// of cronie, "daylight saving time").
  public var isFixedTime: Bool { !minute.isStar && !hour.isStar }

  /// Whether a clock that shows `time` is at a match; nanoseconds do not count.
  public func matches(_ time: CivilDateTime) -> Bool {
    hasBit(second, time.second) && hasBit(minute, time.minute) && hasBit(hour, time.hour)
      && hasBit(month, time.date.month)
      && days.bits(year: time.date.year, month: time.date.month) & (1 << time.date.day) != 0
  }

  private func hasBit(_ field: CronField, _ value: Int) -> Bool { field.bits & (1 << value) != 0 }

  /// The earliest match at or after `time` on the calendar, nil if none comes within 100 years.
  ///
  /// O(months passed over); within a day O(1).
  public func next(from time: CivilDateTime) -> CivilDateTime? {
    let start = time.nanosecond == 0 ? time : CivilDateTime(secondsSinceEpoch: time.secondsSinceEpoch + 1)
    if matchesDay(start.date), let found = timeOfDay(from: start) { return found }
    guard let day = nextDay(after: start.date) else { return nil }
    return timeOfDay(from: CivilDateTime(date: day, hour: 0)!)
  }

  private func matchesDay(_ date: CivilDate) -> Bool {
    hasBit(month, date.month) && days.bits(year: date.year, month: date.month) & (1 << date.day) != 0
  }

  /// The first match on `time`'s day that is not before it.
  private func timeOfDay(from time: CivilDateTime) -> CivilDateTime? {
    if hasBit(hour, time.hour) {
      if hasBit(minute, time.minute), let second = second.next(from: time.second) {
        return CivilDateTime(date: time.date, hour: time.hour, minute: time.minute, second: second)
      }
      if let minute = minute.next(from: time.minute + 1) {
        return CivilDateTime(date: time.date, hour: time.hour, minute: minute, second: second.next(from: 0)!)
      }
    }
    guard let hour = hour.next(from: time.hour + 1) else { return nil }
    return CivilDateTime(
      date: time.date, hour: hour, minute: minute.next(from: 0)!, second: second.next(from: 0)!)
  }

  private func nextDay(after date: CivilDate) -> CivilDate? {
    var (year, month) = (date.year, date.month)
    // Bits from the day after `date`; whole months from then on.
    var mask = UInt64.max << UInt64(date.day + 1)
    while year <= date.year + 100 {
      if hasBit(self.month, month) {
        let found = days.bits(year: year, month: month) & mask
        if found != 0 { return CivilDate(year: year, month: month, day: found.trailingZeroBitCount) }
      }
      mask = .max
      (year, month) = month == 12 ? (year + 1, 1) : (year, month + 1)
    }
    return nil
  }
}

/// A word of a line, and the column it starts at, from 1.
struct CronWord {
  var text: String
  var column: Int
}

/// Words apart from spaces and tabs.
func cronWords(_ text: String) -> [CronWord] {
  var words: [CronWord] = []
  var inWord = false
  for (index, character) in text.enumerated() {
    if character == " " || character == "\t" {
      inWord = false
    } else if inWord {
      words[words.count - 1].text.append(character)
    } else {
      words.append(CronWord(text: String(character), column: index + 1))
      inWord = true
    }
  }
  return words
}
