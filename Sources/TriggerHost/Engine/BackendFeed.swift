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

  /// Call right after the writes of `seq` were applied. O(keys) of each changed store that has a backend.
  func commit(_ seq: Int64) {
    for (table, apply) in backends.values where table.changed.load(ordering: .relaxed) == seq {
      let changes = table.changes(of: seq).map { change in
        StoreChange(
          key: String(decoding: change.key, as: UTF8.self),
          value: change.value.flatMap { try? CanonicalEncoding.decode($0) })
      }
      queue.async { apply(seq, changes) }
    }
  }

  /// Returns when everything committed so far has been told.
  func drain() { queue.sync {} }
}
