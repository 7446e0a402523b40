import Synchronization

/// The order of a store's keys: a skip list (Pugh 1990, p = 1/4) through the entries themselves, one
/// writer, readers without locks. It is touched only when a key appears or disappears.
///
/// A reader goes from the head to the right and downwards, never up. So it must find, wherever it can stand, links on
/// that level and all below; nil there means the end of the list. And from wherever it stands it must come to every
/// key that its snapshot has:
/// - `insert` links an entry from the bottom up, once all its own links are set.
/// - `remove` leaves the entry's links as they are. They lead to what followed then; who stands there needs nothing
///   that came behind it later, for that is newer than the reader's snapshot, and what followed is not freed while
///   the reader is there (`Reclaimer`), though it may have been taken out as well.
final class KeyOrder {
  static let maximumLevels = 16

  private let head: UnsafeMutablePointer<Entry>
  private var random = SplitMix(state: UInt64.random(in: .min ... .max))  // writer only

  init() {
    var nothing: UInt8 = 0
    head = Entry.make(hash: 0, key: &nothing, count: 0, levels: Self.maximumLevels)
  }

  deinit { Entry.free(head) }

  /// Levels for a new entry: 1, and one more with probability 1/4 each.
  func randomLevels() -> Int {
    min(Self.maximumLevels, 1 + random.next().trailingZeroBitCount / 2)
  }

  @inline(__always)
  private static func next(after entry: UnsafeMutablePointer<Entry>, _ level: Int) -> UnsafeMutablePointer<
    Entry
  >? {
    UnsafeMutablePointer(bitPattern: Entry.forward(entry, level).pointee.loadAcquiring())
  }

  /// First entry whose key is not below `key`. O(log n); any thread.
  func lowerBound(_ key: UnsafePointer<UInt8>, _ count: Int) -> UnsafeMutablePointer<Entry>? {
    var entry = head
    var found: UnsafeMutablePointer<Entry>?
    for level in stride(from: Self.maximumLevels - 1, through: 0, by: -1) {
      found = Self.next(after: entry, level)
      while let next = found, Entry.compare(next, key, count) < 0 {
        entry = next
        found = Self.next(after: entry, level)
      }
    }
    // The one that was compared. The link may lead elsewhere by now: to a new key, which is below.
    return found
  }

  /// The entry after `entry`; any thread.
  @inline(__always)
  func next(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeMutablePointer<Entry>? {
    Self.next(after: entry, 0)
  }

  var first: UnsafeMutablePointer<Entry>? { Self.next(after: head, 0) }

  /// Writer only. O(log n).
  func insert(_ entry: UnsafeMutablePointer<Entry>) {
    let key = Entry.key(entry)
    let count = Int(entry.pointee.keyLength)
    let levels = Int(entry.pointee.levels)
    withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Entry>.self, capacity: levels) { befores in
      var before = head
      for level in stride(from: Self.maximumLevels - 1, through: 0, by: -1) {
        while let next = Self.next(after: before, level), Entry.compare(next, key, count) < 0 {
          before = next
        }
        guard level < levels else { continue }
        befores[level] = before
        Entry.forward(entry, level).pointee.storeRelaxed(Entry.forward(before, level).pointee.loadRelaxed())
      }
      // All its links are set. Now from the bottom up: who meets it on a level goes on below it.
      for level in 0..<levels {
        Entry.forward(befores[level], level).pointee.storeReleasing(UInt(bitPattern: entry))
      }
    }
  }

  /// Takes an entry out; its own links stay, so that a reader standing on it goes on. Writer only.
  func remove(_ entry: UnsafeMutablePointer<Entry>) {
    let key = Entry.key(entry)
    let count = Int(entry.pointee.keyLength)
    var before = head
    for level in stride(from: Self.maximumLevels - 1, through: 0, by: -1) {
      while let next = Self.next(after: before, level), Entry.compare(next, key, count) < 0 { before = next }
      if Self.next(after: before, level) == entry {
        Entry.forward(before, level).pointee.storeReleasing(Entry.forward(entry, level).pointee.loadRelaxed())
      }
    }
  }
}

/// Sebastiano Vigna's splitmix64: levels need only be unpredictable enough to keep the list balanced.
private struct SplitMix {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
