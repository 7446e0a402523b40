import TriggerCore
import TriggerHost

/// Follows one key through commits: what each made of its value.
public struct KeyHistory: Sendable {
  /// What a commit did to the key.
  public struct Change: Sendable, Hashable {
    /// The value before; nil: none.
    public var old: Value?
    /// The value after; nil: none.
    public var new: Value?
  }

  private let store: String
  private let key: String
  /// The key's value so far; nil: none.
  public private(set) var value: Value?

  /// - Parameter value: as it is before the first record that is given.
  public init(store: String, key: String, value: Value? = nil) {
    self.store = store
    self.key = key
    self.value = value
  }

  /// Takes a record; those between that do not name the store may be left out.
  ///
  /// - Returns: nil when it leaves the key as it is.
  /// - Throws: `LogDamage` when it cannot be applied.
  public mutating func apply(_ record: LogRecord) throws -> Change? {
    let old = value
    let state = ReplayState(configuration: EngineConfiguration(workers: 1))
    let table = state.stores.declare(store)
    if let old { state.fill([store: [key: old]]) }
    var writes = WriteSet()
    var touches = false
    for intent in record.intents {
      guard case .change(let change, store) = intent.action else { continue }
      if change == .replace {
        touches = try replace(by: intent.value, old, into: &writes, table) || touches
      } else if intent.key.elementsEqual(key.utf8) {
        touches = true
        intent.key.withUnsafeBufferPointer { key in
          intent.value.withUnsafeBytes {
            writes.add(.change(change, .passUnretained(table)), key: key, value: $0)
          }
        }
      }
    }
    guard touches else { return nil }
    do throws(Failure) { _ = try state.commit(writes, seq: 1) } catch {
      throw LogDamage("seq \(record.seq): \(error.message)", offset: 0)
    }
    value = try state.value(Array(key.utf8), in: table).map { try CanonicalEncoding.decode($0.bytes) }
    return Change(old: old, new: value)
  }

  /// A whole store replaced is the keys that differ. Returns whether this one does.
  private func replace(
    by content: [UInt8], _ old: Value?, into writes: inout WriteSet, _ table: StoreTable
  ) throws -> Bool {
    guard case .map(let wanted) = try CanonicalEncoding.decode(content) else { return false }
    let new = wanted[key]
    // Earlier intents of the same list may have changed it too.
    if writes.count == 0, new == old { return false }
    var key = key
    key.withUTF8 { key in
      (new.map { CanonicalEncoding.encode($0) } ?? []).withUnsafeBytes {
        writes.add(.change(new == nil ? .delete : .put, .passUnretained(table)), key: key, value: $0)
      }
    }
    return true
  }
}
