extension CronRule {
  /// The rule in English, for people who read it back: `at 09:30, Monday to Friday`.
  public var explanation: String {
    switch self {
    case .expression(let expression): expression.explanation
    case .every(let span): "every \(TimeSpan.format(span)), by elapsed time"
    case .start: "once, when the host starts"
    }
  }
}

extension CronExpression {
  /// The expression in English: `every 15 minutes, from 9 to 17 o'clock, Monday to Friday`.
  public var explanation: String {
    ([clockTimes ?? runningTimes] + dayPhrases).joined(separator: ", ")
  }

  /// `at 09:30 and 17:30`, when all of it is a few times of day.
  private var clockTimes: String? {
    guard let hours = hour.values, let minutes = minute.values, let seconds = second.values,
      hours.count * minutes.count * seconds.count <= 6
    else { return nil }
    let showSeconds = seconds != [0]
    let times = hours.flatMap { hour in
      minutes.flatMap { minute in
        seconds.map { second in
          padded(hour, 2) + ":" + padded(minute, 2) + (showSeconds ? ":" + padded(second, 2) : "")
        }
      }
    }
    return "at " + joined(times)
  }

  private var runningTimes: String {
    var parts: [String] = []
    if second.values != [0] { parts.append(phrase(second, "second", plural: "seconds")) }
    if !(minute.isEvery && !parts.isEmpty) { parts.append(phrase(minute, "minute", plural: "minutes")) }
    if !hour.isEvery || minute.isPlainList { parts.append(hourPhrase) }
    return parts.joined(separator: ", ")
  }

  private func phrase(_ field: CronField, _ unit: String, plural: String) -> String {
    if field.isEvery { return "every \(unit)" }
    if field.items.count == 1, case .any(let step) = field.items[0] { return "every \(step) \(plural)" }
    return "at \(unit) " + joined(field.items.map { text($0, unit: plural) { "\($0)" } })
  }

  private var hourPhrase: String {
    if hour.isEvery { return "of every hour" }
    if hour.items.count == 1, case .any(let step) = hour.items[0] { return "every \(step) hours" }
    return "from "
      + joined(
        hour.items.map { item in
          switch item {
          case .value(let value): "\(padded(value, 2)):00 to \(padded(value, 2)):59"
          case .range(let range, 1): "\(padded(range.lowerBound, 2)):00 to \(padded(range.upperBound, 2)):59"
          default: text(item, unit: "hours") { padded($0, 2) + " o'clock" }
          }
        })
  }

  private var dayPhrases: [String] {
    var parts: [String] = []
    let (month, week) = (days.ofMonth, days.ofWeek)
    let monthDays = month.isEvery ? nil : "on " + joined(month.items.map(dayText))
    let weekDays = week.isEvery ? nil : joined(week.items.map(weekdayText))
    switch (monthDays, weekDays) {
    case (nil, nil): break
    case (let days?, nil): parts.append(days)
    case (nil, let weekdays?): parts.append(weekdays)
    case (let days?, let weekdays?):
      let isEither = !month.isStar && !week.isStar
      parts.append(isEither ? "\(days) and also \(weekdays)" : "\(days) if it is \(weekdays)")
    }
    if !self.month.isEvery {
      parts.append("in " + joined(self.month.items.map { text($0, unit: "months") { Self.months[$0 - 1] } }))
    }
    return parts
  }

  private func dayText(_ item: CronField.Item) -> String {
    switch item {
    case .lastDay(0): "the last day of the month"
    case .lastDay(let before): "\(before) \(before == 1 ? "day" : "days") before the last day of the month"
    case .lastWorkday: "the last working day of the month"
    case .nearestWorkday(let day): "the working day nearest to day \(day)"
    case .value(let day): "day \(day)"
    case .range(let range, 1): "days \(range.lowerBound) to \(range.upperBound)"
    default: "days " + text(item, unit: "days") { "\($0)" }
    }
  }

  private func weekdayText(_ item: CronField.Item) -> String {
    switch item {
    case .lastWeekday(let day): "the last \(Self.weekdays[day]) of the month"
    case .nthWeekday(let day, let nth):
      "the \(["first", "second", "third", "fourth", "fifth"][nth - 1]) \(Self.weekdays[day]) of the month"
    default: text(item, unit: "days") { Self.weekdays[$0 % 7] }
    }
  }

  private func text(_ item: CronField.Item, unit: String, _ name: (Int) -> String) -> String {
    switch item {
    case .any(let step): step == 1 ? "all" : "every \(step) \(unit)"
    case .value(let value): name(value)
    case .range(let range, let step):
      (step == 1 ? "" : "every \(step) \(unit) from ")
        + "\(name(range.lowerBound)) to \(name(range.upperBound))"
    default: ""
    }
  }

  private static let weekdays = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]
  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November",
    "December",
  ]
}

extension CronField {
  /// `*` or `?`.
  fileprivate var isEvery: Bool { items == [.any(step: 1)] }

  /// The values, when all items are single ones.
  fileprivate var values: [Int]? {
    var values: [Int] = []
    for item in items {
      guard case .value(let value) = item else { return nil }
      values.append(value)
    }
    return values.sorted()
  }

  fileprivate var isPlainList: Bool { values != nil }
}

/// `a`, `a and b`, `a, b and c`.
private func joined(_ words: [String]) -> String {
  guard words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
}
