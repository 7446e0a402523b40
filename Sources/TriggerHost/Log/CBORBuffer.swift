import Glibc

/// Writes CBOR items (RFC 8949) into memory that grows. Log records are written with it, one after another, without an
/// allocation for each. Not thread-safe.
package final class CBORBuffer {
  @exclusivity(unchecked) package private(set) var base: UnsafeMutableRawPointer
  private var capacity: Int
  @exclusivity(unchecked) package private(set) var count = 0

  package init(capacity: Int = 1 << 16) {
    self.capacity = capacity
    base = malloc(capacity)!
  }

  deinit { free(base) }

  package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  package func removeAll() { count = 0 }

  @inline(__always)
  private func reserve(_ more: Int) {
    if count &+ more <= capacity { return }
    while count &+ more > capacity { capacity *= 2 }
    base = realloc(base, capacity)!
  }

  @inline(__always)
  private func head(_ major: UInt8, _ value: UInt64) {
    reserve(9)
    let top = major << 5
    switch value {
    case 0..<24: put(top | UInt8(value))
    case 24...0xff:
      put(top | 24)
      put(UInt8(value))
    case 0x100...0xffff:
      put(top | 25)
      putBig(UInt16(value))
    case 0x1_0000...0xffff_ffff:
      put(top | 26)
      putBig(UInt32(value))
    default:
      put(top | 27)
      putBig(value)
    }
  }

  @inline(__always)
  private func put(_ byte: UInt8) {
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count &+= 1
  }

  @inline(__always)
  private func putBig(_ value: some FixedWidthInteger) {
    base.storeBytes(of: value.bigEndian, toByteOffset: count, as: type(of: value.bigEndian))
    count &+= value.bitWidth / 8
  }

  @inline(__always) package func array(_ count: Int) { head(4, UInt64(count)) }
  @inline(__always) package func uint(_ value: UInt64) { head(0, value) }
  @inline(__always)
  package func int(_ value: Int64) {
    if value >= 0 { head(0, UInt64(value)) } else { head(1, UInt64(bitPattern: ~value)) }
  }
  @inline(__always)
  package func null() {
    reserve(1)
    put(0xf6)
  }

  /// A byte string that contains an encoded array without elements.
  @inline(__always)
  package func emptyArrayBlob() {
    reserve(2)
    put(0x41)
    put(0x80)
  }

  /// A byte string.
  @inline(__always)
  package func blob(_ bytes: UnsafeRawBufferPointer) {
    head(2, UInt64(bytes.count))
    raw(bytes)
  }

  package func blob(_ bytes: [UInt8]) { bytes.withUnsafeBytes { blob($0) } }
  package func raw(_ bytes: [UInt8]) { bytes.withUnsafeBytes { raw($0) } }

  /// A byte string: the text in UTF-8.
  package func blob(_ text: String) {
    var text = text
    text.withUTF8 { blob(UnsafeRawBufferPointer($0)) }
  }

  package func text(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      head(3, UInt64(utf8.count))
      raw(UnsafeRawBufferPointer(utf8))
    }
  }

  /// An item that is encoded already.
  @inline(__always)
  package func raw(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    memcpy(base + count, start, bytes.count)
    count &+= bytes.count
  }
}

