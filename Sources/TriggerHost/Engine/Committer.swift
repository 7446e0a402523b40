import TriggerCore

/// Applies the write set of one seq, all or none. Engine lock.
struct Committer {
  let reclaimer: Reclaimer
  let limits: ValueLimits

  /// Why a commutative or whole-store intent cannot apply.
  struct Failure: Error {
    var message: String
  }

  /// A key that a commit changed.
  struct ChangedKey {
    var table: Unmanaged<StoreTable>
    var key: [UInt8]
  }

  struct Staged {
    var table: Unmanaged<StoreTable>
    var key: [UInt8]
    var version: UnsafeMutablePointer<Version>
    /// See `StoreTable.put`.
    var content: UInt64
  }

  /// O(writes), plus O(keys of the store) for a replacement.
  ///
  /// - Parameter isNew: decided now, not in an earlier run: stores may refuse it.
  /// - Returns: the changed keys, each at least once, when `tellsKeys`; otherwise nothing.
  @discardableResult
  func apply(
    _ writes: borrowing WriteSet, seq: Int64, tellsKeys: Bool = false, isNew: Bool = false
  ) throws(Failure) -> [ChangedKey] {
    reclaimer.begin(seq)
    guard writes.isPlain else {
      if writes.isByKey, writes.count <= Self.shortList {
        return try applyByKey(writes, seq: seq, tellsKeys: tellsKeys)
      }
      return try applyStaged(writes, seq: seq, isNew: isNew)
    }
    var changed: [ChangedKey] = []
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard let table = write.pointee.table else { continue }
      if tellsKeys { changed.append(ChangedKey(table: table, key: Array(write.pointee.keyBytes))) }
      let version = writes.takeVersion(index)
      table._withUnsafeGuaranteedRef { table in
        table.put(
          version, content: write.pointee.content, to: entry(of: write, in: table), seq: seq,
          reclaim: reclaimer)
      }
    }
    return changed
  }

  @inline(__always)
  private func entry(
    of write: UnsafeMutablePointer<WriteSet.Write>, in table: StoreTable
  ) -> UnsafeMutablePointer<Entry> {
    if let entry = write.pointee.entry, !entry.pointee.isUnlinked { return entry }
    let key = write.pointee.keyBytes
    return table.makeEntry(key.baseAddress!, key.count, hash: write.pointee.hash, reclaim: reclaimer)
  }

  /// Intents that are looked through one by one for an earlier change of a key.
  private static let shortList = 16

  /// As `applyStaged` does it, of a short list whose intents each change one key that no rule is about: without a
  /// copy of any key.
  private func applyByKey(
    _ writes: borrowing WriteSet, seq: Int64, tellsKeys: Bool
  ) throws(Failure) -> [ChangedKey] {
    let made = UnsafeMutablePointer<UnsafeMutablePointer<Version>?>.allocate(capacity: writes.count)
    made.initialize(repeating: nil, count: writes.count)
    defer { made.deallocate() }
    do throws(Failure) {
      for index in 0..<writes.count {
        let write = writes.writes + index
        guard let table = write.pointee.table, write.pointee.kind != .put, write.pointee.kind != .delete
        else {
          continue
        }
        made[index] = try combine(
          write.pointee.kind, current: current(of: writes, at: index, made), operand: write.pointee.operand
        ) {
          "\(table._withUnsafeGuaranteedRef { $0.name })/\(String(decoding: write.pointee.keyBytes, as: UTF8.self))"
        }
      }
    } catch {
      for index in 0..<writes.count { if let version = made[index] { Version.free(version) } }
      throw error
    }
    var changed: [ChangedKey] = []
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard let table = write.pointee.table else { continue }
      if tellsKeys { changed.append(ChangedKey(table: table, key: Array(write.pointee.keyBytes))) }
      let content = made[index].map { Version.content($0, of: write.pointee.keyBytes) }
      let version = made[index] ?? writes.takeVersion(index)
      table._withUnsafeGuaranteedRef { table in
        table.put(
          version, content: content ?? write.pointee.content, to: entry(of: write, in: table), seq: seq,
          reclaim: reclaimer)
      }
    }
    return changed
  }

  /// What is at the key of an intent after those before it in the list.
  private func current(
    of writes: borrowing WriteSet, at index: Int, _ made: UnsafeMutablePointer<UnsafeMutablePointer<Version>?>
  ) -> UnsafeMutablePointer<Version>? {
    let write = writes.writes + index
    for earlier in (0..<index).reversed() {
      let other = writes.writes + earlier
      if other.pointee.hash == write.pointee.hash,
        other.pointee.table?.toOpaque() == write.pointee.table?.toOpaque(),
        other.pointee.keyBytes.elementsEqual(write.pointee.keyBytes)
      {
        return made[earlier] ?? other.pointee.version
      }
    }
    if let entry = write.pointee.entry, !entry.pointee.isUnlinked { return Entry.visible(entry, at: .max) }
    let key = write.pointee.keyBytes
    return write.pointee.table!._withUnsafeGuaranteedRef { table in
      table.entry(key.baseAddress!, key.count, hash: write.pointee.hash)
    }.flatMap { Entry.visible($0, at: .max) }
  }

  /// What a list of intents does so far, in order, and the newest place of each key in it.
  struct Stage {
    private struct Place: Hashable {
      var table: UnsafeMutableRawPointer
      var key: [UInt8]
    }
    private(set) var items: [Staged] = []
    private var places: [Place: Int] = [:]

    /// - Parameter content: see `StoreTable.put`; nil: not known yet.
    mutating func append(
      _ version: UnsafeMutablePointer<Version>, _ content: UInt64? = nil, at key: [UInt8],
      in table: Unmanaged<StoreTable>
    ) {
      let content = content ?? key.withUnsafeBufferPointer { Version.content(version, of: $0) }
      places[Place(table: table.toOpaque(), key: key)] = items.count
      items.append(Staged(table: table, key: key, version: version, content: content))
    }

    func version(of key: [UInt8], in table: Unmanaged<StoreTable>) -> UnsafeMutablePointer<Version>? {
      places[Place(table: table.toOpaque(), key: key)].map { items[$0].version }
    }

    /// What the list leaves: of each key the newest.
    var newest: [Staged] { places.values.sorted().map { items[$0] } }

    /// Keys of a store that the list has changed so far.
    func keys(of table: Unmanaged<StoreTable>) -> Set<[UInt8]> {
      Set(places.keys.lazy.filter { $0.table == table.toOpaque() }.map(\.key))
    }
  }

  /// Commutative intents and replacements look at the state, and each sees what those before it in the
  /// list did; nothing is linked until all of them could be worked out.
  private func applyStaged(
    _ writes: borrowing WriteSet, seq: Int64, isNew: Bool
  ) throws(Failure) -> [ChangedKey] {
    var staged = Stage()
    do throws(Failure) {
      for index in 0..<writes.count {
        let write = writes.writes[index]
        guard let table = write.table else { continue }
        if write.kind == .replace {
          try stageReplacement(write.operand, in: table, into: &staged)
          continue
        }
        let key = Array(write.keyBytes)
        switch write.kind {
        case .put, .delete: staged.append(writes.takeVersion(index), write.content, at: key, in: table)
        default:
          let current = staged.version(of: key, in: table) ?? committed(key, write.hash, in: table)
          let version = try combine(write.kind, current: current, operand: write.operand) {
            "\(table._withUnsafeGuaranteedRef { $0.name })/\(String(decoding: key, as: UTF8.self))"
          }
          staged.append(version, at: key, in: table)
        }
      }
      try check(staged, isNew: isNew)
    } catch {
      for item in staged.items { Version.free(item.version) }
      throw error
    }
    for item in staged.items {
      item.table._withUnsafeGuaranteedRef { table in
        item.key.withUnsafeBufferPointer { key in
          let hash = KeyHash.of(key.baseAddress!, count: key.count)
          let entry = table.makeEntry(key.baseAddress!, key.count, hash: hash, reclaim: reclaimer)
          table.put(item.version, content: item.content, to: entry, seq: seq, reclaim: reclaimer)
        }
      }
    }
    return staged.items.map { ChangedKey(table: $0.table, key: $0.key) }
  }

  static func hash(of key: [UInt8]) -> UInt64 {
    key.withUnsafeBufferPointer { KeyHash.of($0.baseAddress!, count: $0.count) }
  }

  func committed(
    _ key: [UInt8], _ hash: UInt64, in table: Unmanaged<StoreTable>
  ) -> UnsafeMutablePointer<Version>? {
    table._withUnsafeGuaranteedRef { table in
      key.withUnsafeBufferPointer { table.entry($0.baseAddress!, $0.count, hash: hash) }
    }.flatMap { Entry.visible($0, at: .max) }
  }

  // MARK: Whole store

  /// The store becomes `content` (a map): keys that differ are put, keys that are gone are deleted.
  private func stageReplacement(
    _ content: UnsafeBufferPointer<UInt8>, in table: Unmanaged<StoreTable>, into staged: inout Stage
  ) throws(Failure) {
    var reader = CBORReader(UnsafeRawBufferPointer(content))
    guard let entries = try? reader.entries() else {
      throw Failure(message: "prepare_commit needs a map of keys to values")
    }
    var wanted: [[UInt8]: UnsafeRawBufferPointer] = [:]
    for (key, value) in entries { wanted[Array(key)] = value }
    if wanted[[]] != nil { throw Failure(message: "prepare_commit: a key is empty") }
    // Keys that earlier intents of the list changed are set whatever the committed value is.
    var touched = staged.keys(of: table)
    table._withUnsafeGuaranteedRef { store in
      store.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, version in
        let key = Array(UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength)))
        let isTouched = touched.remove(key) != nil
        guard let value = wanted.removeValue(forKey: key) else {
          staged.append(Version.makeDeleted(), at: key, in: table)
          return true
        }
        let old = UnsafeBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
        if isTouched || !value.elementsEqual(old) {
          staged.append(Version.make(value.baseAddress, count: value.count), at: key, in: table)
        }
        return true
      }
    }
    for key in touched.sorted(by: { $0.lexicographicallyPrecedes($1) }) where wanted[key] == nil {
      staged.append(Version.makeDeleted(), at: key, in: table)
    }
    for (key, value) in wanted.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      staged.append(Version.make(value.baseAddress, count: value.count), at: key, in: table)
    }
  }
}
