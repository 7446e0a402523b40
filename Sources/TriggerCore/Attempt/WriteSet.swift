import Glibc

/// What an intent does.
package enum IntentKind: UInt8, Sendable {
  case put = 1
  case delete, add, max, min, append
  /// Replaces the whole store; applied as the keys that differ.
  case replace
  /// Not a change of a store: an event that the commit admits.
  case emit
  /// Text, or bytes, to the end of a string.
  case appendText
}

extension IntentKind: CustomStringConvertible {
  /// What scripts call it.
  package var description: String {
    switch self {
    case .put: "put"
    case .delete: "delete"
    case .add: "add"
    case .max: "max"
    case .min: "min"
    case .append: "append"
    case .replace: "replace"
    case .emit: "emit"
    case .appendText: "append_text"
    }
  }
}

/// The returned intents of one attempt, ready to apply: values already copied into versions and known keys
/// already found, so that the commit step only links them. Built by the attempt's thread, applied or
/// dropped under the engine lock.
package struct WriteSet: ~Copyable {
  package struct Write {
    package var kind: IntentKind
    package var table: Unmanaged<StoreTable>?  // nil for emit; stores outlive the engine's attempts
    package var entry: UnsafeMutablePointer<Entry>?  // nil when the key was not there yet
    package var key: UnsafeMutableRawPointer?  // own copy of the key, when `entry` is nil
    package var keyCount: Int32
    package var hash: UInt64
    /// Of a put: `StoreDigest.content`. Hashed here by the attempt's thread, and not when it is applied.
    package var content: UInt64
    /// Of an append: how deep arrays and maps are nested in the operand.
    package var depth: Int32 = 0
    /// put: the new version. delete: a deletion. Others: a version whose bytes are the operand.
    package var version: UnsafeMutablePointer<Version>?

    package var operand: UnsafeBufferPointer<UInt8> {
      UnsafeBufferPointer(start: Version.bytes(version!), count: Int(Swift.max(version!.pointee.length, 0)))
    }
    package var keyBytes: UnsafeBufferPointer<UInt8> {
      if let entry {
        return UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength))
      }
      return UnsafeBufferPointer(
        start: key.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) }, count: Int(keyCount))
    }
  }

  package private(set) var writes: UnsafeMutablePointer<Write>
  private var capacity = 4
  package private(set) var count = 0
  /// True when every write is a put or a deletion, in stores that take anything: those apply without looking at
  /// the state.
  package private(set) var isPlain = true
  /// True when every write is of one key, in stores that take anything.
  package private(set) var isByKey = true
  package private(set) var emits = 0
  /// Of all values.
  package private(set) var bytes = 0
  /// Some write is to a stand-in for a store that is not there yet.
  package private(set) var hasStandIns = false

  package init() { writes = .allocate(capacity: capacity) }

  deinit {
    for index in 0..<count { Self.release(writes + index) }
    writes.deallocate()
  }

  package mutating func removeAll() {
    for index in 0..<count { Self.release(writes + index) }
    count = 0
    isPlain = true
    isByKey = true
    emits = 0
    bytes = 0
    hasStandIns = false
  }

  private static func release(_ write: UnsafeMutablePointer<Write>) {
    if let version = write.pointee.version { Version.free(version) }
    if let key = write.pointee.key { free(key) }
  }

  /// Adds an intent. `table` nil means `emit`, whose key is the event's name. O(1).
  ///
  /// No reference to the table is counted: all workers share it, and would wait for one another's caches.
  package mutating func add(
    _ kind: IntentKind, table: Unmanaged<StoreTable>?, key: UnsafeBufferPointer<UInt8>,
    value: UnsafeRawBufferPointer
  ) {
    if count == capacity {
      let larger = UnsafeMutablePointer<Write>.allocate(capacity: capacity * 2)
      larger.moveInitialize(from: writes, count: count)
      writes.deallocate()
      writes = larger
      capacity *= 2
    }
    var write = Write(
      kind: kind, table: table, entry: nil, key: nil, keyCount: Int32(key.count), hash: 0, content: 0,
      version: nil)
    if let table, kind != .replace, let base = key.baseAddress {
      write.hash = KeyHash.of(base, count: key.count)
      write.entry = table._withUnsafeGuaranteedRef { $0.entry(base, key.count, hash: write.hash) }
    }
    if kind == .put { write.content = StoreDigest.content(UnsafeRawBufferPointer(key), value) }
    if kind == .append { write.depth = Int32(EncodedItem.depth(of: value)) }
    if write.entry == nil, key.count > 0 {
      write.key = malloc(key.count)!
      memcpy(write.key!, key.baseAddress!, key.count)
    }
    write.version =
      kind == .delete ? Version.makeDeleted() : Version.make(value.baseAddress, count: value.count)
    (writes + count).initialize(to: write)
    count &+= 1
    bytes &+= value.count
    if kind == .emit { return emits &+= 1 }
    if kind == .replace || table!._withUnsafeGuaranteedRef({ $0.hasRule }) { isByKey = false }
    if table!._withUnsafeGuaranteedRef({ $0.isStandIn }) { (hasStandIns, isPlain) = (true, false) }
    if kind != .put && kind != .delete || !isByKey { isPlain = false }
  }

  /// What was written to one table is to another. O(writes).
  package mutating func move(to table: (StoreTable) -> StoreTable?) {
    for index in 0..<count {
      guard let old = writes[index].table?.takeUnretainedValue(), let new = table(old) else { continue }
      writes[index].table = .passUnretained(new)
      if new.hasRule { (isByKey, isPlain) = (false, false) }
    }
  }

  /// The version of a write, which the caller now owns.
  @inline(__always)
  package func takeVersion(_ index: Int) -> UnsafeMutablePointer<Version> {
    let version = writes[index].version!
    writes[index].version = nil
    return version
  }
}
