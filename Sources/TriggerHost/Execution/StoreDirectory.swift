import Synchronization
import TriggerCore

/// The stores of an engine by name. A table is made by whoever declares it, and by the first commit that writes to it;
/// the store counts as existing once it was declared or written to. Tables live as long as the engine.
package final class StoreDirectory: Sendable {
  package struct Refusal: Error, CustomStringConvertible {
    package var message: String
    package var description: String { message }
  }

  private struct Contents {
    var tables: [ExactText: StoreTable] = [:]
    var declared: Set<ExactText> = []
  }
  private let contents = Mutex(Contents())
  private let isStrict: Bool
  private let limit: Int
  private let rules: [String: any StoreRule]

  /// - Parameter rules: of stores by name.
  package init(isStrict: Bool, limit: Int, rules: [String: any StoreRule] = [:]) {
    self.isStrict = isStrict
    self.limit = limit
    self.rules = rules
  }

  private func make(_ name: String, isStandIn: Bool = false) -> StoreTable {
    let table = StoreTable(name: name, isStandIn: isStandIn)
    if !rules.isEmpty { table.rule = rules[name] }
    return table
  }

  /// Registers a store by name.
  package func declare(_ name: String) -> StoreTable {
    contents.withLock { contents in
      contents.declared.insert(ExactText(name))
      if let table = contents.tables[ExactText(name)] { return table }
      let table = make(name)
      contents.tables[ExactText(name)] = table
      return table
    }
  }

  /// The table for a name that the host or a log mentions.
  package func table(_ name: String) throws(Refusal) -> StoreTable {
    try contents.withLock { contents throws(Refusal) in
      if let table = contents.tables[ExactText(name)] { return table }
      try check(name, contents)
      if contents.tables.count >= limit { throw full }
      let table = make(name)
      contents.tables[ExactText(name)] = table
      return table
    }
  }

  /// A store that was declared or written to; nil for another name.
  func find(_ name: String) -> StoreTable? {
    contents.withLock { contents in
      guard let table = contents.tables[ExactText(name)] else { return nil }
      let isThere = contents.declared.contains(ExactText(name)) || table.changed.load(ordering: .relaxed) > 0
      return isThere ? table : nil
    }
  }

  /// The table for a name that an execution mentions: a stand-in when there is no such store, which the execution must
  /// keep. Nothing is left of that unless a commit makes the store: however many names a script tries, the others have
  /// room.
  func open(_ name: String) throws(Refusal) -> StoreTable {
    try contents.withLock { contents throws(Refusal) in
      if let table = contents.tables[ExactText(name)] { return table }
      try check(name, contents)
      return make(name, isStandIn: true)
    }
  }

  private func check(_ name: String, _ contents: borrowing Contents) throws(Refusal) {
    if name.isEmpty { throw Refusal(message: "a store needs a name") }
    guard isStrict, !StoreTable.isInternal(name) else { return }
    let known = contents.declared.map(\.text).sorted()
    let hint = Suggestion.clause(for: name, among: known)
    throw Refusal(message: "no store '\(name)' is configured and strict_stores is on\(hint)")
  }

  private var full: Refusal { Refusal(message: "more than \(limit) stores") }

  /// The store that a stand-in stood for, once there is one.
  package func store(for standIn: StoreTable) -> StoreTable? {
    contents.withLock { $0.tables[ExactText(standIn.name)] }
  }

  /// Why a commit cannot make so many stores; nil when it can.
  package func refusal(ofNew count: Int) -> Refusal? {
    contents.withLock { $0.tables.count + count > limit ? full : nil }
  }

  /// A commit makes the store that a stand-in stood for.
  package func make(for standIn: StoreTable) -> StoreTable {
    contents.withLock { contents in
      if let table = contents.tables[ExactText(standIn.name)] { return table }
      let table = make(standIn.name)
      contents.tables[ExactText(standIn.name)] = table
      return table
    }
  }

  /// Stores that were declared or written to, by name.
  package var existing: [StoreTable] {
    contents.withLock { contents in
      contents.tables.values
        .filter { contents.declared.contains(ExactText($0.name)) || $0.changed.load(ordering: .relaxed) > 0 }
        .sorted { $0.name < $1.name }
    }
  }
}

/// Whoever calls holds the engine lock, or has the only thread.
extension StoreDirectory {
  /// Of the stores that changed after a seq, in byte order of their names.
  ///
  /// - Parameter seq: nil: of all there are.
  package func digests(changedAfter seq: Int64? = nil) -> [StateDigests.Store] {
    existing
      .filter { table in seq.map { table.changed.load(ordering: .relaxed) > $0 } ?? true }
      .map { StateDigests.Store(name: $0.name, digest: $0.digest) }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Compares the stores with what was kept of them.
  ///
  /// - Parameter isWhole: those that are not named are empty.
  /// - Throws: `StateDamage` for the first store that differs.
  package func check(_ kept: StateDigests, isWhole: Bool) throws(StateDamage) {
    var found: [ExactText: StoreDigest] = [:]
    for store in digests() { found[ExactText(store.name)] = store.digest }
    func compare(_ name: String, _ found: StoreDigest, _ kept: StoreDigest, _ seq: Int64) throws(StateDamage)
    {
      if found != kept { throw StateDamage(store: name, seq: seq, kept: kept, found: found) }
    }
    for store in kept.stores {
      let own = found.removeValue(forKey: ExactText(store.name)) ?? StoreDigest()
      try compare(store.name, own, store.digest, kept.seq)
    }
    guard isWhole else { return }
    for (name, digest) in found.sorted(by: { $0.key.text < $1.key.text }) {
      try compare(name.text, digest, StoreDigest(), kept.seq)
    }
  }
}
