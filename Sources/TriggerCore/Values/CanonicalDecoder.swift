/// Reads one canonical encoding from memory it does not own, and refuses everything else.
///
/// All lengths are checked against the bytes that are left before anything is reserved, so a forged
/// head cannot make it allocate.
struct CanonicalDecoder {
  private typealias Major = CanonicalEncoding.Major

  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  func finish() throws(ValueError) {
    guard offset == bytes.count else {
      throw error(.badEncoding, "\(bytes.count - offset) bytes after the end of the value", at: offset)
    }
  }

  mutating func value(depthLeft: Int) throws(ValueError) -> Value {
    let start = offset
    let initial = try byte()
    let major = initial & 0xe0
    if major == Major.simple { return try simple(initial, at: start) }
    if major == Major.tag { throw error(.badEncoding, "tags are not supported", at: start) }
    let argument = try self.argument(initial, at: start)
    switch major {
    case Major.unsigned, Major.negative: return try integer(major, argument, at: start)
    case Major.bytes: return .bytes(Array(try bytes(argument, at: start)))
    case Major.text: return .string(try text(argument, at: start))
    default:
      guard depthLeft > 0 else { throw error(.tooDeep, "nested too deep", at: start) }
      return major == Major.array
        ? try array(argument, at: start, depthLeft: depthLeft - 1)
        : try map(argument, at: start, depthLeft: depthLeft - 1)
    }
  }

  private func integer(_ major: UInt8, _ argument: UInt64, at start: Int) throws(ValueError) -> Value {
    guard let magnitude = Int64(exactly: argument) else {
      throw error(.numberRange, "the integer does not fit 64 bits with sign", at: start)
    }
    return .int(major == Major.unsigned ? magnitude : ~magnitude)
  }

  private mutating func array(
    _ argument: UInt64, at start: Int, depthLeft: Int
  ) throws(ValueError) -> Value {
    let count = try self.count(argument, bytesEach: 1, at: start)
    var elements: [Value] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try value(depthLeft: depthLeft)) }
    return .array(elements)
  }

  private mutating func map(_ argument: UInt64, at start: Int, depthLeft: Int) throws(ValueError) -> Value {
    let count = try self.count(argument, bytesEach: 2, at: start)
    var entries = Value.Map(minimumCapacity: count)
    var previous: Range<Int>?
    for _ in 0..<count {
      let keyStart = offset
      let key = try self.key()
      if let previous { try checkOrder(previous, keyStart..<offset) }
      previous = keyStart..<offset
      entries[key] = try self.value(depthLeft: depthLeft)
    }
    return .map(entries)
  }

  private mutating func key() throws(ValueError) -> String {
    let start = offset
    let initial = try byte()
    guard initial & 0xe0 == Major.text else {
      throw error(.badEncoding, "expected a text key", at: start)
    }
    return try text(try argument(initial, at: start), at: start)
  }

  /// Keys must rise by the bytes of their encodings (RFC 8949, section 4.2.1).
  private func checkOrder(_ previous: Range<Int>, _ next: Range<Int>) throws(ValueError) {
    for (left, right) in zip(previous, next) where bytes[left] != bytes[right] {
      if bytes[left] < bytes[right] { return }
      throw error(.notCanonical, "the key is out of order", at: next.lowerBound)
    }
    // A head gives the length, so encodings that agree as far as the shorter one goes are equal.
    throw error(.duplicateKey, "the key is already in the map", at: next.lowerBound)
  }

  private mutating func text(_ argument: UInt64, at start: Int) throws(ValueError) -> String {
    let slice = try bytes(argument, at: start)
    let units = slice.bindMemory(to: UInt8.self)
    guard let text = String(validating: units, as: UTF8.self) else {
      throw error(.badUTF8, "the text is not valid UTF-8", at: start)
    }
    return text
  }

  private mutating func simple(_ initial: UInt8, at start: Int) throws(ValueError) -> Value {
    switch initial {
    case 0xf4: return .bool(false)
    case 0xf5: return .bool(true)
    case 0xf6: return .null
    case 0xf9: return .double(try half(at: start))
    case 0xfa:
      let number = Float(bitPattern: UInt32(try bigEndian(4, at: start)))
      guard case .single = ShortestFloat(Double(number)) else { throw longFloat(at: start) }
      return .double(Double(number))
    case 0xfb:
      let number = Double(bitPattern: try bigEndian(8, at: start))
      guard case .double = ShortestFloat(number) else { throw longFloat(at: start) }
      return .double(number)
    case 0xf7: throw error(.badEncoding, "undefined is not a value", at: start)
    case 0xff: throw error(.badEncoding, "a break without an indefinite length", at: start)
    default: throw error(.badEncoding, "an unknown simple value", at: start)
    }
  }

  private mutating func half(at start: Int) throws(ValueError) -> Double {
    let bits = UInt16(try bigEndian(2, at: start))
    guard bits & 0x7fff > 0x7c00 else { return ShortestFloat.double(fromHalf: bits) }
    guard bits == ShortestFloat.canonicalNaN else {
      throw error(.notCanonical, "NaN must be f97e00", at: start)
    }
    return .nan
  }

  private func longFloat(at start: Int) -> ValueError {
    error(.notCanonical, "the float fits a shorter form", at: start)
  }

  /// The argument of a head (RFC 8949, section 3), in its shortest form only.
  private mutating func argument(_ initial: UInt8, at start: Int) throws(ValueError) -> UInt64 {
    let low = initial & 0x1f
    let argument: UInt64
    let least: UInt64
    switch low {
    case 0..<24: return UInt64(low)
    case 24: (argument, least) = (try bigEndian(1, at: start), 24)
    case 25: (argument, least) = (try bigEndian(2, at: start), 0x100)
    case 26: (argument, least) = (try bigEndian(4, at: start), 0x1_0000)
    case 27: (argument, least) = (try bigEndian(8, at: start), 0x1_0000_0000)
    case 31: throw error(.badEncoding, "indefinite lengths are not supported", at: start)
    default: throw error(.badEncoding, "reserved additional information \(low)", at: start)
    }
    guard argument >= least else {
      throw error(.notCanonical, "the length or integer fits a shorter form", at: start)
    }
    return argument
  }

  private mutating func byte() throws(ValueError) -> UInt8 {
    guard offset < bytes.count else { throw truncated(at: offset) }
    defer { offset += 1 }
    return bytes[offset]
  }

  @inline(__always)
  private mutating func bigEndian(_ count: Int, at start: Int) throws(ValueError) -> UInt64 {
    guard bytes.count - offset >= count else { throw truncated(at: start) }
    var integer: UInt64 = 0
    for index in offset..<offset + count { integer = integer << 8 | UInt64(bytes[index]) }
    offset += count
    return integer
  }

  private mutating func bytes(
    _ argument: UInt64, at start: Int
  ) throws(ValueError) -> UnsafeRawBufferPointer {
    let count = try self.count(argument, bytesEach: 1, at: start)
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// A number of items that the bytes left can hold.
  private func count(_ argument: UInt64, bytesEach: Int, at start: Int) throws(ValueError) -> Int {
    guard argument <= UInt64((bytes.count - offset) / bytesEach) else { throw truncated(at: start) }
    return Int(argument)
  }

  private func truncated(at start: Int) -> ValueError {
    error(.badEncoding, "the value is cut short", at: start)
  }

  private func error(_ code: ValueError.Code, _ message: String, at start: Int) -> ValueError {
    ValueError(code, "byte \(start): \(message)", offset: start)
  }
}
