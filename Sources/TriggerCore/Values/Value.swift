/// A value of a store, an event or an intent: what Lua, Swift, JSON and the canonical encoding
/// agree on (design: nil is the absence of a value and is not a `Value`).
///
/// Integers stay integers and `1.0` stays a float; `==` tells them apart. Two values are equal
/// exactly when their canonical encodings are: floats compare by bit pattern (`-0.0` is not `0.0`)
/// with all NaNs being one, and strings compare by their UTF-8 bytes. Map keys are strings; their
/// order is that of their UTF-8 bytes and carries no meaning.
public enum Value: Sendable {
  /// JSON `null`; Lua's constant `null`.
  case null
  /// `true` or `false`; never taken for a number.
  case bool(Bool)
  /// A signed 64-bit integer. Larger ones are refused by JSON and the canonical encoding (`number_range`).
  case int(Int64)
  /// A 64-bit float. The canonical encoding has NaN and the infinities, JSON refuses them (`no_json_form`).
  case double(Double)
  /// Text in UTF-8.
  case string(String)
  /// A byte string that is not text; JSON has no place for it.
  case bytes([UInt8])
  /// Elements in order, counted from 0 here and from 1 in Lua.
  case array([Value])
  /// Values by text, in no order.
  case map(Map)
}

extension Value: Hashable {
  /// Equal exactly when the canonical encodings are: `1` is not `1.0`, and all NaNs are equal. O(size).
  public static func == (left: Value, right: Value) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN)
    case (.string(let a), .string(let b)): sameBytes(a, b)
    case (.bytes(let a), .bytes(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.map(let a), .map(let b)): a == b
    default: false
    }
  }

  /// Agrees with `==`. O(size).
  public func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0 as UInt8)
    case .bool(let value):
      hasher.combine(1 as UInt8)
      hasher.combine(value)
    case .int(let value):
      hasher.combine(2 as UInt8)
      hasher.combine(value)
    case .double(let value):
      hasher.combine(3 as UInt8)
      hasher.combine(value.isNaN ? Double.nan.bitPattern : value.bitPattern)
    case .string(let value):
      hasher.combine(4 as UInt8)
      hasher.combine(value)
    case .bytes(let value):
      hasher.combine(5 as UInt8)
      hasher.combine(value)
    case .array(let value):
      hasher.combine(6 as UInt8)
      hasher.combine(value)
    case .map(let value):
      hasher.combine(7 as UInt8)
      hasher.combine(value)
    }
  }

  // `String.==` is Unicode canonical equivalence: "é" in one and in two scalars would be equal here
  // and different on disk.
  private static func sameBytes(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
  }
}
