import Dispatch
import TriggerCore

/// Tells backends what commits changed: in seq order, after the commit, on one serial queue, so that a slow
/// backend delays nobody but itself. Engine lock.
struct BackendFeed {
  typealias Apply = @Sendable (_ seq: Int64, _ changes: [StoreChange]) -> Void

  private var backends: [ObjectIdentifier: (table: StoreTable, apply: Apply)] = [:]
  private let queue = DispatchQueue(label: "store-backends")

  var isEmpty: Bool { backends.isEmpty }

  mutating func add(_ table: StoreTable, _ apply: @escaping Apply) {
    backends[ObjectIdentifier(table)] = (table, apply)
  }

  /// Call right after the writes of `seq` were applied. O(changed keys).
  func commit(_ seq: Int64, _ changed: [Committer.ChangedKey]) {
    for (table, apply) in backends.values where table.changed.load(ordering: .relaxed) == seq {
      var seen: Set<[UInt8]> = []
      let changes = changed.compactMap { change -> StoreChange? in
        guard change.table.toOpaque() == Unmanaged.passUnretained(table).toOpaque(),
          seen.insert(change.key).inserted
        else { return nil }
        return StoreChange(
          key: String(decoding: change.key, as: UTF8.self), value: Self.newest(change.key, in: table))
      }
      queue.async { apply(seq, changes) }
    }
  }

  private static func newest(_ key: [UInt8], in table: StoreTable) -> Value? {
    let entry = key.withUnsafeBufferPointer { key in
      table.entry(key.baseAddress!, key.count, hash: KeyHash.of(key.baseAddress!, count: key.count))
    }
    guard let entry, let version = Entry.visible(entry, at: .max), !version.isDeleted else {
      return nil
    }
    let bytes = UnsafeRawBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
    return try? CanonicalEncoding.decode(bytes)
  }

  /// Returns when everything committed so far has been told.
  func drain() { queue.sync {} }
}
