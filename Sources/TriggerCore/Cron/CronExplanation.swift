extension CronRule {
  /// The rule in English, as a person would say it: `at 09:30 on weekdays`.
  public var explanation: String {
    switch self {
    case .expression(let expression): expression.explanation
    case .every(let span): "every \(TimeSpan.format(span)), by elapsed time"
    case .start: "once, when the host starts"
    }
  }
}

extension CronExpression {
  /// The expression in English: `every 15 minutes from 09:00 to 17:45 on weekdays`.
  public var explanation: String { ([TimesOfDay(self).phrase] + dayPhrases).joined(separator: " ") }

  // MARK: Days

  private var dayPhrases: [String] {
    let (month, week) = (days.ofMonth, days.ofWeek)
    let monthDays = month.isEvery ? nil : joined(month.items.map(dayText)) + monthsOwner(month)
    let weekDays = week.isEvery ? nil : weekdaysText(week)
    var parts: [String] = []
    switch (monthDays, weekDays) {
    case (nil, nil): break
    case (let days?, nil): parts.append("on \(days)")
    case (nil, let weekdays?): parts.append(weekdays)
    case (let days?, let weekdays?):
      // crontab(5): with a star in one of them both must hold, else either may.
      let isEither = !month.isStar && !week.isStar
      parts.append("on \(days)\(isEither ? " and also" : ", but only") \(weekdays)")
    }
    if !self.month.isEvery { parts.append(monthsText) }
    return parts
  }

  /// ` of the month`, when what is before it does not say it.
  private func monthsOwner(_ field: CronField) -> String {
    let saysIt = field.items.contains { item in
      switch item {
      case .lastDay, .lastWorkday: true
      default: false
      }
    }
    return saysIt ? "" : " of the month"
  }

  private func dayText(_ item: CronField.Item) -> String {
    switch item {
    case .lastDay(0): "the last day of the month"
    case .lastDay(1): "the day before the last of the month"
    case .lastDay(let before): "the day \(before) days before the last of the month"
    case .lastWorkday: "the last weekday (Monday to Friday) of the month"
    case .nearestWorkday(let day): "the weekday (Monday to Friday) nearest to the \(ordinal(day))"
    case .value(let day): "the \(ordinal(day))"
    case .range(let range, 1): "the \(ordinal(range.lowerBound)) to \(ordinal(range.upperBound))"
    case .range(let range, let step): steps(range, step, CronFieldKind.dayOfMonth.range.upperBound)
    case .any(let step): step == 1 ? "every day" : steps(CronFieldKind.dayOfMonth.range, step, 31)
    case .lastWeekday, .nthWeekday: ""
    }
  }

  /// `every 2nd day from the 1st`: counted anew in each month.
  private func steps(_ range: ClosedRange<Int>, _ step: Int, _ end: Int) -> String {
    "every \(ordinal(step)) day from the \(ordinal(range.lowerBound))"
      + (range.upperBound == end ? "" : " to the \(ordinal(range.upperBound))")
  }

  private func weekdaysText(_ field: CronField) -> String {
    let special = field.items.compactMap { item -> String? in
      switch item {
      case .lastWeekday(let day): "the last \(Self.weekdays[day % 7])"
      case .nthWeekday(let day, let nth):
        "the \(["first", "second", "third", "fourth", "fifth"][nth - 1]) \(Self.weekdays[day % 7])"
      default: nil
      }
    }
    let plain = (0...6).filter { field.bits & (1 << $0) != 0 }
    var parts: [String] = []
    if !plain.isEmpty { parts.append(plainWeekdays(plain)) }
    if !special.isEmpty { parts.append("on " + joined(special) + " of the month") }
    return parts.joined(separator: " and ")
  }

  private func plainWeekdays(_ days: [Int]) -> String {
    switch days {
    case [1, 2, 3, 4, 5]: return "on weekdays"
    case [0, 6]: return "at weekends"
    case [0, 1, 2, 3, 4, 5, 6]: return "on every day of the week"
    default:
      // A week begins on Monday for who reads it.
      let inOrder = days.filter { $0 > 0 } + days.filter { $0 == 0 }
      if inOrder.count > 2, let range = consecutive(inOrder.map { $0 == 0 ? 7 : $0 }) {
        return "from \(Self.weekdays[range.lowerBound]) to \(Self.weekdays[range.upperBound % 7])"
      }
      return "on " + joined(inOrder.map { Self.weekdays[$0] + "s" })
    }
  }

  private var monthsText: String {
    let months = (1...12).filter { month.bits & (1 << $0) != 0 }
    if months.count > 2, let range = consecutive(months) {
      return "from \(Self.months[range.lowerBound - 1]) to \(Self.months[range.upperBound - 1])"
    }
    return "in " + joined(months.map { Self.months[$0 - 1] })
  }

  private static let weekdays = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]
  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
  ]
}

/// When within a day, in English.
private struct TimesOfDay {
  private let hour, minute, second: CronField
  private let hours, minutes, seconds: [Int]

  /// Times that are told one by one.
  private static let told = 6

