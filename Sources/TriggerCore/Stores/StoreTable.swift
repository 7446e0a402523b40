import Glibc
import Synchronization

/// Told of every version right after it was linked, by the writer and under its lock: be quick.
package protocol StoreFollower: AnyObject, Sendable {
  func changed(_ entry: UnsafeMutablePointer<Entry>, to version: UnsafeMutablePointer<Version>)
}

/// What may be in a store, where something behind it cannot take everything.
package protocol StoreRule: Sendable {
  /// Why a key cannot have a value, in canonical encoding, or be deleted (nil); nil when it can.
  func refusal(of key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer?) -> String?
  /// Why a store cannot have grown to so many keys, and bytes of keys and values; nil when it can.
  func refusal(ofKeys keys: Int, bytes: Int) -> String?
  /// Keys are paths of files: not every two of them can be there together (`FileNames`).
  var keysAreFilePaths: Bool { get }
}

/// The content of one store: every key with its versions, newest first.
///
/// One writer (whoever holds the engine's lock) links new versions; readers on any thread read as of a
/// committed seq without locks, provided that seq is held in a `SnapshotRegistry` meanwhile. A snapshot
/// is therefore a number, and a commit costs what it changes. Superseded versions are freed in order as
/// soon as no held snapshot can reach them; a key whose newest version is a deletion leaves the table then.
///
/// Memory per key: 16 to 64 bytes of index, 32 bytes of entry and 8 or more of links, 24 bytes per version, two
/// `malloc` headers, the key and the value.
package final class StoreTable: @unchecked Sendable {  // writer fields: engine lock; the rest as said above
  package let name: String
  /// The name in UTF-8.
  package var nameBytes: UnsafeRawBufferPointer { nameText.buffer }
  private let nameText: FixedBytes
  /// The host keeps its own there: scripts cannot open it, and no trigger hears of its commits. Its name begins with a
  /// dot.
  package let isInternal: Bool
  private let index = HashIndex()
  private let order = KeyOrder()

  /// Seq of the last commit that changed the store, 0 before the first. Written by the writer.
  package let changed = Atomic<Int64>(0)
  /// Seq of the newest deletion whose key has left the table.
  private let purged = Atomic<Int64>(0)
  /// Keys with a value, as of the newest commit.
  package let liveKeys = Atomic<Int>(0)
  /// Bytes of keys and values, as of the newest commit.
  package let liveBytes = Atomic<Int>(0)
  /// Of what it holds, as of the newest commit. Engine lock. (Unchecked: only ever added to, by each commit.)
  @exclusivity(unchecked) package var digest = StoreDigest()
  /// Who keeps a copy of the store. Engine lock.
  package var follower: (any StoreFollower)?
  /// What new commits must keep to. Set before the first of them.
  package var rule: (any StoreRule)? { didSet { hasRule = rule != nil } }
  /// Asked for each intent, without counting a reference.
  private(set) var hasRule = false
  /// Where keys are paths of files: how those with a value, as of the newest commit, are spelled. Nil until somebody
  /// asked. Engine lock.
  package var spellings: FileSpellings?
  /// Strings in its values of so many bytes or more are likely to come again: a log keeps each distinct one once.
  /// Set before the first commit.
  package var deduplicationThreshold = Int.max

  /// Whether a store of this name is the host's own.
  package static func isInternal(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

  /// Stands for a store that is not there, for one execution: nothing is ever in it, and a commit that writes to it
  /// makes the store (`StoreDirectory`).
  package let isStandIn: Bool

  package init(name: String, isStandIn: Bool = false) {
    self.name = name
    self.isStandIn = isStandIn
    nameText = FixedBytes(name)
    isInternal = Self.isInternal(name)
  }

  deinit {
    nameText.free()
    var entry = order.first
    while let current = entry {
      entry = order.next(current)
      var version = Entry.newestVersion(current)
      while let old = version {
        version = old.pointee.previous
        Version.free(old)
      }
      Entry.free(current)
    }
  }

  // MARK: Reading, any thread

  /// The key's entry, nil when the key has none. O(1) expected.
  @inline(__always)
  package func entry(
    _ key: UnsafePointer<UInt8>, _ count: Int, hash: UInt64
  ) -> UnsafeMutablePointer<Entry>? {
    index.find(hash: hash, key: key, count: count)
  }

  /// Visits keys with a prefix in byte order, with the version visible at `seq`, deletions left out.
  /// O(log n + visited). `body` returns false to stop.
  package func scan(
    prefix: UnsafeBufferPointer<UInt8>, at seq: Int64,
    _ body: (UnsafeMutablePointer<Entry>, UnsafeMutablePointer<Version>) -> Bool
  ) {
    var cursor = firstEntry(prefix: prefix)
    while let entry = cursor {
      if let version = Entry.visible(entry, at: seq), !version.isDeleted, !body(entry, version) {
        return
      }
      cursor = nextEntry(entry, prefix: prefix)
    }
  }

  package func firstEntry(prefix: UnsafeBufferPointer<UInt8>) -> UnsafeMutablePointer<Entry>? {
    guard let base = prefix.baseAddress, prefix.count > 0 else { return order.first }
    guard let entry = order.lowerBound(base, prefix.count) else { return nil }
    return Entry.hasPrefix(entry, base, prefix.count) ? entry : nil
  }

  /// The first entry whose key is not below `key`, in byte order. O(log n).
  package func firstEntry(notBelow key: UnsafeBufferPointer<UInt8>) -> UnsafeMutablePointer<Entry>? {
    guard let base = key.baseAddress, key.count > 0 else { return order.first }
    return order.lowerBound(base, key.count)
  }

  @inline(__always)
  package func nextEntry(
    _ entry: UnsafeMutablePointer<Entry>, prefix: UnsafeBufferPointer<UInt8>
  ) -> UnsafeMutablePointer<Entry>? {
    guard let next = order.next(entry) else { return nil }
    guard let base = prefix.baseAddress, prefix.count > 0 else { return next }
    return Entry.hasPrefix(next, base, prefix.count) ? next : nil
  }

  /// Seq of the last commit at or before `seq` that changed the store. O(1) when nothing changed since,
  /// else O(keys).
  package func version(at seq: Int64) -> Int64 {
    let newest = changed.loadAcquiring()
    if newest <= seq { return newest }
    var latest: Int64 = 0
    var cursor = order.first
    while let entry = cursor {
      if let version = Entry.visible(entry, at: seq) { latest = max(latest, Version.seq(version)) }
      cursor = order.next(entry)
    }
    // Last: a key that was taken out before the scan came to it was noted there before.
    return max(latest, newestTakenOut)
  }

  /// Seq of the newest deletion whose key has left the table: not after any snapshot that is held.
  package var newestTakenOut: Int64 { purged.loadAcquiring() }

  /// True when a key with the prefix changed after `seq`. O(1) when the store did not change since, else
  /// O(keys with the prefix). Writer only.
  ///
  /// - Parameter steps: keys that may be looked at; below zero afterwards: not all were, and nothing is known.
  package func changed(prefix: UnsafeBufferPointer<UInt8>, after seq: Int64, steps: inout Int) -> Bool {
    if changed.load(ordering: .relaxed) <= seq { return false }
    if prefix.count == 0 { return true }
    if purged.load(ordering: .relaxed) > seq { return true }
    var cursor = firstEntry(prefix: prefix)
    while let entry = cursor {
      if Entry.newestSeq(entry) > seq { return true }
      steps -= 1
      if steps < 0 { return true }
      cursor = nextEntry(entry, prefix: prefix)
    }
    return false
  }

  // MARK: Writing, engine lock

  /// The key's entry, made when it is absent. O(1), and O(log n) for a new key.
  package func makeEntry(
    _ key: UnsafePointer<UInt8>, _ count: Int, hash: UInt64, reclaim: Reclaimer
  ) -> UnsafeMutablePointer<Entry> {
    if let entry = index.find(hash: hash, key: key, count: count) { return entry }
    let entry = Entry.make(hash: hash, key: key, count: count, levels: order.randomLevels())
    order.insert(entry)
    if let block = index.insert(entry) { reclaim.free(later: block) }
    return entry
  }

  /// Links `version` as the key's newest, as written by `seq`. Takes ownership of `version`.
  ///
  /// - Parameter content: `StoreDigest.content` of the key and the version's value; anything for a deletion.
  @inline(__always)
  package func put(
    _ version: UnsafeMutablePointer<Version>, content: UInt64, to entry: UnsafeMutablePointer<Entry>,
    seq: Int64, reclaim: Reclaimer
  ) {
    let old = Entry.newestVersion(entry)
    Seam.willWrite(UInt(bitPattern: Int(seq)), to: version)
    version.pointee.seq = seq
    Version.set(previous: old, of: version)
    account(entry, old: old, new: version, content)
    entry.pointee.newest.storeReleasing(UInt(bitPattern: version))
    changed.storeReleasing(seq)
    reclaim.retire(version, of: entry, in: self)
    if let follower { follower.changed(entry, to: version) }
  }

  /// Puts back a key as a checkpoint has it. The key has no version yet.
  package func restore(
    _ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer, seq: Int64, reclaim: Reclaimer
  ) {
    let base = key.baseAddress!
    let entry = makeEntry(base, key.count, hash: KeyHash.of(base, count: key.count), reclaim: reclaim)
    put(
      Version.make(value.baseAddress, count: value.count),
      content: StoreDigest.content(UnsafeRawBufferPointer(key), value), to: entry, seq: seq, reclaim: reclaim)
  }

  /// Takes out every key. Nobody may read meanwhile.
  package func clear(reclaim: Reclaimer) {
    var cursor = order.first
    while let entry = cursor {
      cursor = order.next(entry)
      put(Version.makeDeleted(), content: 0, to: entry, seq: 0, reclaim: reclaim)
    }
    reclaim.reclaim(horizon: .max, frontier: 0)
  }

  /// The store was changed by `seq`, or later: for changes that are not put again one by one. Every snapshot
  /// there will be is at or after `seq`.
  package func noteChange(_ seq: Int64) {
    changed.store(max(changed.load(ordering: .relaxed), seq), ordering: .releasing)
    // What it changed may have been deleted: then no key tells of it.
    purged.store(max(purged.load(ordering: .relaxed), seq), ordering: .releasing)
  }

  /// Seq of the newest change of a key that is there, 0 for one that is not.
  package func newestSeq(_ key: UnsafeBufferPointer<UInt8>) -> Int64 {
    guard let base = key.baseAddress else { return 0 }
    return entry(base, key.count, hash: KeyHash.of(base, count: key.count)).map { Entry.newestSeq($0) } ?? 0
  }

  @inline(__always)
  private func account(
    _ entry: UnsafeMutablePointer<Entry>, old: UnsafeMutablePointer<Version>?,
    new: UnsafeMutablePointer<Version>, _ content: UInt64
  ) {
    let term = new.isDeleted ? 0 : StoreDigest.term(content, version: new.pointee.seq)
    digest.change(entry.pointee.term, to: term)
    entry.pointee.term = term
    let key = Int(entry.pointee.keyLength)
    let before = old.map { $0.isDeleted ? 0 : Int($0.pointee.length) + key } ?? 0
    let after = new.isDeleted ? 0 : Int(new.pointee.length) + key
    if before == 0 || after == 0 {
      let step = (after > 0 ? 1 : 0) - (before > 0 ? 1 : 0)
      liveKeys.store(liveKeys.load(ordering: .relaxed) &+ step, ordering: .relaxed)
    }
    liveBytes.store(liveBytes.load(ordering: .relaxed) &+ after &- before, ordering: .relaxed)
  }

  /// Takes out a key whose newest version is a deletion that every held snapshot sees.
  func unlink(_ entry: UnsafeMutablePointer<Entry>, deletedBy seq: Int64) {
    // First, for `version(at:)`.
    purged.storeReleasing(max(purged.load(ordering: .relaxed), seq))
    entry.pointee.isUnlinked = true
    index.remove(entry)
    order.remove(entry)
  }
}
