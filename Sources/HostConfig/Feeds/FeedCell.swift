import TriggerCore

/// Turns the text of one CSV cell into a value.
enum FeedCell {
  /// By its looks: a number where nothing of the text is lost. That is an integer as JSON writes it that fits 64 bits,
  /// and a decimal fraction with digits on both sides of its point, 17 at most that count, and no exponent: `7`, `-2.50`.
  /// All else is text, as it is: `007`, `+1`, ` 12`, `2e8`, `1_000`, `0x10` are often names of something.
  static func guess(_ text: String) -> Value {
    isPlainNumber(text.utf8[...]) ? Int64(text).map(Value.int) ?? fraction(text) : .string(text)
  }

  /// The grammar; `-0` is none, since it would print as `0`.
  private static func isPlainNumber(_ text: Substring.UTF8View) -> Bool {
    var rest = text
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest.removeFirst() }
    let whole = rest.prefix(while: isDigit)
    guard let first = whole.first, whole.count == 1 || first != UInt8(ascii: "0") else { return false }
    rest = rest.dropFirst(whole.count)
    if rest.isEmpty { return !isNegative || first != UInt8(ascii: "0") }
    guard rest.first == UInt8(ascii: ".") else { return false }
    let digits = rest.dropFirst()
    return !digits.isEmpty && digits.allSatisfy(isDigit)
  }

  /// A fraction, unless it has more digits than a number keeps; an integer that does not fit has no point.
  private static func fraction(_ text: String) -> Value {
    let digits = text.utf8.filter(isDigit).drop { $0 == UInt8(ascii: "0") }
    guard digits.count <= 17, text.utf8.contains(UInt8(ascii: ".")), let number = Double(text),
      number.isFinite
    else { return .string(text) }
    return .double(number)
  }

  /// As the config says. Nil when the text is not of that type.
  static func convert(_ text: String, to type: FeedSettings.Column.CellType) -> Value? {
    switch type {
    case .string, .skip: .string(text)
    case .integer: Int64(trim(text)).map(Value.int)
    case .number: number(trim(text)).map(Value.double)
    case .boolean: ConfigNode.bool(String(trim(text))).map(Value.bool)
    }
  }

  /// What a type is called in "expected …".
  static func words(for type: FeedSettings.Column.CellType) -> String {
    switch type {
    case .string, .skip: "text"
    case .integer: "an integer"
    case .number: "a number"
    case .boolean: "true or false"
    }
  }

  /// A finite decimal number: JSON's grammar, with a plus, leading zeros and a bare point before digits allowed.
  private static func number(_ text: Substring) -> Double? {
    var rest = text.utf8[...]
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      guard !fraction.isEmpty else { return nil }
      rest = rest.dropFirst(1 + fraction.count)
    } else if whole.isEmpty {
      return nil
    }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
      rest.removeFirst()
      if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
      guard !rest.isEmpty, rest.allSatisfy(isDigit) else { return nil }
      rest = rest.suffix(0)
    }
    guard rest.isEmpty, let number = Double(text), number.isFinite else { return nil }
    return number
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func trim(_ text: String) -> Substring {
    var trimmed = text[...]
    while let last = trimmed.last, last == " " || last == "\t" { trimmed.removeLast() }
    return trimmed.drop { $0 == " " || $0 == "\t" }
  }
}
