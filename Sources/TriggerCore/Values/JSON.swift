/// JSON text (RFC 8259) and `Value`.
///
/// A number without a point and exponent is an integer and must fit 64 bits with sign, any other is a
/// float: `1` and `1.0` differ, both ways. `-0` follows that rule and is the integer 0; the negative
/// zero is written `-0.0`. Strings keep their bytes; no Unicode normalisation.
public enum JSON {
  /// How much white space the writer puts between the tokens.
  public enum Style: Sendable {
    /// One line, no spaces.
    case compact
    /// Two spaces per level, `"key": value`, no newline at the end.
    case pretty
  }

  /// The value of a JSON text, given as UTF-8 without byte order mark. O(size).
  ///
  /// `depth` is the deepest nesting accepted, counted as in `ValueLimits`. Throws `ValueError` whose
  /// message starts with `line:column:` (both from 1, columns in characters, i.e. Unicode scalars)
  /// and says what was expected: `bad_json`, `bad_utf8` (also lone surrogates), `duplicate_key`,
  /// `number_range` (integers beyond 64 bits, floats beyond a double), `too_deep`.
  public static func parse(_ bytes: [UInt8], depth: Int = ValueLimits.depth) throws(ValueError) -> Value {
    let result = bytes.withUnsafeBufferPointer { buffer in
      Result { () throws(ValueError) in try parse(buffer, depth: depth) }
    }
    return try result.get()
  }

  /// As `parse(_:depth:)` for bytes.
  public static func parse(_ text: String, depth: Int = ValueLimits.depth) throws(ValueError) -> Value {
    var text = text
    let result = text.withUTF8 { buffer in
      Result { () throws(ValueError) in try parse(buffer, depth: depth) }
    }
    return try result.get()
  }

  /// The JSON text of `value` in UTF-8: equal values give equal bytes. Keys are in the order of their
  /// bytes; floats always show a point or an exponent, in the shortest form that reads back exactly.
  ///
  /// Throws `ValueError` with `no_json_form` and the path for a NaN, an infinity or a byte string.
  public static func bytes(_ value: Value, style: Style = .compact) throws(ValueError) -> [UInt8] {
    var writer = JSONWriter(style: style, form: .strict)
    try writer.write(value)
    return writer.output
  }

  /// As `bytes(_:style:)`, as a string.
  public static func text(_ value: Value, style: Style = .compact) throws(ValueError) -> String {
    String(decoding: try bytes(value, style: style), as: UTF8.self)
  }

  private static func parse(
    _ buffer: UnsafeBufferPointer<UInt8>, depth: Int
  ) throws(ValueError) -> Value {
    var parser = JSONParser(buffer)
    let value = try parser.value(depthLeft: depth)
    try parser.finish()
    return value
  }
}