  init(_ expression: CronExpression) {
    (hour, minute, second) = (expression.hour, expression.minute, expression.second)
    func values(_ field: CronField) -> [Int] { (0...59).filter { field.bits & (1 << $0) != 0 } }
    (hours, minutes, seconds) = (values(hour), values(minute), values(second))
  }

  var phrase: String {
    if hours.count < 24, hours.count * minutes.count * seconds.count <= Self.told,
      regularStep(hour, of: 24) == nil
    {
      return "at " + joined(clockTimes)
    }
    if seconds != [0], minutes.count == 1, hours.count <= Self.told {
      return "\(secondsPhrase!) of the minute \(joined(hours.map { time($0, minutes[0]) }))"
    }
    let small = [secondsPhrase, minutesPhrase].compactMap { $0 }
    if small.isEmpty { return hourly }
    return ([small.joined(separator: " ")] + [window].compactMap { $0 }).joined(separator: " ")
  }

  private var clockTimes: [String] {
    hours.flatMap { hour in
      minutes.flatMap { minute in
        seconds.map { time(hour, minute) + (seconds == [0] ? "" : ":" + padded($0, 2)) }
      }
    }
  }

  /// At one minute of several hours, and at its first second.
  private var hourly: String {
    let at = minutes == [0] ? "" : " at minute \(minutes[0])"
    if let step = regularStep(hour, of: 24) {
      return (step == 1 ? "every hour" : "every \(step) hours") + at
    }
    if let step = evenStep(hours) {
      return
        "every \(counted(step, "hour")) from \(time(hours.first!, minutes[0])) to \(time(hours.last!, minutes[0]))"
    }
    return "at " + joined(hours.map { time($0, minutes[0]) })
  }

  /// Nil: at the first second.
  private var secondsPhrase: String? {
    if seconds == [0] { return nil }
    if let step = regularStep(second, of: 60) { return step == 1 ? "every second" : "every \(step) seconds" }
    return "at \(seconds.count == 1 ? "second" : "seconds") \(joined(seconds.map(String.init)))"
      + (minutes.count == 60 ? " of every minute" : "")
  }

  /// Nil: one minute, and nothing but it, or every minute of which the seconds speak.
  private var minutesPhrase: String? {
    let ofSeconds = seconds != [0]
    if let step = regularStep(minute, of: 60) {
      if ofSeconds { return step == 1 ? nil : "in every \(ordinal(step)) minute" }
      return step == 1 ? "every minute" : "every \(step) minutes"
    }
    if minutes.count == 1, !ofSeconds { return nil }
    if let step = evenStep(minutes), minutes.count > Self.told, !ofSeconds {
      return "every \(counted(step, "minute")) from minute \(minutes.first!) to \(minutes.last!) of the hour"
    }
    let list = joined(
      spans(minutes).flatMap { $0.count > 2 ? ["\($0.first!) to \($0.last!)"] : $0.map(String.init) })
    return (ofSeconds ? "in " : "at ") + (minutes.count == 1 ? "minute " : "minutes ") + list
      + (hours.count == 24 ? " of every hour" : "")
  }

  /// Of which hours; nil: all.
  private var window: String? {
    if hours.count == 24 { return nil }
    if let step = regularStep(hour, of: 24) { return "in every \(ordinal(step)) hour from midnight" }
    return joined(
      spans(hours).map { "from \(time($0.first!, minutes.first!)) to \(time($0.last!, minutes.last!))" })
  }

  private func time(_ hour: Int, _ minute: Int) -> String { padded(hour, 2) + ":" + padded(minute, 2) }

  /// `*` and `*/n` where n goes into the whole: else the last step is shorter than the others.
  private func regularStep(_ field: CronField, of whole: Int) -> Int? {
    guard field.items.count == 1, case .any(let step) = field.items[0] else { return nil }
    return whole % step == 0 && step < whole ? step : nil
  }

  /// Runs of consecutive numbers.
  private func spans(_ numbers: [Int]) -> [[Int]] {
    var spans: [[Int]] = []
    for number in numbers {
      if spans.last?.last == number - 1 {
        spans[spans.count - 1].append(number)
      } else {
        spans.append([number])
      }
    }
    return spans
  }

  private func evenStep(_ numbers: [Int]) -> Int? {
    let steps = Set(zip(numbers, numbers.dropFirst()).map { $1 - $0 })
    return steps.count == 1 ? steps.first : nil
  }
}

extension CronField {
  /// `*` or `?`.
  fileprivate var isEvery: Bool { items == [.any(step: 1)] }
}

private func consecutive(_ numbers: [Int]) -> ClosedRange<Int>? {
  guard let first = numbers.first, let last = numbers.last, last - first == numbers.count - 1, last > first
  else { return nil }
  return first...last
}

/// `1st`, `22nd`, `13th`.
private func ordinal(_ number: Int) -> String {
  let suffix =
    switch (number % 100, number % 10) {
    case (11...13, _): "th"
    case (_, 1): "st"
    case (_, 2): "nd"
    case (_, 3): "rd"
    default: "th"
    }
  return "\(number)\(suffix)"
}

private func counted(_ count: Int, _ noun: String) -> String { count == 1 ? noun : "\(count) \(noun)s" }

/// `a`, `a and b`, `a, b and c`.
private func joined(_ words: [String]) -> String {
  guard words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
}
