extension JSONParser {
  /// The string at the opening quote `offset`; leaves `offset` behind the closing one.
  mutating func string() throws(ValueError) -> String {
    let start = offset
    offset += 1
    var text: [UInt8] = []
    var hasEscape = false
    var runStart = offset
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        let run = UnsafeBufferPointer(rebasing: bytes[runStart..<offset])
        offset += 1
        // Without an escape, the text is taken from the input in one piece.
        if !hasEscape { return try validated(run, at: start) }
        text.append(contentsOf: run)
        return try validated(text, at: start)
      case UInt8(ascii: "\\"):
        hasEscape = true
        text.append(contentsOf: bytes[runStart..<offset])
        try escape(into: &text)
        runStart = offset
      case 0..<0x20:
        throw error(.badJSON, "a control character in a string must be escaped", at: offset)
      default:
        offset += 1
      }
    }
    throw unexpected("the closing '\"' of a string")
  }

  private func validated(_ units: some Sequence<UInt8>, at start: Int) throws(ValueError) -> String {
    guard let text = String(validating: units, as: UTF8.self) else {
      throw error(.badUTF8, "the string is not valid UTF-8", at: start)
    }
    return text
  }

  private mutating func escape(into text: inout [UInt8]) throws(ValueError) {
    let start = offset
    offset += 1
    guard let letter = current else { throw unexpected("an escape") }
    offset += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try unicodeEscape(at: start)
      text.append(contentsOf: UTF8.encode(scalar)!)
    default:
      throw error(.badJSON, "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u", at: start)
    }
  }

  /// The scalar of `\uXXXX`, or of a pair of them for surrogates; `offset` is behind the first `u`.
  private mutating func unicodeEscape(at start: Int) throws(ValueError) -> Unicode.Scalar {
    let high = try hexDigits()
    if let scalar = Unicode.Scalar(high) { return scalar }
    if high < 0xdc00, current == UInt8(ascii: "\\") {
      offset += 1
      if current == UInt8(ascii: "u") {
        offset += 1
        let low = try hexDigits()
        if (0xdc00...0xdfff).contains(low),
          let scalar = Unicode.Scalar(0x1_0000 + (high - 0xd800) << 10 + (low - 0xdc00))
        {
          return scalar
        }
      }
    }
    throw error(.badUTF8, "a lone surrogate; characters beyond U+FFFF take a pair", at: start)
  }

  private mutating func hexDigits() throws(ValueError) -> UInt32 {
    var number: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = current.flatMap(Self.hexDigit) else { throw unexpected("four hex digits") }
      number = number << 4 | digit
      offset += 1
    }
    return number
  }

  private static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}
