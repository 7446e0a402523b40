/// The one binary form of a `Value`: CBOR in the deterministic encoding of RFC 8949, section 4.2.1.
///
/// - null `f6`, booleans `f4` and `f5`, text (major type 3), byte strings (2), arrays (4), maps (5);
/// - integers of 64 bits in the shortest head, floats in the shortest of 16, 32 and 64 bits that
///   keeps the value, every NaN as `f97e00`; an integer is never written as a float or the reverse;
/// - definite lengths only, map keys are text, sorted by the bytes of their encoding (so shorter keys
///   come first).
///
/// Equal values have equal encodings and the reverse, so encodings may be compared and hashed in the
/// place of values.
public enum CanonicalEncoding {
  /// The encoding of `value`. O(size), plus sorting the keys of each map. Never fails; recurses once
  /// per level of nesting, so check values of unknown depth with `Value.validate` first.
  public static func encode(_ value: Value) -> [UInt8] {
    var output: [UInt8] = []
    append(value, to: &output)
    return output
  }

  /// Appends the encoding of `value` to `output`.
  public static func encode(_ value: Value, into output: inout [UInt8]) {
    append(value, to: &output)
  }

  /// The value of `bytes`, which must be one canonical encoding and nothing else. O(size).
  ///
  /// Throws `ValueError` with the byte offset: `bad_encoding` (truncated, trailing bytes, tags,
  /// indefinite lengths, undefined and other simple values, keys that are not text), `not_canonical`
  /// (longer head or float than needed, keys out of order, another NaN), `bad_utf8`,
  /// `duplicate_key`, `number_range` (an integer beyond Int64), `too_deep`.
  public static func decode(
    _ bytes: [UInt8], depth: Int = ValueLimits.depth
  ) throws(ValueError) -> Value {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(ValueError) in try decode(buffer, depth: depth) }
    }
    return try result.get()
  }

  /// As `decode(_:depth:)` for arrays; `buffer` is read only during the call.
  public static func decode(
    _ buffer: UnsafeRawBufferPointer, depth: Int = ValueLimits.depth
  ) throws(ValueError) -> Value {
    var decoder = CanonicalDecoder(buffer)
    let value = try decoder.value(depthLeft: depth)
    try decoder.finish()
    return value
  }
}

// Writing. The package-level functions let records be composed around values already encoded.
extension CanonicalEncoding {
  /// Major types, already shifted to the top three bits of the initial byte.
  enum Major {
    static let unsigned: UInt8 = 0 << 5
    static let negative: UInt8 = 1 << 5
    static let bytes: UInt8 = 2 << 5
    static let text: UInt8 = 3 << 5
    static let array: UInt8 = 4 << 5
    static let map: UInt8 = 5 << 5
    static let tag: UInt8 = 6 << 5
    static let simple: UInt8 = 7 << 5
  }

  package static func appendInt(_ value: Int64, to output: inout [UInt8]) {
    if value >= 0 {
      appendHead(Major.unsigned, UInt64(value), to: &output)
    } else {
      appendHead(Major.negative, UInt64(bitPattern: ~value), to: &output)
    }
  }

  package static func appendText(_ text: String, to output: inout [UInt8]) {
    appendHead(Major.text, UInt64(text.utf8.count), to: &output)
    output.append(contentsOf: text.utf8)
  }

  package static func appendBytes(_ bytes: some Collection<UInt8>, to output: inout [UInt8]) {
    appendHead(Major.bytes, UInt64(bytes.count), to: &output)
    output.append(contentsOf: bytes)
  }

  /// The caller appends `count` bytes next, of text or of a byte string.
  package static func appendStringHead(isText: Bool, count: Int, to output: inout [UInt8]) {
    appendHead(isText ? Major.text : Major.bytes, UInt64(count), to: &output)
  }

  /// The caller appends `count` encoded values next.
  package static func appendArrayHead(count: Int, to output: inout [UInt8]) {
    appendHead(Major.array, UInt64(count), to: &output)
  }

