import TriggerCore

/// All stores as of one seq, for who reads from outside and wants versions, or a part of the keys. Valid while
/// `CommitCoordinator.reading` runs. The host's own stores are not in it.
package struct StoreCut {
  /// A key with what was committed there.
  package struct Item {
    /// In UTF-8.
    package let key: UnsafeBufferPointer<UInt8>
    /// In canonical encoding.
    package let value: UnsafeRawBufferPointer
    /// The seq that wrote it.
    package let version: Int64
  }

  /// Everything up to it is in the stores, and nothing later.
  package let seq: Int64
  fileprivate let engine: Engine

  /// Names and numbers of keys, in order of the names. O(stores). The numbers are those of the newest commit, which may be
  /// a moment later than `seq`.
  package var stores: [(name: String, keys: Int)] {
    engine.stores.existing.filter { !$0.isInternal }.map { ($0.name, $0.liveKeys.load(ordering: .relaxed)) }
  }

  private func table(_ name: String) -> StoreTable? {
    engine.stores.find(name).flatMap { $0.isInternal ? nil : $0 }
  }

  /// Whether there is a store of the name.
  package func has(_ store: String) -> Bool { table(store) != nil }

  /// What is at a key; nil when nothing is. O(1).
  package func item(_ store: String, _ key: String) -> (value: Value, version: Int64)? {
    guard let table = table(store) else { return nil }
    var key = key
    return key.withUTF8 { bytes in
      guard let base = bytes.baseAddress, bytes.count > 0,
        let entry = table.entry(base, bytes.count, hash: KeyHash.of(base, count: bytes.count)),
        let version = Entry.visible(entry, at: seq), !version.isDeleted
      else { return nil }
      return (StoreTable.value(version), version.pointee.seq)
    }
  }

  /// Calls `body` with the keys of a store that begin with `prefix` and come after `last`, in byte order, until it returns
  /// false. O(log keys + visited).
  ///
  /// - Parameter last: need not be there any more; empty: from the first on.
  package func visit(
    _ store: String, prefix: String, after last: String, _ body: (Item) -> Bool
  ) {
    guard let table = table(store) else { return }
    let (prefix, last) = (Array(prefix.utf8), Array(last.utf8))
    let start = last.lexicographicallyPrecedes(prefix) ? prefix : last
    prefix.withUnsafeBufferPointer { prefix in
      var next = start.withUnsafeBufferPointer { table.firstEntry(notBelow: $0) }
      while let entry = next {
        let key = Entry.keyBytes(entry)
        guard key.starts(with: prefix) else { return }
        if let version = Entry.visible(entry, at: seq), !version.isDeleted, !key.elementsEqual(last) {
          let item = Item(key: key, value: Version.value(version), version: version.pointee.seq)
          if !body(item) { return }
        }
        next = table.nextEntry(entry, prefix: prefix)
      }
    }
  }
}

extension CommitCoordinator {
  /// Reads as of the newest visible seq: a snapshot, without the engine's lock. Any thread. What it needs is kept until
  /// `body` returns: be quick.
  ///
  /// - Throws: what `body` throws; `StoreError` when too many read at once.
  package func reading<Result>(_ body: (StoreCut) throws -> Result) throws -> Result {
    try engine.reading { seq, _ in try body(StoreCut(seq: seq, engine: engine)) }
  }
}
