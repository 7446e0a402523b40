/// Frees what no held snapshot can reach any more: superseded versions, unlinked entries, old index blocks.
///
/// Versions are retired in seq order, so a queue suffices: once every held snapshot is at or after the
/// seq of a version, nobody steps to the one before it. Entries and index blocks can be held by attempts
/// without a version chain between, so they wait until every attempt began after they were unlinked.
package final class Reclaimer {
  private struct Retired {
    var version: UnsafeMutablePointer<Version>
    var entry: UnsafeMutablePointer<Entry>
    var table: Unmanaged<StoreTable>  // stores live as long as the engine
  }
  private enum Limbo {
    case entry(UnsafeMutablePointer<Entry>, version: UnsafeMutablePointer<Version>)
    case block(UnsafeMutableRawPointer)
  }

  private var retired: UnsafeMutablePointer<Retired>
  private var capacity = 1024  // power of two
  private var head = 0
  private var count = 0
  private var limbo: [(Limbo, since: Int64)] = []
  private var limboHead = 0
  /// The seq being applied or last applied: every attempt that began before what is unlinked now has a
  /// snapshot at or before it.
  private var current: Int64 = 0

  package init() { retired = .allocate(capacity: capacity) }

  deinit {
    for (item, _) in limbo[limboHead...] { Self.release(item) }
    retired.deallocate()
  }

  /// Versions that wait to be freed.
  package var waiting: Int { count }

  /// `version` just became the newest of its key: the one before it can go once nobody needs it.
  @inline(__always)
  func retire(
    _ version: UnsafeMutablePointer<Version>, of entry: UnsafeMutablePointer<Entry>, in table: StoreTable
  ) {
    if version.pointee.previous == nil && !version.isDeleted { return }
    if count == capacity { grow() }
    retired[(head &+ count) & (capacity &- 1)] = Retired(
      version: version, entry: entry, table: .passUnretained(table))
    count &+= 1
  }

  func free(later block: UnsafeMutableRawPointer) { limbo.append((.block(block), since: current)) }

  /// Call before the writes of a seq are applied.
  @inline(__always)
  package func begin(_ seq: Int64) { current = seq }

  /// Frees what no snapshot at or after `horizon` can reach; `frontier` is the newest snapshot there can
  /// be. O(freed).
  ///
  /// - Parameter most: so many are freed at a time, or an eighth of what waits, whatever is more: who held a snapshot
  ///   for long may leave a great many.
  /// - Returns: false when that was not all.
  @discardableResult
  package func reclaim(horizon: Int64, frontier: Int64, most: Int = .max) -> Bool {
    current = max(current, frontier)
    var left = max(most, (count + limbo.count - limboHead) / 8)
    while count > 0, left > 0 {
      let item = retired[head]
      left -= 1
      guard item.version.pointee.seq <= horizon else { break }
      head = (head &+ 1) & (capacity &- 1)
      count &-= 1
      if let old = item.version.pointee.previous {
        Version.set(previous: nil, of: item.version)
        if !Seam.keeps(old) { Version.free(old) }
      }
      if item.version.isDeleted, Entry.newestVersion(item.entry) == item.version {
        item.table._withUnsafeGuaranteedRef { $0.unlink(item.entry, deletedBy: item.version.pointee.seq) }
        limbo.append((.entry(item.entry, version: item.version), since: current))
      }
    }
    while limboHead < limbo.count, left > 0, limbo[limboHead].since < horizon {
      left -= 1
      Self.release(limbo[limboHead].0)
      limboHead += 1
    }
    if limboHead == limbo.count, limboHead > 0 {
      limbo.removeAll(keepingCapacity: limbo.count < 4096)
      limboHead = 0
    } else if limboHead > 4096, limboHead * 2 > limbo.count {
      limbo.removeFirst(limboHead)
      limboHead = 0
    }
    return left > 0
  }

  private static func release(_ item: Limbo) {
    switch item {
    case .entry(let entry, let version):
      if !Seam.keeps(version) { Version.free(version) }
      if !Seam.keeps(entry) { Entry.free(entry) }
    case .block(let block): if !Seam.keeps(block) { HashIndex.free(block) }
    }
  }

  private func grow() {
    let larger = UnsafeMutablePointer<Retired>.allocate(capacity: capacity * 2)
    for offset in 0..<count { larger[offset] = retired[(head + offset) & (capacity - 1)] }
    retired.deallocate()
    retired = larger
    capacity *= 2
    head = 0
  }
}
