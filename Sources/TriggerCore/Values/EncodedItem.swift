/// What the first bytes of a canonical encoding say, without decoding it: for those who put encodings together.
package struct EncodedItem {
  package enum Kind { case integer, bytes, text, array, map, simple }

  package let kind: Kind
  /// Bytes before a string's own, or an array's first element.
  package let headSize: Int
  /// Of a string its bytes, of an array its elements, of a map its entries.
  package let count: Int

  /// Nil when these bytes are no canonical encoding; what follows the head is not looked at, but for the length of a
  /// string.
  package init?(_ bytes: UnsafeRawBufferPointer) {
    guard let (major, argument, size) = Self.head(bytes, at: 0) else { return nil }
    headSize = size
    count = Int(clamping: argument)
    let left = bytes.count - size
    switch major {
    case 0, 1: kind = .integer
    case 2, 3:
      guard count == left else { return nil }
      kind = major == 2 ? .bytes : .text
    case 4:
      guard count <= left else { return nil }
      kind = .array
    case 5: kind = .map
    case 7: kind = .simple
    default: return nil
    }
  }

  /// Bytes that the head of a string or an array takes.
  package static func headSize(_ count: Int) -> Int { CanonicalEncoding.headSize(UInt64(count)) }

  private static func head(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) -> (major: UInt8, argument: UInt64, size: Int)? {
    guard offset < bytes.count else { return nil }
    let (major, low) = (bytes[offset] >> 5, bytes[offset] & 31)
    if low < 24 { return (major, UInt64(low), 1) }
    guard low <= 27 else { return nil }
    let width = 1 << Int(low - 24)
    guard bytes.count - offset > width else { return nil }
    var argument: UInt64 = 0
    for index in 1...width { argument = argument << 8 | UInt64(bytes[offset + index]) }
    return (major, argument, 1 + width)
  }

  /// How deep arrays and maps are nested in an encoding; 0 for a scalar, and for what is none. O(bytes).
  package static func depth(of bytes: UnsafeRawBufferPointer) -> Int {
    var open: [UInt64] = []  // items still to come, by level
    var (offset, deepest) = (0, 0)
    while let (major, argument, size) = head(bytes, at: offset) {
      offset += size
      if major == 2 || major == 3 {
        guard argument <= UInt64(bytes.count - offset) else { return deepest }
        offset += Int(argument)
      }
      if let last = open.indices.last { open[last] -= 1 }
      if major == 4 || major == 5 {
        open.append(major == 4 ? argument : argument &* 2)
        deepest = max(deepest, open.count)
      }
      while open.last == 0 { open.removeLast() }
      if open.isEmpty { break }
    }
    return deepest
  }
}