  /// The caller appends `count` pairs of text key and value next, in the order of `keyPrecedes`.
  package static func appendMapHead(count: Int, to output: inout [UInt8]) {
    appendHead(Major.map, UInt64(count), to: &output)
  }

  /// The order of map keys: by length in bytes, then by bytes, which is the bytewise order of their
  /// encodings.
  package static func keyPrecedes(_ left: String, _ right: String) -> Bool {
    let (leftCount, rightCount) = (left.utf8.count, right.utf8.count)
    if leftCount != rightCount { return leftCount < rightCount }
    return left.utf8.lexicographicallyPrecedes(right.utf8)
  }

  private static func append(_ value: Value, to output: inout [UInt8]) {
    switch value {
    case .null: output.append(0xf6)
    case .bool(let flag): output.append(flag ? 0xf5 : 0xf4)
    case .int(let number): appendInt(number, to: &output)
    case .double(let number): appendDouble(number, to: &output)
    case .string(let text): appendText(text, to: &output)
    case .bytes(let bytes): appendBytes(bytes, to: &output)
    case .array(let elements):
      appendArrayHead(count: elements.count, to: &output)
      for element in elements { append(element, to: &output) }
    case .map(let entries): append(entries, to: &output)
    }
  }

  private static func append(_ entries: Value.Map, to output: inout [UInt8]) {
    appendMapHead(count: entries.count, to: &output)
    let sorted = entries.sorted { keyPrecedes($0.key, $1.key) }
    for (key, value) in sorted {
      appendText(key, to: &output)
      append(value, to: &output)
    }
  }

  private static func appendDouble(_ number: Double, to output: inout [UInt8]) {
    switch ShortestFloat(number) {
    case .half(let bits):
      output.append(0xf9)
      appendBigEndian(bits, to: &output)
    case .single(let bits):
      output.append(0xfa)
      appendBigEndian(bits, to: &output)
    case .double(let bits):
      output.append(0xfb)
      appendBigEndian(bits, to: &output)
    }
  }

  private static func appendHead(_ major: UInt8, _ argument: UInt64, to output: inout [UInt8]) {
    switch argument {
    case 0..<24: output.append(major | UInt8(argument))
    case 24...0xff:
      output.append(major | 24)
      output.append(UInt8(argument))
    case 0x100...0xffff:
      output.append(major | 25)
      appendBigEndian(UInt16(argument), to: &output)
    case 0x1_0000...0xffff_ffff:
      output.append(major | 26)
      appendBigEndian(UInt32(argument), to: &output)
    default:
      output.append(major | 27)
      appendBigEndian(argument, to: &output)
    }
  }

  @inline(__always)
  private static func appendBigEndian<Integer: FixedWidthInteger>(
    _ integer: Integer, to output: inout [UInt8]
  ) {
    withUnsafeBytes(of: integer.bigEndian) { output.append(contentsOf: $0) }
  }
}

// Sizes, for limits without encoding.
extension CanonicalEncoding {
  /// Bytes of a head with this argument.
  static func headSize(_ argument: UInt64) -> Int {
    switch argument {
    case 0..<24: 1
    case 24...0xff: 2
    case 0x100...0xffff: 3
    case 0x1_0000...0xffff_ffff: 5
    default: 9
    }
  }

  /// Bytes of anything but an array or a map.
  static func scalarSize(_ value: Value) -> Int {
    switch value {
    case .null, .bool: 1
    case .int(let number): headSize(UInt64(bitPattern: number >= 0 ? number : ~number))
    case .double(let number): ShortestFloat(number).size
    case .string(let text): headSize(UInt64(text.utf8.count)) + text.utf8.count
    case .bytes(let bytes): headSize(UInt64(bytes.count)) + bytes.count
    case .array, .map: preconditionFailure("containers are measured by their caller")
    }
  }
}
