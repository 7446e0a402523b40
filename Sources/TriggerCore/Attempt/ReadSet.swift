import Glibc

/// Everything one attempt looked at, and the check whether it still holds.
///
/// A read is an address with a kind in its low bits; what a read saw is the snapshot's seq, the same for
/// all, so a key still holds when its newest version is not newer than that. Filled by the attempt's
/// thread, checked under the engine lock; the owner hands it over whole.
package struct ReadSet: ~Copyable {
  /// What was read. Stores outlive the engine's attempts, so they are held unretained.
  private struct Read {
    enum Kind: UInt8 { case key, absentKey, prefix, store }
    var kind: Kind
    var count: Int32  // bytes of key or prefix at `pointer`
    var pointer: UnsafeMutableRawPointer?  // the entry, or own copy of the key or prefix
    var table: Unmanaged<StoreTable>
    var hash: UInt64
  }

  private var reads: UnsafeMutablePointer<Read>
  private var capacity = 8
  package private(set) var count = 0
  /// Stores that count as read whole, as there were more reads than `most`; empty: there were not.
  private var wholes: Set<UnsafeMutableRawPointer> = []

  /// Most reads that are kept one by one, and most keys that are looked at to tell whether prefixes hold: beyond, what
  /// was read counts as all of its store. A commit waits for that, and everybody for the commit.
  package static let most = 65_536

  /// What the set takes in memory, about.
  package private(set) var bytes = 0

  package init() { reads = .allocate(capacity: capacity) }

  deinit {
    for index in 0..<count where reads[index].kind != .key { free(reads[index].pointer) }
    reads.deallocate()
  }

  /// Empties the set and keeps its memory.
  package mutating func removeAll() {
    for index in 0..<count where reads[index].kind != .key { free(reads[index].pointer) }
    count = 0
    bytes = 0
    if !wholes.isEmpty { wholes.removeAll() }
  }

  @inline(__always)
  private mutating func append(_ read: Read) {
    if count >= Self.most || !wholes.isEmpty { return appendWhole(read) }
    if count == capacity { grow() }
    (reads + count).initialize(to: read)
    count &+= 1
    bytes &+= MemoryLayout<Read>.stride &+ Int(read.count)
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Read>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: reads, count: count)
    reads.deallocate()
    reads = larger
    capacity *= 2
  }

  private mutating func appendWhole(_ read: Read) {
    if read.kind != .key { free(read.pointer) }
    if wholes.isEmpty {
      var tables: [Unmanaged<StoreTable>] = []
      for index in 0..<count where wholes.insert(reads[index].table.toOpaque()).inserted {
        tables.append(reads[index].table)
      }
      for index in 0..<count where reads[index].kind != .key { free(reads[index].pointer) }
      (count, bytes) = (0, 0)
      for table in tables { keep(Read(kind: .store, count: 0, pointer: nil, table: table, hash: 0)) }
    }
    if wholes.insert(read.table.toOpaque()).inserted {
      keep(Read(kind: .store, count: 0, pointer: nil, table: read.table, hash: 0))
    }
  }

  private mutating func keep(_ read: Read) {
    if count == capacity { grow() }
    (reads + count).initialize(to: read)
    count += 1
    bytes += MemoryLayout<Read>.stride
  }

  @inline(__always)
  package mutating func add(entry: UnsafeMutablePointer<Entry>, in table: StoreTable) {
    // A loop that reads one key again and again adds nothing.
    if count > 0, reads[count &- 1].pointer == UnsafeMutableRawPointer(entry) { return }
    append(
      Read(
        kind: .key, count: 0, pointer: UnsafeMutableRawPointer(entry), table: .passUnretained(table), hash: 0)
    )
  }

  package mutating func add(
    absent key: UnsafePointer<UInt8>, _ count: Int, hash: UInt64, in table: StoreTable
  ) {
    if isLast(.absentKey, key, count, in: table) { return }
    append(
      Read(
        kind: .absentKey, count: Int32(count), pointer: copy(key, count), table: .passUnretained(table),
        hash: hash))
  }

  package mutating func add(prefix: UnsafeBufferPointer<UInt8>, in table: StoreTable) {
    guard let base = prefix.baseAddress, prefix.count > 0 else { return add(whole: table) }
    if isLast(.prefix, base, prefix.count, in: table) { return }
    append(
      Read(
        kind: .prefix, count: Int32(prefix.count), pointer: copy(base, prefix.count),
        table: .passUnretained(table), hash: 0))
  }

  package mutating func add(whole table: StoreTable) {
    if isLast(.store, nil, 0, in: table) { return }
    append(Read(kind: .store, count: 0, pointer: nil, table: .passUnretained(table), hash: 0))
  }

  private func isLast(
    _ kind: Read.Kind, _ bytes: UnsafePointer<UInt8>?, _ size: Int, in table: StoreTable
  ) -> Bool {
    guard count > 0 else { return false }
    let last = reads + (count - 1)
    guard last.pointee.kind == kind, Int(last.pointee.count) == size,
      last.pointee.table.toOpaque() == Unmanaged.passUnretained(table).toOpaque()
    else { return false }
    guard let bytes, let own = last.pointee.pointer else { return bytes == nil }
    return memcmp(own, bytes, size) == 0
  }

  private func copy(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UnsafeMutableRawPointer {
    let block = malloc(max(count, 1))!
    memcpy(block, bytes, count)
    return block
  }

  /// What was read of one table, which was empty, is of another. O(reads).
  package mutating func move(to table: (StoreTable) -> StoreTable?) {
    for index in 0..<count {
      guard let new = table(reads[index].table.takeUnretainedValue()) else { continue }
      reads[index].table = .passUnretained(new)
      if !wholes.isEmpty { wholes.insert(reads[index].table.toOpaque()) }
    }
  }

  /// True when nothing read has changed after `seq`. Engine lock. O(reads), see `StoreTable.changed` for
  /// prefixes.
  package func holds(since seq: Int64) -> Bool {
    var steps = Int.max
    return holds(since: seq, steps: &steps) ?? false
  }

  /// As above, but nil when that is not known after so many keys that begin with prefixes have been looked at.
  package func holds(since seq: Int64, steps: inout Int) -> Bool? {
    for index in 0..<count {
      let holds = Self.holds(reads + index, since: seq, steps: &steps)
      if steps < 0 { return nil }
      if !holds { return false }
    }
    return true
  }

  /// From now on a prefix counts as the whole store: more conflicts, and less to look at.
  package mutating func coarsen() {
    for index in 0..<count where reads[index].kind == .prefix {
      free(reads[index].pointer)
      reads[index].pointer = nil
      reads[index].count = 0
      reads[index].kind = .store
    }
  }

  @inline(__always)
  private static func holds(_ read: UnsafeMutablePointer<Read>, since seq: Int64, steps: inout Int) -> Bool {
    switch read.pointee.kind {
    case .key:
      let entry = read.pointee.pointer!.assumingMemoryBound(to: Entry.self)
      if entry.pointee.isUnlinked { return !reappeared(read, entry, since: seq) }
      return Entry.newestSeq(entry) <= seq
    case .absentKey:
      let key = read.pointee.pointer!.assumingMemoryBound(to: UInt8.self)
      return read.pointee.table._withUnsafeGuaranteedRef {
        guard let entry = $0.entry(key, Int(read.pointee.count), hash: read.pointee.hash) else { return true }
        return Entry.newestSeq(entry) <= seq
      }
    case .prefix:
      let base = read.pointee.pointer!.assumingMemoryBound(to: UInt8.self)
      let prefix = UnsafeBufferPointer(start: base, count: Int(read.pointee.count))
      return read.pointee.table._withUnsafeGuaranteedRef {
        !$0.changed(prefix: prefix, after: seq, steps: &steps)
      }
    case .store:
      return read.pointee.table._withUnsafeGuaranteedRef { $0.changed.load(ordering: .relaxed) <= seq }
    }
  }

  /// The entry was a deletion when it was read and has left the table; is the key back since?
  private static func reappeared(
    _ read: UnsafeMutablePointer<Read>, _ old: UnsafeMutablePointer<Entry>, since seq: Int64
  ) -> Bool {
    read.pointee.table._withUnsafeGuaranteedRef {
      if Entry.newestSeq(old) > seq { return true }
      let now = $0.entry(Entry.key(old), Int(old.pointee.keyLength), hash: old.pointee.hash)
      return now.map { Entry.newestSeq($0) > seq } ?? false
    }
  }

  /// True when a write to the key would change something in this set. O(reads).
  package func covers(key: UnsafeBufferPointer<UInt8>, in table: StoreTable) -> Bool {
    for index in 0..<count {
      let read = reads[index]
      guard read.table.toOpaque() == Unmanaged.passUnretained(table).toOpaque() else { continue }
      switch read.kind {
      case .store: return true
      case .key:
        let entry = read.pointer!.assumingMemoryBound(to: Entry.self)
        if Entry.compare(entry, key.baseAddress!, key.count) == 0 { return true }
      case .absentKey:
        if Int(read.count) == key.count, memcmp(read.pointer!, key.baseAddress!, key.count) == 0 {
          return true
        }
      case .prefix:
        if Int(read.count) <= key.count, memcmp(read.pointer!, key.baseAddress!, Int(read.count)) == 0 {
          return true
        }
      }
    }
    return false
  }

  /// True when applying `writes` would change something in this set. O(reads × writes).
  package func covers(_ writes: borrowing WriteSet) -> Bool {
    for index in 0..<writes.count {
      let write = writes.writes + index
      guard case .change(let change, let table) = write.pointee.action else { continue }
      let hit = table._withUnsafeGuaranteedRef { table in
        change == .replace
          ? covers(anyKeyOf: table) : covers(key: write.pointee.keyBytes, in: table)
      }
      if hit { return true }
    }
    return false
  }

  private func covers(anyKeyOf table: StoreTable) -> Bool {
    (0..<count).contains { reads[$0].table.toOpaque() == Unmanaged.passUnretained(table).toOpaque() }
  }

  /// One line per read, for tests and traces: `charts/EURUSD`, `charts/EUR*`, `charts/*`.
  package var descriptions: [String] {
    (0..<count).map { index in
      let read = reads[index]
      let store = read.table._withUnsafeGuaranteedRef { $0.name }
      func text(_ pointer: UnsafePointer<UInt8>, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: pointer, count: count), as: UTF8.self)
      }
      switch read.kind {
      case .key:
        let entry = read.pointer!.assumingMemoryBound(to: Entry.self)
        return "\(store)/\(text(Entry.key(entry), Int(entry.pointee.keyLength)))"
      case .absentKey:
        return "\(store)/\(text(read.pointer!.assumingMemoryBound(to: UInt8.self), Int(read.count)))"
      case .prefix:
        return "\(store)/\(text(read.pointer!.assumingMemoryBound(to: UInt8.self), Int(read.count)))*"
      case .store: return "\(store)/*"
      }
    }
  }
}
