import Glibc
import TriggerCore

/// A store becomes what an intent says.
extension Committer {
  private typealias Bytes = UnsafeBufferPointer<UInt8>

  /// Keys that differ are put, keys that are gone are deleted. O(keys of the replacement and of the store).
  func stageReplacement(
    of table: Unmanaged<StoreTable>, by content: UnsafeBufferPointer<UInt8>, into stage: inout CommitStage,
    isNew: Bool
  ) throws(Failure) {
    let wanted = try wanted(content)
    let there = table._withUnsafeGuaranteedRef { $0.liveKeys.load(ordering: .relaxed) }
    let fewest = max(wanted.count, there - wanted.count)
    if isNew, fewest > mostReplaced { throw tooMany(fewest, in: table) }
    // Keys that earlier intents of the list changed are set whatever the committed value is.
    let touched = stage.slots.indices.filter { stage.slots[$0].table.toOpaque() == table.toOpaque() }
    for slot in touched { stage.set(slot, .gone) }
    let before = stage.slots.count
    var added: [(key: Bytes, value: UnsafeRawBufferPointer)] = []
    stageKnown(wanted, in: table, &stage, added: &added)
    for (key, value) in added { set(key, .value(value), in: table, &stage) }
    let count = stage.slots.count - before + touched.count
    if isNew, count > mostReplaced { throw tooMany(count, in: table) }
  }

  private func tooMany(_ count: Int, in table: Unmanaged<StoreTable>) -> Failure {
    let name = table._withUnsafeGuaranteedRef { $0.name }
    return Failure(
      .intent,
      "prepare_commit of '\(name)': it would set or change \(count) keys, the limit of one commit is "
        + "\(mostReplaced): change single keys")
  }

  /// What the store is to have, by key in the order of their bytes.
  private func wanted(
    _ content: Bytes
  ) throws(Failure) -> [(key: Bytes, value: UnsafeRawBufferPointer)] {
    var reader = CBORReader(UnsafeRawBufferPointer(content))
    guard let entries = try? reader.entries() else {
      throw Failure(.intent, "prepare_commit needs a map of keys to values")
    }
    var wanted = entries.map { (key: $0.key.bindMemory(to: UInt8.self), value: $0.value) }
    if wanted.contains(where: { $0.key.isEmpty }) { throw Failure(.intent, "prepare_commit: a key is empty") }
    // An encoded map has them by length first.
    wanted.sort { Self.compare($0.key, $1.key) < 0 }
    return wanted
  }

  /// Walks through the keys that are there and those that are wanted, side by side.
  private func stageKnown(
    _ wanted: [(key: Bytes, value: UnsafeRawBufferPointer)], in table: Unmanaged<StoreTable>,
    _ stage: inout CommitStage, added: inout [(key: Bytes, value: UnsafeRawBufferPointer)]
  ) {
    let touched = stage.slots.count
    var next = 0
    table._withUnsafeGuaranteedRef { store in
      store.scan(prefix: Bytes(start: nil, count: 0), at: .max) { entry, version in
        let key = Entry.keyBytes(entry)
        while next < wanted.count, Self.compare(wanted[next].key, key) < 0 {
          added.append(wanted[next])
          next += 1
        }
        guard next < wanted.count, Self.compare(wanted[next].key, key) == 0 else {
          set(key, .gone, in: table, &stage)
          return true
        }
        let value = wanted[next].value
        next += 1
        let old = Version.value(version)
        // Asked of few: most lists change a store in one way only.
        let isTouched = touched > 0 && stage.contains(key, in: table)
        if isTouched || value.count != old.count
          || memcmp(value.baseAddress!, old.baseAddress!, old.count) != 0
        {
          set(key, .value(value), in: table, &stage)
        }
        return true
      }
    }
    added += wanted[next...]
  }

  private func set(
    _ key: Bytes, _ change: CommitStage.Change, in table: Unmanaged<StoreTable>, _ stage: inout CommitStage
  ) {
    let hash = KeyHash.of(key.baseAddress!, count: key.count)
    stage.set(stage.slot(of: key, hash: hash, in: table, entry: nil), change)
  }

  private static func compare(_ left: Bytes, _ right: Bytes) -> Int {
    let order = memcmp(left.baseAddress!, right.baseAddress!, min(left.count, right.count))
    return order != 0 ? Int(order) : left.count - right.count
  }
}
