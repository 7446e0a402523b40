/// Lua text cut into tokens: enough to tell names from what comments and strings say. Any text can be cut, also one
/// that is no Lua. O(its size).
package struct LuaTokens {
  package struct Token {
    /// `text` of a string is what stands between its quotes, escapes and all.
    package enum Kind { case word, string, other }

    package var kind: Kind
    package var text: String
    /// From 1.
    package var line: Int

    /// A word or a sign, not a string of the same text.
    package func isSource(_ text: String) -> Bool { kind != .string && self.text == text }
  }

  package private(set) var tokens: [Token] = []
  private let source: [UInt8]
  private var position = 0
  private var line = 1

  package init(_ source: [UInt8]) {
    self.source = source
    while let byte = peek() { read(byte) }
  }

  private func peek(_ distance: Int = 0) -> UInt8? {
    position + distance < source.count ? source[position + distance] : nil
  }

  private mutating func read(_ byte: UInt8) {
    switch Character(UnicodeScalar(byte)) {
    case "\n", "\r": endLine()
    case " ", "\t", "\u{B}", "\u{C}": position += 1
    case "-" where peek(1) == byte: skipComment()
    case "\"", "'": readString(byte)
    case "[" where longBracket != nil:
      let begin = line
      add(.string, readLong(level: longBracket!), begin)
    case "a"..."z", "A"..."Z", "_": add(.word, read { $0.isName })
    case "0"..."9": add(.other, read { $0.isName || $0 == UInt8(ascii: ".") })
    case "=", "~", "<", ">":
      let length = peek(1) == UInt8(ascii: "=") ? 2 : 1
      add(.other, text(position, position + length))
      position += length
    default:
      add(.other, text(position, position + 1))
      position += 1
    }
  }

  /// As Lua counts lines: two different ones of these together end one.
  private mutating func endLine() {
    let first = peek()
    line += 1
    position += 1
    if let second = peek(), second.endsLine, second != first { position += 1 }
  }

  private mutating func add(_ kind: Token.Kind, _ text: String, _ line: Int? = nil) {
    tokens.append(Token(kind: kind, text: text, line: line ?? self.line))
  }

  private func text(_ start: Int, _ end: Int) -> String {
    String(decoding: source[start..<end], as: UTF8.self)
  }

  private mutating func read(while isPart: (UInt8) -> Bool) -> String {
    let start = position
    while let byte = peek(), isPart(byte) { position += 1 }
    return text(start, position)
  }

  private mutating func skipComment() {
    position += 2
    if let level = longBracket { _ = readLong(level: level) } else { _ = read { !$0.endsLine } }
  }

  /// The number of `=` in a bracket that begins a long string here.
  private var longBracket: Int? {
    guard peek() == UInt8(ascii: "[") else { return nil }
    var level = 0
    while peek(1 + level) == UInt8(ascii: "=") { level += 1 }
    return peek(1 + level) == UInt8(ascii: "[") ? level : nil
  }

  private mutating func readLong(level: Int) -> String {
    let bracket = UInt8(ascii: "]")
    let close = [bracket] + [UInt8](repeating: UInt8(ascii: "="), count: level) + [bracket]
    position += close.count
    let start = position
    while let byte = peek(), !source[position...].starts(with: close) {
      if byte.endsLine { endLine() } else { position += 1 }
    }
    let end = position
    position = min(position + close.count, source.count)
    return text(start, end)
  }

  /// One that is not closed ends with its line.
  private mutating func readString(_ quote: UInt8) {
    let begin = line
    position += 1
    let start = position
    while let byte = peek(), byte != quote {
      if byte.endsLine { break }
      position += 1
      guard byte == UInt8(ascii: "\\"), let escaped = peek() else { continue }
      if escaped.endsLine { endLine() } else { position += 1 }
    }
    add(.string, text(start, position), begin)
    if peek() == quote { position += 1 }
  }
}

extension UInt8 {
  fileprivate var endsLine: Bool { self == UInt8(ascii: "\n") || self == UInt8(ascii: "\r") }

  /// Of a letter, a digit or `_`.
  fileprivate var isName: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20)
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || self == UInt8(ascii: "_")
  }
}

extension LuaTokens {
  /// Names that `local` gives outside of all blocks.
  package var outerLocals: [String] {
    var depth = 0
    var found: [String] = []
    for (index, token) in tokens.enumerated() {
      if depth == 0, token.isSource("local") { found += names(from: index + 1) }
      depth += token.nesting
    }
    return found
  }

  /// Of `function f`, or of `a <const>, b`.
  private func names(from start: Int) -> [String] {
    var found: [String] = []
    var index = start
    if index < tokens.count, tokens[index].isSource("function") { index += 1 }
    while index < tokens.count, tokens[index].kind == .word {
      found.append(tokens[index].text)
      index += 1
      if index + 2 < tokens.count, tokens[index].isSource("<") { index += 3 }
      guard index < tokens.count, tokens[index].isSource(",") else { break }
      index += 1
    }
    return found
  }
}

extension LuaTokens.Token {
  /// By how much a word moves the depth of blocks and brackets, before (closing) or behind it (opening).
  package var nesting: Int {
    if kind == .string { return 0 }
    switch text {
    case "function", "do", "if", "repeat", "(", "[", "{": return 1
    case "end", "until", ")", "]", "}": return -1
    default: return 0
    }
  }
}
