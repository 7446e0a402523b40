internal import CTriggerLua

/// One intent of a `LuaOutput`, as views into it: valid until the output's next run.
package struct LuaIntent {
  package enum Kind: UInt8, Sendable {
    case put = 1
    case delete, add, max, min, append
    /// The whole store: `value` is a map of key to value, `base` the seq it was read at.
    case replace
    /// `key` is the event's name, `value` its payload; there is no store.
    case emit
    case appendText
  }

  package let kind: Kind
  /// The handle that `LuaHostFunctions.store` gave.
  package let store: UnsafeMutableRawPointer?
  package let key: UnsafeRawBufferPointer
  /// Canonical encoding; empty for `delete`.
  package let value: UnsafeRawBufferPointer
  package let base: Int64
}

/// What an attempt returned. Reuse one for many runs: each run empties it and keeps its memory.
///
/// Used by one thread at a time.
package final class LuaOutput {
  let raw: UnsafeMutablePointer<th_output>

  package init() {
    raw = .allocate(capacity: 1)
    raw.initialize(to: th_output())
  }

  deinit {
    th_output_free(raw)
    raw.deallocate()
  }

  /// Number of returned intents.
  package var count: Int { Int(raw.pointee.returned_length) }
  /// Number of the intents that were prepared.
  package var prepared: Int { Int(raw.pointee.intents_length) }

  /// The intent at a place of the returned list, 0 to `count - 1`.
  package subscript(place: Int) -> LuaIntent {
    precondition(place >= 0 && place < count, "no intent \(place)")
    let intent = raw.pointee.intents[Int(raw.pointee.returned[place])]
    guard let kind = LuaIntent.Kind(rawValue: intent.kind) else {
      fatalError("intent of kind \(intent.kind)")
    }
    let bytes = UnsafeRawPointer(raw.pointee.bytes)
    return LuaIntent(
      kind: kind, store: intent.store,
      key: UnsafeRawBufferPointer(
        start: bytes.map { $0 + Int(intent.key_offset) }, count: Int(intent.key_length)),
      value: UnsafeRawBufferPointer(
        start: bytes.map { $0 + Int(intent.value_offset) }, count: Int(intent.value_length)),
      base: intent.base)
  }
}
