import TriggerCore

/// Turns the text of one CSV cell into a value.
enum FeedCell {
  /// By its looks: a decimal integer that fits 64 bits is an int, a decimal number a double, all else
  /// text. `007` stays text, as do integers that do not fit: turning them into numbers loses digits.
  static func guess(_ text: String) -> Value {
    let trimmed = trim(text)
    if isInteger(trimmed) { return Int64(trimmed).map(Value.int) ?? .string(text) }
    return number(trimmed).map(Value.double) ?? .string(text)
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

  /// JSON's grammar of an integer: no leading zeros, no plus.
  private static func isInteger(_ text: Substring) -> Bool {
    let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8
    guard let first = digits.first else { return false }
    return digits.allSatisfy(isDigit) && (digits.count == 1 || first != UInt8(ascii: "0"))
  }

  /// A finite decimal number in JSON's grammar, a plus and a bare point before digits allowed.
  private static func number(_ text: Substring) -> Double? {
    var rest = text.utf8[...]
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    if whole.count > 1, whole.first == UInt8(ascii: "0") { return nil }
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