/// Reads the items that `CBORBuffer` writes, without building values. Every method throws `LogDamage` when the next
/// item is of another kind, or the bytes end too early.
package struct CBORReader {
  private let bytes: UnsafeRawBufferPointer
  package private(set) var offset = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var isAtEnd: Bool { offset >= bytes.count }

  /// Passes over the head of the next item and, when the item is a string, over its bytes. Returns the place of these
  /// bytes; nil for another item.
  fileprivate mutating func string() throws(LogDamage) -> Range<Int>? {
    let (major, value) = try head()
    guard major == 2 || major == 3 else { return nil }
    guard value <= bytes.count - offset else {
      throw LogDamage("ends in the middle of a record", offset: offset)
    }
    let start = offset
    offset += Int(value)
    return start..<offset
  }

  private mutating func head() throws(LogDamage) -> (major: UInt8, value: UInt64) {
    guard offset < bytes.count else { throw LogDamage("ends in the middle of a record", offset: offset) }
    let first = bytes[offset]
    offset += 1
    let (major, low) = (first >> 5, first & 31)
    if low < 24 { return (major, UInt64(low)) }
    guard low <= 27 else { throw LogDamage("byte \(first) starts no item of a record", offset: offset - 1) }
    let width = 1 << Int(low - 24)
    guard bytes.count - offset >= width else {
      throw LogDamage("ends in the middle of a record", offset: offset)
    }
    var value: UInt64 = 0
    for _ in 0..<width {
      value = value << 8 | UInt64(bytes[offset])
      offset += 1
    }
    return (major, value)
  }

  private mutating func head(_ wanted: UInt8, _ what: String) throws(LogDamage) -> UInt64 {
    let start = offset
    let (major, value) = try head()
    guard major == wanted else { throw LogDamage("expected \(what)", offset: start) }
    return value
  }

  package mutating func array() throws(LogDamage) -> Int {
    let start = offset
    let count = try head(4, "an array")
    // An item takes at least one byte.
    guard count <= UInt64(bytes.count - offset) else {
      throw LogDamage("an array is longer than the log", offset: start)
    }
    return Int(count)
  }

  /// The entries of the next item, a map. Each is the text of the key and the encoded value, as places in the reader's
  /// bytes.
  package mutating func entries() throws(LogDamage) -> [(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  )] {
    let start = offset
    let count = try head(5, "a map")
    guard count <= UInt64(bytes.count - offset) / 2 else {
      throw LogDamage("a map is longer than the log", offset: start)
    }
    var entries: [(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []
    entries.reserveCapacity(Int(count))
    for _ in 0..<count { entries.append((try textBytes(), try raw())) }
    return entries
  }

  /// A number of the next item that counts something: not below zero.
  package mutating func count() throws(LogDamage) -> Int {
    let start = offset
    guard let count = Int32(exactly: try uint()) else {
      throw LogDamage("a count is out of range", offset: start)
    }
    return Int(count)
  }

  package mutating func uint() throws(LogDamage) -> UInt64 { try head(0, "a number") }

  package mutating func int() throws(LogDamage) -> Int64 {
    let start = offset
    let (major, value) = try head()
    guard major < 2, value <= UInt64(Int64.max) else { throw LogDamage("expected an integer", offset: start) }
    return major == 0 ? Int64(value) : ~Int64(value)
  }

  /// True when the next item is null. Then the reader passes over the item.
  package mutating func null() -> Bool {
    guard offset < bytes.count, bytes[offset] == 0xf6 else { return false }
    offset += 1
    return true
  }

  package mutating func blob() throws(LogDamage) -> UnsafeRawBufferPointer { try bytes(try head(2, "bytes")) }
  package mutating func text() throws(LogDamage) -> String { try textBytes().utf8Text }
  package mutating func textBytes() throws(LogDamage) -> UnsafeRawBufferPointer {
    try bytes(try head(3, "text"))
  }

  private mutating func bytes(_ count: UInt64) throws(LogDamage) -> UnsafeRawBufferPointer {
    guard count <= UInt64(bytes.count - offset) else {
      throw LogDamage("ends in the middle of a record", offset: offset)
    }
    defer { offset += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
  }

  /// The encoded bytes of the next item, of any kind.
  package mutating func raw() throws(LogDamage) -> UnsafeRawBufferPointer {
    let start = offset
    var open: UInt64 = 1
    while open > 0 {
      let (major, value) = try head()
      open -= 1
      guard major != 4 && major != 5 || value <= UInt64(bytes.count) else {
        throw LogDamage("an array is longer than the log", offset: start)
      }
      switch major {
      case 2, 3: _ = try bytes(value)
      case 4: open += value
      case 5: open += value * 2
      case 6: open += 1
      default: break
      }
    }
    return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
  }
}

/// Bytes of a log are not what was written.
public struct LogDamage: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, for people.
  public let message: String
  /// The place of the fault in the bytes that were read, in bytes from their start.
  public let offset: Int

  package init(_ message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }

  /// `damaged at byte 5: expected an array`.
  public var description: String { "damaged at byte \(offset): \(message)" }
}

extension CBORBuffer {
  /// Finds the strings of at least `threshold` bytes, and of at least one byte, in the item that was written last.
  /// O(items in it).
  ///
  /// - Parameters:
  ///   - count: the number of bytes of the item.
  ///   - ranges: gets the places of the strings in the buffer, without their heads.
  package func findContents(inLast count: Int, from threshold: Int, _ ranges: inout [Range<Int>]) {
    let start = self.count - count
    var reader = CBORReader(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    do {
      while !reader.isAtEnd {
        guard let string = try reader.string(), string.count >= max(threshold, 1) else { continue }
        ranges.append(string.shifted(by: start))
      }
    } catch { preconditionFailure("a value of our own cannot be read: \(error)") }
  }
}

extension Range<Int> {
  package func shifted(by offset: Int) -> Range { lowerBound + offset..<upperBound + offset }
}
