extension JSONParser {
  /// "expected ..., got ..." at the current offset.
  func unexpected(_ expected: String) -> ValueError {
    error(.badJSON, "expected \(expected), got \(found)", at: offset)
  }

  func error(_ code: ValueError.Code, _ message: String, at start: Int) -> ValueError {
    let (line, column) = position(of: start)
    return ValueError(code, "\(line):\(column): \(message)", offset: start)
  }

  /// A key in a message: what is long is cut.
  static func shown(_ key: String) -> String {
    key.count <= 60 ? "'\(key)'" : "'\(key.prefix(60))...'"
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 95, 97...122: true
    default: false
    }
  }

  /// What stands at the current offset: a word of at most 20 letters, one character, or a byte.
  private var found: String {
    guard let current else { return "the end of the text" }
    let rest = bytes[offset...]
    if rest.starts(with: [0xef, 0xbb, 0xbf]) { return "a byte order mark" }
    let word = rest.prefix { Self.isWordByte($0) }.prefix(20)
    if !word.isEmpty { return "'\(String(decoding: word, as: UTF8.self))'" }
    let character = rest.prefix(1) + rest.dropFirst().prefix(3).prefix { $0 & 0xc0 == 0x80 }
    if current > 0x20, current != 0x7f, let text = String(validating: character, as: UTF8.self) {
      return "'\(text)'"
    }
    let hex = String(current, radix: 16)
    return "the byte 0x" + (hex.count == 1 ? "0" : "") + hex
  }

  /// Line and column from 1; a column is a Unicode scalar.
  private func position(of target: Int) -> (line: Int, column: Int) {
    var (line, column) = (1, 1)
    for byte in bytes[..<min(target, bytes.count)] {
      if byte == 0x0a {
        (line, column) = (line + 1, 1)
      } else if byte & 0xc0 != 0x80 {
        column += 1
      }
    }
    return (line, column)
  }
}
