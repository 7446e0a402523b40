import Foundation
import TriggerCore

/// A value that is not what a `Decodable` type wants: where, and what is there.
public struct ValueDecodingError: Error, Sendable, Hashable, CustomStringConvertible {
  /// From the value that was decoded to the one at fault, like `event.bars[3].close`. Elements count from 0.
  public let path: String
  /// What is wanted there, and what is found.
  public let problem: String

  /// `event.bars[3].close: expected a number, got a string`.
  public var description: String { "\(path): \(problem)" }
}

extension Value {
  /// The value as a `Decodable` type.
  ///
  /// Nothing is rounded, guessed or left out on the way:
  ///
  /// | wanted | what it may be |
  /// | --- | --- |
  /// | `Bool` | a boolean, never a number |
  /// | `Int`, `Int8` ... `UInt64` | an integer that fits the type; a float that is a whole number and fits (`3.0`: scripts divide) |
  /// | `Double` | a float, NaN and infinities too; an integer that a double holds exactly |
  /// | `Float` | what a `Double` may be, rounded to the nearest `Float`; not one beyond its range |
  /// | `String` | a string, never bytes |
  /// | `Data`, `[UInt8]` | bytes; an array of integers from 0 to 255 |
  /// | `Date` | RFC 3339 text; a number of seconds since 1970 |
  /// | `URL` | a string |
  /// | `Optional` | `null`, a key that is missing, or what the type inside may be |
  /// | an enum of strings or integers | the raw value of one of its cases |
  /// | a type with keys | a map; keys that the type does not know are passed over, one that it needs must be there |
  /// | an array, a set | an array |
  ///
  /// A type with a `init(from:)` of its own decides for itself. O(size); any thread.
  ///
  /// - Parameter name: what errors call the value.
  /// - Throws: `ValueDecodingError`; what an `init(from:)` throws that is no `DecodingError`.
  public func decoded<Wanted: Decodable>(
    as type: Wanted.Type = Wanted.self, name: String = "value"
  ) throws -> Wanted {
    do { return try ValueDecoder(value: self).decode(type) } catch let error as DecodingError {
      throw ValueDecodingError(error, in: name)
    }
  }
}

extension Value {
  fileprivate var kindWithArticle: String {
    switch self {
    case .null, .bytes: kindName
    case .int, .array: "an \(kindName)"
    case .bool, .double, .string, .map: "a \(kindName)"
    }
  }
}

extension ValueDecodingError {
  fileprivate init(_ error: DecodingError, in name: String) {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      (path, problem) = (Self.path(context.codingPath, in: name), context.debugDescription)
    case .keyNotFound(let key, let context):
      (path, problem) = (Self.path(context.codingPath + [key], in: name), "missing")
    @unknown default: (path, problem) = (name, "\(error)")
    }
  }

  private static func path(_ keys: [any CodingKey], in name: String) -> String {
    keys.reduce(name) { path, key in
      if let index = key as? Place { return "\(path)[\(index.index)]" }
      let text = key.stringValue
      let isPlain = text.unicodeScalars.allSatisfy { $0.properties.isXIDContinue } && !text.isEmpty
      return isPlain ? "\(path).\(text)" : "\(path)[\(Value.string(text))]"
    }
  }
}

/// An element of an array, in a path.
private struct Place: CodingKey {
  let index: Int
  init(_ index: Int) { self.index = index }
  init?(intValue: Int) { index = intValue }
  init?(stringValue: String) { nil }
  var stringValue: String { "\(index)" }
  var intValue: Int? { index }
}

/// A key that is no case of an enum.
private struct NamedKey: CodingKey {
  let stringValue: String
  init(_ name: String) { stringValue = name }
  init?(intValue: Int) { nil }
  init?(stringValue: String) { self.stringValue = stringValue }
  var intValue: Int? { nil }
}

