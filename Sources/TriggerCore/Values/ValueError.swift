/// Why a value or a text that stands for one was refused.
///
/// Codes are stable and may be compared; messages may improve. Messages quote at most a short piece
/// of the offending input, `path` names keys of the value.
public struct ValueError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of refusal it was: the part of an error to compare. The set may grow.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code as logs and answers show it, in snake_case: `bad_json`.
    public let rawValue: String
    /// For codes read back from text; any text makes one.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// JSON text that breaks the grammar.
    public static let badJSON = Code(rawValue: "bad_json")
    /// Bytes that are no CBOR, or CBOR this engine has no value for (tags, undefined, half a value).
    public static let badEncoding = Code(rawValue: "bad_encoding")
    /// CBOR that says a value in another way than the deterministic one.
    public static let notCanonical = Code(rawValue: "not_canonical")
    /// Text that is not UTF-8, in JSON or in the canonical encoding; also lone surrogates in JSON escapes.
    public static let badUTF8 = Code(rawValue: "bad_utf8")
    /// A key that is in a map twice; in JSON also by Unicode equivalence.
    public static let duplicateKey = Code(rawValue: "duplicate_key")
    /// An integer that does not fit a signed 64-bit integer, or a float beyond a double.
    public static let numberRange = Code(rawValue: "number_range")
    /// Arrays and maps nested deeper than the limit (`ValueLimits.depth`).
    public static let tooDeep = Code(rawValue: "too_deep")
    /// A canonical encoding longer than the limit (`ValueLimits.encodedBytes`).
    public static let tooLarge = Code(rawValue: "too_large")
    /// NaN, an infinity or a byte string on its way to JSON.
    public static let noJSONForm = Code(rawValue: "no_json_form")
    /// Text that `TimeSpan.parse` cannot read, or a span beyond 292 years.
    public static let badTimeSpan = Code(rawValue: "bad_time_span")
    /// Text that `ByteSize` cannot read, or a size beyond 64 bits.
    public static let badByteSize = Code(rawValue: "bad_byte_size")
    /// Text that is no RFC 3339 time, or a day, time or offset that does not exist.
    public static let badTimestamp = Code(rawValue: "bad_timestamp")
  }

  /// What went wrong, to compare.
  public var code: Code
  /// One sentence without the path: what was wrong, and what would be right.
  public var message: String
  /// Where inside the value, like `$.items[3].f`; nil when the input is text or bytes, whose message
  /// holds the line and column or the byte offset.
  public var path: String?
  /// Offset in bytes from the start of the input; nil when the input was not text or bytes.
  public var offset: Int?

  /// An error without a place; decoders and checks add `path` or `offset`.
  public init(_ code: Code, _ message: String, path: String? = nil, offset: Int? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.offset = offset
  }

  /// `path: message`, or the message alone.
  public var description: String { path.map { "\($0): \(message)" } ?? message }
}

extension ValueError {
  /// The same error seen from the map that holds the failing value under `key`.
  func inside(key: String) -> ValueError { inside(step: Self.step(key)) }

  /// The same error seen from the array that holds the failing value at `index`.
  func inside(index: Int) -> ValueError { inside(step: "[\(index)]") }

  private func inside(step: String) -> ValueError {
    var outer = self
    outer.path = "$" + step + (path ?? "$").dropFirst()
    return outer
  }

  /// `.name` for keys that look like names, `["..."]` for the others, shortened to 64 characters.
  private static func step(_ key: String) -> String {
    let isName = !key.isEmpty && key.utf8.count <= 64 && key.utf8.allSatisfy(isNameByte)
    if isName, !(48...57).contains(key.utf8.first ?? 48) { return "." + key }
    let shown = key.count > 64 ? String(key.prefix(64)) + "…" : key
    return "[\(JSONWriter.describe(.string(shown)))]"
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 95, 97...122: true
    default: false
    }
  }
}
