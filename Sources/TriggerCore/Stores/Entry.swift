import Glibc
import Synchronization

/// One key of a store: its newest version, and its place in the order of keys.
///
/// A block of raw memory: this header, `levels` forward pointers of the skip list, then the key's bytes.
/// The single writer creates and unlinks entries; readers follow `newest` and the forward pointers with
/// acquiring loads.
package struct Entry: ~Copyable {
  /// Address of the newest `Version`; 0 until the key's first commit.
  package let newest = Atomic<UInt>(0)
  package let hash: UInt64
  /// What the newest version adds to the store's digest; 0 for a deletion. The writer's.
  var term: UInt64 = 0
  package let keyLength: Int32
  let levels: Int16
  /// Set by the writer when the entry left its table: a writer that kept the pointer looks the key up anew.
  package var isUnlinked = false

  typealias Pointer = UnsafeMutablePointer<Entry>
  private static let towerOffset = (MemoryLayout<Entry>.size + 7) & ~7

  init(hash: UInt64, keyLength: Int, levels: Int) {
    self.hash = hash
    self.keyLength = Int32(keyLength)
    self.levels = Int16(levels)
  }

  static func make(
    hash: UInt64, key: UnsafePointer<UInt8>, count: Int, levels: Int
  ) -> UnsafeMutablePointer<Entry> {
    let size = towerOffset + levels * 8 + count
    let block = malloc(size)!
    let entry = block.bindMemory(to: Entry.self, capacity: 1)
    entry.initialize(to: Entry(hash: hash, keyLength: count, levels: levels))
    for level in 0..<levels {
      (block + towerOffset + level * 8).bindMemory(to: Atomic<UInt>.self, capacity: 1)
        .initialize(to: Atomic<UInt>(0))
    }
    memcpy(block + towerOffset + levels * 8, key, count)
    return entry
  }

  static func free(_ entry: UnsafeMutablePointer<Entry>) {
    Glibc.free(entry)
  }

  /// Link to the next entry on `level`.
  @inline(__always)
  static func forward(_ entry: UnsafeMutablePointer<Entry>, _ level: Int) -> UnsafeMutablePointer<
    Atomic<UInt>
  > {
    (UnsafeMutableRawPointer(entry) + towerOffset + level &* 8).assumingMemoryBound(to: Atomic<UInt>.self)
  }

  /// The key's bytes (`keyLength` of them).
  @inline(__always)
  package static func key(_ entry: UnsafeMutablePointer<Entry>) -> UnsafePointer<UInt8> {
    UnsafePointer(
      (UnsafeMutableRawPointer(entry) + towerOffset + Int(entry.pointee.levels) &* 8)
        .assumingMemoryBound(to: UInt8.self))
  }

  @inline(__always)
  static func newestVersion(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeMutablePointer<Version>? {
    UnsafeMutablePointer(bitPattern: entry.pointee.newest.loadAcquiring())
  }

  /// The version that a snapshot of `seq` sees (which may be a deletion), nil when the key was not there.
  @inline(__always)
  package static func visible(
    _ entry: UnsafeMutablePointer<Entry>, at seq: Int64
  ) -> UnsafeMutablePointer<Version>? {
    var version = newestVersion(entry)
    while let candidate = version, Version.seq(candidate) > seq { version = Version.previous(candidate) }
    return version
  }

  /// Seq of the newest committed change of the key, 0 when there is none.
  @inline(__always)
  package static func newestSeq(_ entry: UnsafeMutablePointer<Entry>) -> Int64 {
    newestVersion(entry).map { Version.seq($0) } ?? 0
  }

  /// Orders keys by their bytes: negative, 0 or positive like `memcmp`.
  @inline(__always)
  static func compare(
    _ entry: UnsafeMutablePointer<Entry>, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Int {
    Seam.willRead(key(entry))
    let length = Int(entry.pointee.keyLength)
    let order = memcmp(key(entry), bytes, min(length, count))
    return order != 0 ? Int(order) : length &- count
  }

  @inline(__always)
  static func hasPrefix(
    _ entry: UnsafeMutablePointer<Entry>, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Bool {
    Seam.willRead(key(entry))
    return Int(entry.pointee.keyLength) >= count && memcmp(key(entry), bytes, count) == 0
  }
}