/// One value, as the place that a type is decoded from.
private struct ValueDecoder: Decoder, SingleValueDecodingContainer {
  let value: Value
  var codingPath: [any CodingKey] = []
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func at(_ key: any CodingKey, _ value: Value) -> ValueDecoder {
    ValueDecoder(value: value, codingPath: codingPath + [key])
  }

  func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
    wrong("expected \(expected), got \(value.kindWithArticle)", type)
  }

  func wrong(_ problem: String, _ type: Any.Type) -> DecodingError {
    .typeMismatch(type, .init(codingPath: codingPath, debugDescription: problem))
  }

  // MARK: Containers

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let map) = value else { throw mismatch([String: Value].self, "a map") }
    return KeyedDecodingContainer(KeyedValues<Key>(decoder: self, map: map))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    switch value {
    case .array(let items): return ValueElements(decoder: self, items: items)
    case .bytes(let bytes): return ValueElements(decoder: self, items: bytes.map { .int(Int64($0)) })
    default: throw mismatch([Value].self, "an array")
    }
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

  // MARK: A single value

  func decodeNil() -> Bool { value.isNull }

  func decode(_ type: Bool.Type) throws -> Bool {
    guard case .bool(let value) = value else { throw mismatch(type, "a boolean") }
    return value
  }

  func decode(_ type: String.Type) throws -> String {
    guard case .string(let value) = value else { throw mismatch(type, "a string") }
    return value
  }

  func decode(_ type: Double.Type) throws -> Double {
    switch value {
    case .double(let value): return value
    case .int(let value):
      guard let exact = Double(exactly: value) else {
        throw wrong("a Double cannot hold \(value) exactly", type)
      }
      return exact
    default: throw mismatch(type, "a number")
    }
  }

  func decode(_ type: Float.Type) throws -> Float {
    let wide = try decode(Double.self)
    let value = Float(wide)
    if value.isInfinite, wide.isFinite { throw wrong("\(wide) is beyond a Float", type) }
    return value
  }

  private func integer<Wanted: FixedWidthInteger>(_ type: Wanted.Type) throws -> Wanted {
    switch value {
    case .int(let value):
      guard let value = Wanted(exactly: value) else { throw wrong("\(value) does not fit \(type)", type) }
      return value
    case .double(let value):
      guard let whole = Wanted(exactly: value) else {
        throw wrong("expected an integer (\(type)), got \(value)", type)
      }
      return whole
    default: throw mismatch(type, "an integer")
    }
  }

  func decode(_ type: Int.Type) throws -> Int { try integer(type) }
  func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
  func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
  func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
  func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
  func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

  func decode<Wanted: Decodable>(_ type: Wanted.Type) throws -> Wanted {
    // Types that would ask for another form of themselves than the one that values have.
    let special: Any? =
      switch (type, value) {
      case (is Data.Type, .bytes(let bytes)): Data(bytes)
      case (is Date.Type, _): try date()
      case (is URL.Type, _): try url()
      default: nil
      }
    if let special, let wanted = special as? Wanted { return wanted }
    return try Wanted(from: self)
  }

  private func url() throws -> URL {
    let text = try decode(String.self)
    guard let url = URL(string: text) else { throw wrong("'\(text)' is no URL", URL.self) }
    return url
  }

  private func date() throws -> Date {
    if case .string(let text) = value {
      guard let time = try? Timestamp(parsing: text) else {
        throw wrong("expected a time like 2026-01-31T09:30:00Z, got '\(text)'", Date.self)
      }
      return Date(timeIntervalSince1970: Double(time.nanoseconds) / 1_000_000_000)
    }
    guard let seconds = value.number, seconds.isFinite else {
      throw mismatch(Date.self, "a time: text, or seconds since 1970")
    }
    return Date(timeIntervalSince1970: seconds)
  }
}

