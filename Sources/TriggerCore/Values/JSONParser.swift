/// Parses JSON text from memory it does not own; `JSON` documents the rules.
///
/// Only byte offsets are tracked; line and column are counted when an error is made.
struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  var offset = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func finish() throws(ValueError) {
    skipSpace()
    guard offset == bytes.count else { throw unexpected("the end of the text") }
  }

  mutating func value(depthLeft: Int) throws(ValueError) -> Value {
    skipSpace()
    guard offset < bytes.count else { throw unexpected("a value") }
    switch bytes[offset] {
    case UInt8(ascii: "{"):
      try checkDepth(depthLeft)
      return try map(depthLeft: depthLeft - 1)
    case UInt8(ascii: "["):
      try checkDepth(depthLeft)
      return try array(depthLeft: depthLeft - 1)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw unexpected("a value")
    }
  }

  private func checkDepth(_ depthLeft: Int) throws(ValueError) {
    guard depthLeft > 0 else { throw error(.tooDeep, "nested too deep", at: offset) }
  }

  private mutating func array(depthLeft: Int) throws(ValueError) -> Value {
    offset += 1
    var elements: [Value] = []
    if skip(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value(depthLeft: depthLeft))
      if skip(UInt8(ascii: "]")) { return .array(elements) }
      guard skip(UInt8(ascii: ",")) else { throw unexpected("',' or ']'") }
    }
  }

  private mutating func map(depthLeft: Int) throws(ValueError) -> Value {
    offset += 1
    var entries: Value.Map = [:]
    if skip(UInt8(ascii: "}")) { return .map(entries) }
    while true {
      skipSpace()
      let keyStart = offset
      guard current == UInt8(ascii: "\"") else { throw unexpected("a key in double quotes") }
      let key = try string()
      guard skip(UInt8(ascii: ":")) else { throw unexpected("':'") }
      guard entries.updateValue(try value(depthLeft: depthLeft), forKey: key) == nil else {
        throw error(.duplicateKey, "the key \(Self.shown(key)) is already in the map", at: keyStart)
      }
      if skip(UInt8(ascii: "}")) { return .map(entries) }
      guard skip(UInt8(ascii: ",")) else { throw unexpected("',' or '}'") }
    }
  }

  private mutating func word(_ text: StaticString, _ value: Value) throws(ValueError) -> Value {
    let end = offset + text.utf8CodeUnitCount
    guard end <= bytes.count else { throw unexpected("a value") }
    for index in offset..<end where bytes[index] != text.utf8Start[index - offset] {
      throw unexpected("a value")
    }
    if end < bytes.count, Self.isWordByte(bytes[end]) { throw unexpected("a value") }
    offset = end
    return value
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, RFC 8259, section 6.
  private mutating func number() throws(ValueError) -> Value {
    let start = offset
    var isInteger = true
    if current == UInt8(ascii: "-") { offset += 1 }
    if current == UInt8(ascii: "0") {
      offset += 1
      if isDigit { throw error(.badJSON, "a number starts with a needless 0", at: start) }
    } else {
      try digits("a digit")
    }
    if current == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      try digits("a digit after the point")
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      offset += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
      try digits("a digit in the exponent")
    }
    return isInteger ? try integer(from: start) : try float(from: start)
  }

  private func integer(from start: Int) throws(ValueError) -> Value {
    let isNegative = bytes[start] == UInt8(ascii: "-")
    var number: Int64 = 0
    for index in (isNegative ? start + 1 : start)..<offset {
      let digit = Int64(bytes[index] - UInt8(ascii: "0"))
      let (product, overflow) = number.multipliedReportingOverflow(by: 10)
      // Counted downwards, as Int64.min has no positive twin.
      let (sum, overflowToo) = product.subtractingReportingOverflow(digit)
      if overflow || overflowToo { throw beyondInt64(at: start) }
      number = sum
    }
    if isNegative { return .int(number) }
    guard number != .min else { throw beyondInt64(at: start) }
    return .int(-number)
  }

  private func beyondInt64(at start: Int) -> ValueError {
    error(.numberRange, "the integer does not fit 64 bits; write it as a string or with .0", at: start)
  }

  private func float(from start: Int) throws(ValueError) -> Value {
    let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<offset]), as: UTF8.self)
    guard let number = Double(text) else { throw error(.badJSON, "expected a number", at: start) }
    guard number.isFinite else {
      throw error(.numberRange, "the number is beyond a 64-bit float", at: start)
    }
    return .double(number)
  }

  private mutating func digits(_ expected: String) throws(ValueError) {
    guard isDigit else { throw unexpected(expected) }
    while isDigit { offset += 1 }
  }

  private var isDigit: Bool {
    guard let current else { return false }
    return current >= UInt8(ascii: "0") && current <= UInt8(ascii: "9")
  }

  var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0a, 0x0d: offset += 1
      default: return
      }
    }
  }

  /// Skips white space and then `byte`, if it is there.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipSpace()
    guard current == byte else { return false }
    offset += 1
    return true
  }
}
