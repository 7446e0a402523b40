/// A value of a store, an event or an intent: what Lua, Swift, JSON and the canonical encoding
/// agree on (design: nil is the absence of a value and is not a `Value`).
///
/// Integers stay integers and `1.0` stays a float; `==` tells them apart, and compares floats by bit
/// pattern (`-0.0` is not `0.0`, a NaN equals itself). Map keys are strings; their order is that of
/// their UTF-8 bytes and carries no meaning.
public enum Value: Sendable, Hashable {
  /// JSON `null`; Lua's constant `null`.
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  /// Text in UTF-8.
  case string(String)
  /// A byte string that is not text; JSON has no place for it.
  case bytes([UInt8])
  case array([Value])
  case map([String: Value])
}
