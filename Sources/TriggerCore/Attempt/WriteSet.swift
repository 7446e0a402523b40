import Glibc

/// The returned intents of one attempt, ready to apply: values already copied into versions and known keys
/// already found, so that the commit step only links them. Built by the attempt's thread, applied or
/// dropped under the engine lock.
package struct WriteSet: ~Copyable {
  package struct Write {
    package var action: CommitAction<Unmanaged<StoreTable>>  // stores outlive the engine's attempts
    package var entry: UnsafeMutablePointer<Entry>?  // nil when the key was not there yet
    package var key: UnsafeMutableRawPointer?  // own copy of the key, when `entry` is nil
    package var keyCount: Int32
    package var hash: UInt64
    /// Of a put: `StoreDigest.content`. Hashed here by the attempt's thread, and not when it is applied.
    package var content: UInt64
    /// Of an append: how deep arrays and maps are nested in the operand.
    package var depth: Int32 = 0
    /// put: the new version. delete: a deletion. Others: a version whose bytes are the operand, an event's payload, or a message.
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
  /// How many leave the host.
  package private(set) var effects = 0
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
    effects = 0
    bytes = 0
    hasStandIns = false
  }

  private static func release(_ write: UnsafeMutablePointer<Write>) {
    if let version = write.pointee.version { Version.free(version) }
    if let key = write.pointee.key { free(key) }
  }

  /// Adds an intent. O(1).
  ///
  /// No reference to the table is counted: all workers share it, and would wait for one another's caches.
  ///
  /// - Parameters:
  ///   - key: of the store, the event's name, or the session or topic that a message goes to.
  ///   - value: encoded: what to put, the operand, the event's payload, or the message; empty for a deletion.
  package mutating func add(
    _ action: CommitAction<Unmanaged<StoreTable>>, key: UnsafeBufferPointer<UInt8>,
    value: UnsafeRawBufferPointer
  ) {
    if count == capacity { grow() }
    var write = Write(
      action: action, entry: nil, key: nil, keyCount: Int32(key.count), hash: 0, content: 0, version: nil)
    switch action {
    case .emit: emits &+= 1
    case .effect: effects &+= 1
    case .change(let change, let table): prepare(&write, change, table, key, value)
    }
    if write.entry == nil, key.count > 0 {
      write.key = malloc(key.count)!
      memcpy(write.key!, key.baseAddress!, key.count)
    }
    write.version =
      action.change == .delete ? Version.makeDeleted() : Version.make(value.baseAddress, count: value.count)
    (writes + count).initialize(to: write)
    count &+= 1
    bytes &+= value.count
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Write>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: writes, count: count)
    writes.deallocate()
    writes = larger
    capacity *= 2
  }

  @inline(__always)
  private mutating func prepare(
    _ write: inout Write, _ change: ChangeKind, _ table: Unmanaged<StoreTable>,
    _ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer
  ) {
    table._withUnsafeGuaranteedRef { table in
      if change != .replace, let base = key.baseAddress {
        write.hash = KeyHash.of(base, count: key.count)
        write.entry = table.entry(base, key.count, hash: write.hash)
      }
      if change == .replace || table.hasRule { isByKey = false }
      if table.isStandIn { (hasStandIns, isPlain) = (true, false) }
    }
    if change == .put { write.content = StoreDigest.content(UnsafeRawBufferPointer(key), value) }
    if change == .append { write.depth = Int32(EncodedItem.depth(of: value)) }
    if change != .put && change != .delete || !isByKey { isPlain = false }
  }

  /// What was written to one table is to another. O(writes).
  package mutating func move(to table: (StoreTable) -> StoreTable?) {
    for index in 0..<count {
      guard case .change(let change, let old) = writes[index].action,
        let new = table(old.takeUnretainedValue())
      else { continue }
      writes[index].action = .change(change, .passUnretained(new))
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
