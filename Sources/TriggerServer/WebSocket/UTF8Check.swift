/// Whether bytes that come piece by piece are UTF-8 (RFC 3629, section 4): says no at the first byte that no text has
/// there, however the bytes are cut.
struct UTF8Check {
  /// Bytes of the last character that have not come.
  private var missing = 0
  /// What the next of them may be.
  private var bounds = any
  private static let any = UInt8(0x80)...UInt8(0xBF)

  /// Whether a text may end here.
  var isWhole: Bool { missing == 0 }

  /// Some more bytes; false: this is no UTF-8. Linear in their number.
  mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    while index < bytes.count {
      if missing == 0 { index = Self.endOfASCII(bytes, from: index) }
      guard index < bytes.count else { break }
      guard accept(bytes[index]) else { return false }
      index += 1
    }
    return true
  }

  /// Where the first eight bytes begin that are not all ASCII.
  private static func endOfASCII(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var index = start
    while index + 8 <= bytes.count,
      bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
    {
      index += 8
    }
    return index
  }

  private mutating func accept(_ byte: UInt8) -> Bool {
    if missing > 0 {
      guard bounds.contains(byte) else { return false }
      (missing, bounds) = (missing - 1, Self.any)
      return true
    }
    switch byte {
    case 0x00...0x7F: break
    case 0xC2...0xDF: missing = 1
    // Not longer than needed, no surrogate, nothing above U+10FFFF.
    case 0xE0: (missing, bounds) = (2, 0xA0...0xBF)
    case 0xED: (missing, bounds) = (2, 0x80...0x9F)
    case 0xE1...0xEF: missing = 2
    case 0xF0: (missing, bounds) = (3, 0x90...0xBF)
    case 0xF1...0xF3: missing = 3
    case 0xF4: (missing, bounds) = (3, 0x80...0x8F)
    default: return false
    }
    return true
  }
}
