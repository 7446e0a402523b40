extension Value {
  /// True for `null` alone; the absence of a value is Swift's nil.
  public var isNull: Bool {
    if case .null = self { true } else { false }
  }

  /// The boolean, nil for any other kind.
  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The integer, nil for any other kind; `1.0` is not an integer.
  public var intValue: Int64? {
    if case .int(let value) = self { value } else { nil }
  }

  /// The float, nil for any other kind; see `number` to accept integers too.
  public var doubleValue: Double? {
    if case .double(let value) = self { value } else { nil }
  }

  /// An integer or a float as a `Double`, nil for any other kind. Integers beyond 2^53 are rounded.
  public var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// The text, nil for any other kind.
  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The byte string, nil for any other kind.
  public var bytesValue: [UInt8]? {
    if case .bytes(let value) = self { value } else { nil }
  }

  /// The elements, nil for any other kind; a map is never taken for an array.
  public var arrayValue: [Value]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The entries, nil for any other kind.
  public var mapValue: Map? {
    if case .map(let value) = self { value } else { nil }
  }

  /// The entry of a map; nil if there is none or this is not a map. O(1).
  public subscript(key: String) -> Value? {
    if case .map(let entries) = self { entries[key] } else { nil }
  }

  /// The element of an array, counted from 0; nil if out of range or this is not an array. O(1).
  public subscript(index: Int) -> Value? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  /// The kind as messages name it: `null`, `boolean`, `integer`, `float`, `string`, `bytes`, `array`
  /// or `map`.
  public var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .int: "integer"
    case .double: "float"
    case .string: "string"
    case .bytes: "bytes"
    case .array: "array"
    case .map: "map"
    }
  }
}

extension Value: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// `true` and `false` in source code.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A whole number in source code is an integer.
  public init(integerLiteral value: Int64) { self = .int(value) }
  /// A number with a point or an exponent in source code is a float, `1.0` too.
  public init(floatLiteral value: Double) { self = .double(value) }
  /// Text in source code, with interpolations or without.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Elements in source code; null among them is written `.null`.
  public init(arrayLiteral elements: Value...) { self = .array(elements) }

  /// Traps on a repeated key, as Swift's own dictionary literals do.
  public init(dictionaryLiteral elements: (String, Value)...) {
    self = .map(Map(uniqueKeysWithValues: elements))
  }
}

extension Value: CustomStringConvertible {
  /// Compact JSON with keys in byte order; what JSON lacks is written `NaN`, `Infinity`, `-Infinity`
  /// and `h'00ff'` (the notation of RFC 8949, section 8). For tests and logs, not for parsing.
  public var description: String { JSONWriter.describe(self) }
}
