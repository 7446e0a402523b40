/// Reads one field of a cron expression.
///
/// The grammar is that of cronie's crontab(5) with Quartz's `? L W #` (CronTrigger tutorial) and `a/step`.
/// Weekdays keep cron's numbers: 0 and 7 are Sunday, so `5L` is the last Friday.
struct CronFieldParser {
  let kind: CronFieldKind
  /// The field, and the column of its first character.
  let text: [Character]
  let column: Int

  init(_ kind: CronFieldKind, _ text: some StringProtocol, column: Int) {
    self.kind = kind
    self.text = Array(text)
    self.column = column
  }

  func parse() throws(CronSyntaxError) -> CronField {
    if text == ["?"] {
      guard kind == .dayOfMonth || kind == .dayOfWeek else {
        throw error(0, "`?` is for the day of month and the day of week; write `*` for every \(kind.name)")
      }
      return .every(kind)
    }
    var items: [CronField.Item] = []
    var start = 0
    while true {
      let end = text[start...].firstIndex(of: ",") ?? text.count
      guard end > start else { throw error(start, "a value is missing in the \(kind.name) list") }
      items.append(try item(start..<end))
      if end == text.count { break }
      start = end + 1
    }
    return CronField(items, kind: kind, isStar: text.first == "*")
  }

  // MARK: One item of the list

  private func item(_ bounds: Range<Int>) throws(CronSyntaxError) -> CronField.Item {
    if let special = try special(bounds) { return special }
    let slash = text[bounds].firstIndex(of: "/")
    let step = try slash.map { index throws(CronSyntaxError) in try self.step(index + 1..<bounds.upperBound) }
    let head = bounds.lowerBound..<(slash ?? bounds.upperBound)
    if String(text[head]) == "*" { return .any(step: step ?? 1) }
    if let dash = text[head].firstIndex(of: "-") {
      return .range(try range(head.lowerBound..<dash, dash + 1..<head.upperBound), step: step ?? 1)
    }
    let value = try self.value(head)
    guard let step else { return .value(value) }
    let end = kind == .dayOfWeek ? 6 : kind.range.upperBound
    guard value <= end else {
      throw error(head.lowerBound, "`\(String(text[head]))/\(step)` starts past \(end)")
    }
    return .range(value...end, step: step)
  }

  private func step(_ bounds: Range<Int>) throws(CronSyntaxError) -> Int {
    let word = String(text[bounds])
    guard isNumber(word), let step = Int(word), step > 0 else {
      throw error(bounds.lowerBound, "the step after `/` is a number from 1 up, got `\(word)`")
    }
    return step
  }

  private func range(_ low: Range<Int>, _ high: Range<Int>) throws(CronSyntaxError) -> ClosedRange<Int> {
    let first = try value(low)
    var last = try value(high)
    // `fri-sun`: Sunday ends a range as 7.
    if kind == .dayOfWeek, last == 0, first > 0 { last = 7 }
    guard first <= last else {
      let (text, top) = (
        String(text[low.lowerBound..<high.upperBound]), kind == .dayOfWeek ? 6 : kind.range.upperBound
      )
      let start = kind.range.lowerBound
      throw error(
        low.lowerBound,
        "range \(text) goes backwards; write "
          + (first > top ? "\(start)-\(last)" : "\(first)-\(top),\(start)-\(last)"))
    }
    return first...last
  }

  private func value(_ bounds: Range<Int>) throws(CronSyntaxError) -> Int {
    let word = String(text[bounds])
    guard !word.isEmpty else { throw error(bounds.lowerBound, "a \(kind.name) is missing here") }
    if isNumber(word) {
      guard let value = Int(word), kind.range.contains(value) else {
        throw error(bounds.lowerBound, "\(kind.name) \(word) is out of range \(limits)")
      }
      return value
    }
    if let index = kind.names.firstIndex(of: word.lowercased()) { return kind.range.lowerBound + index }
    if word.contains("~") {
      throw error(bounds.lowerBound, "random ranges (`~`) are not supported; use `jitter` on the job")
    }
    throw error(bounds.lowerBound, "`\(word)` is no \(kind.name) (\(expected))" + hint(word))
  }

  // MARK: L, W and #

  private func special(_ bounds: Range<Int>) throws(CronSyntaxError) -> CronField.Item? {
    let word = String(text[bounds]).uppercased()
    switch kind {
    case .dayOfMonth:
      if word == "L" { return .lastDay(before: 0) }
      if word == "LW" || word == "WL" { return .lastWorkday }
      if word.hasPrefix("L-") {
        return .lastDay(before: try number(bounds, word.dropFirst(2), at: 2, in: 1...30))
      }
      if word.hasSuffix("W") {
        return .nearestWorkday(try number(bounds, word.dropLast(), at: 0, in: 1...31))
      }
    case .dayOfWeek:
      if word == "L" { return .value(6) }
      if let hash = text[bounds].firstIndex(of: "#") {
        let nth = try number(
          bounds, word.drop { $0 != "#" }.dropFirst(), at: hash + 1 - bounds.lowerBound, in: 1...5)
        return .nthWeekday(try value(bounds.lowerBound..<hash) % 7, nth)
      }
      if word.hasSuffix("L"), word.count > 1 {
        return .lastWeekday(try value(bounds.lowerBound..<bounds.upperBound - 1) % 7)
      }
    default: break
    }
    return nil
  }

  private func number(
    _ bounds: Range<Int>, _ digits: Substring, at offset: Int, in range: ClosedRange<Int>
  ) throws(CronSyntaxError) -> Int {
    guard isNumber(digits), let number = Int(digits), range.contains(number) else {
      throw error(
        bounds.lowerBound + offset,
        "`\(String(text[bounds]))` needs a number from \(range.lowerBound) to \(range.upperBound) here, got `\(digits)`"
      )
    }
    return number
  }

  // MARK: Words

  private func isNumber(_ word: some StringProtocol) -> Bool {
    !word.isEmpty && word.count <= 6
      && word.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  private var limits: String {
    kind == .dayOfWeek ? "0-7 (0 and 7 are Sunday)" : "\(kind.range.lowerBound)-\(kind.range.upperBound)"
  }

  private var expected: String {
    kind.names.isEmpty ? limits : "\(limits), or \(kind.names[0])-\(kind.names[kind.names.count - 1])"
  }

  private func hint(_ word: String) -> String {
    if kind.names.isEmpty { return "" }
    return Suggestion.clause(for: word, among: kind.names)
  }

  private func error(_ offset: Int, _ message: String) -> CronSyntaxError {
    CronSyntaxError(column: column + offset, message: message)
  }
}
