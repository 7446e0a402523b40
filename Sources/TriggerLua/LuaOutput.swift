internal import CTriggerLua
import TriggerCore

/// One intent of a `LuaOutput`, as views into it: valid until the output's next run.
package struct LuaIntent {
  /// Stores are the handles that `LuaHostFunctions.store` gave.
  package let action: CommitAction<UnsafeMutableRawPointer>
  /// Key of the store, or the event's name.
  package let key: UnsafeRawBufferPointer
  /// Canonical encoding: what to put, the operand, all of a store as a map, or the event's payload; empty for `delete`.
  package let value: UnsafeRawBufferPointer
  /// Of a store that is replaced: the seq it was read at.
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
    guard let action = CommitAction(code: intent.kind, store: intent.store) else {
      fatalError("intent of kind \(intent.kind)")
    }
    let bytes = UnsafeRawPointer(raw.pointee.bytes)
    return LuaIntent(
      action: action,
      key: UnsafeRawBufferPointer(
        start: bytes.map { $0 + Int(intent.key_offset) }, count: Int(intent.key_length)),
      value: UnsafeRawBufferPointer(
        start: bytes.map { $0 + Int(intent.value_offset) }, count: Int(intent.value_length)),
      base: intent.base)
  }
}
