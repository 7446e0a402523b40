import TriggerCore

/// Goes through all stores part by part while commits go on. A snapshot is held for one part at a time, so
/// nothing piles up behind a long walk; each part is a consistent cut of its own seq. One thread.
package final class StoreWalk {
  private let engine: Engine
  private let partBytes: Int
  /// Still to do, the next one last. Nil before the first part: a store that appears between the list and the first
  /// snapshot would be in neither the parts nor the records after them.
  private var tables: [StoreTable]?
  private var after: [UInt8] = []
  /// Of the store that is being walked: the newest change seen, and what the parts say so far.
  private var changed: Int64 = 0
  private var changedTold: Int64 = 0
  private let items = CBORBuffer()
  private var contents: [Range<Int>] = []
  /// Every commit up to it is in the parts.
  package private(set) var since: Int64 = .max
  /// No part has a commit after it.
  package private(set) var through: Int64 = 0

  init(_ engine: Engine, partBytes: Int = 256 << 10) {
    self.engine = engine
    self.partBytes = partBytes
  }

  /// The next part; nil at the end.
  package func next() throws -> StorePart? {
    guard let slot = engine.registry.takeSlot() else { throw StoreError("too many readers at once") }
    defer { engine.registry.giveBack(slot) }
    let seq = engine.registry.hold(slot)
    since = min(since, seq)
    through = max(through, seq)
    if tables == nil { tables = engine.stores.existing.reversed() }
    while let table = tables?.last {
      let count = collect(table, at: seq)
      // What was taken out has changed the store all the same. After the scan, as in `StoreTable.version(at:)`.
      changed = max(changed, table.newestTakenOut)
      // Records tell of changes after `since`.
      let tellsMore = changed > changedTold && changedTold < since
      if count > 0 || tellsMore { return part(of: table, seq: seq, count: count) }
      tables?.removeLast()
      (after, changed, changedTold) = ([], 0, 0)
    }
    return nil
  }

  private func part(of table: StoreTable, seq: Int64, count: Int) -> StorePart {
    changedTold = changed
    let part = CBORBuffer(capacity: items.count + 256)
    part.array(4)
    part.text(table.name)
    part.int(seq)
    part.int(changed)
    part.array(count * 3)
    let start = part.count
    part.raw(items.bytes)
    return StorePart(bytes: Array(part.bytes), contents: contents.map { $0.shifted(by: start) })
  }

  /// Puts the next keys into `items`. Returns how many.
  private func collect(_ table: StoreTable, at seq: Int64) -> Int {
    items.removeAll()
    contents.removeAll()
    let threshold = table.deduplicationThreshold
    var count = 0
    let nothing = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    var entry = after.withUnsafeBufferPointer { table.firstEntry(notBelow: $0) }
    while let current = entry, items.count < partBytes {
      let key = UnsafeRawBufferPointer(start: Entry.key(current), count: Int(current.pointee.keyLength))
      let visible = Entry.visible(current, at: seq)
      if let visible { changed = max(changed, visible.pointee.seq) }
      if let version = visible, !version.isDeleted {
        items.blob(key)
        items.blob(
          UnsafeRawBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length)))
        if version.pointee.length >= threshold {
          items.findContents(inLast: Int(version.pointee.length), from: threshold, &contents)
        }
        items.int(version.pointee.seq)
        count += 1
      }
      // The first key after this one.
      after.removeAll(keepingCapacity: true)
      after.append(contentsOf: key)
      after.append(0)
      entry = table.nextEntry(current, prefix: nothing)
    }
    return count
  }
}