/// The entries of a map.
private struct KeyedValues<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let decoder: ValueDecoder
  let map: Value.Map
  var codingPath: [any CodingKey] { decoder.codingPath }
  var allKeys: [Key] { map.keys.compactMap { Key(stringValue: $0) } }

  func contains(_ key: Key) -> Bool { map[key.stringValue] != nil }

  private func item(_ key: any CodingKey) throws -> ValueDecoder {
    guard let value = map[key.stringValue] else {
      throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: "missing"))
    }
    return decoder.at(key, value)
  }

  func decodeNil(forKey key: Key) throws -> Bool { try item(key).decodeNil() }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try item(key).decode(type) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try item(key).decode(type) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try item(key).decode(type) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try item(key).decode(type) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try item(key).decode(type) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try item(key).decode(type) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try item(key).decode(type) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try item(key).decode(type) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try item(key).decode(type) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try item(key).decode(type) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try item(key).decode(type) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try item(key).decode(type) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try item(key).decode(type) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try item(key).decode(type) }
  func decode<Wanted: Decodable>(_ type: Wanted.Type, forKey key: Key) throws -> Wanted {
    try item(key).decode(type)
  }

  func nestedContainer<Nested>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { try item(key).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try item(key).unkeyedContainer()
  }
  func superDecoder() throws -> any Decoder { try item(NamedKey("super")) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try item(key) }
}

/// The elements of an array.
private struct ValueElements: UnkeyedDecodingContainer {
  let decoder: ValueDecoder
  let items: [Value]
  var currentIndex = 0
  var codingPath: [any CodingKey] { decoder.codingPath }
  var count: Int? { items.count }
  var isAtEnd: Bool { currentIndex == items.count }

  private func next(_ type: Any.Type) throws -> ValueDecoder {
    let place = Place(currentIndex)
    if isAtEnd {
      throw DecodingError.valueNotFound(
        type, .init(codingPath: codingPath + [place], debugDescription: "missing"))
    }
    return decoder.at(place, items[currentIndex])
  }

  /// Goes on when it is what was wanted.
  private mutating func take<Result>(_ body: (ValueDecoder) throws -> Result) throws -> Result {
    let result = try body(next(Result.self))
    currentIndex += 1
    return result
  }

  mutating func decodeNil() throws -> Bool {
    guard try next(Any?.self).decodeNil() else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode(_ type: Bool.Type) throws -> Bool { try take { try $0.decode(type) } }
  mutating func decode(_ type: String.Type) throws -> String { try take { try $0.decode(type) } }
  mutating func decode(_ type: Double.Type) throws -> Double { try take { try $0.decode(type) } }
  mutating func decode(_ type: Float.Type) throws -> Float { try take { try $0.decode(type) } }
  mutating func decode(_ type: Int.Type) throws -> Int { try take { try $0.decode(type) } }
  mutating func decode(_ type: Int8.Type) throws -> Int8 { try take { try $0.decode(type) } }
  mutating func decode(_ type: Int16.Type) throws -> Int16 { try take { try $0.decode(type) } }
  mutating func decode(_ type: Int32.Type) throws -> Int32 { try take { try $0.decode(type) } }
  mutating func decode(_ type: Int64.Type) throws -> Int64 { try take { try $0.decode(type) } }
  mutating func decode(_ type: UInt.Type) throws -> UInt { try take { try $0.decode(type) } }
  mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try take { try $0.decode(type) } }
  mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try take { try $0.decode(type) } }
  mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try take { try $0.decode(type) } }
  mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try take { try $0.decode(type) } }
  mutating func decode<Wanted: Decodable>(_ type: Wanted.Type) throws -> Wanted {
    try take { try $0.decode(type) }
  }

  mutating func nestedContainer<Nested>(
    keyedBy type: Nested.Type
  ) throws -> KeyedDecodingContainer<Nested> { try take { try $0.container(keyedBy: type) } }
  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try take { try $0.unkeyedContainer() }
  }
  mutating func superDecoder() throws -> any Decoder { try take { $0 } }
}
