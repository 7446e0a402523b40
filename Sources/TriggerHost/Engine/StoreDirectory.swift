import Synchronization
import TriggerCore

/// The stores of an engine by name. A table is made at the first mention of a name; the store counts as
/// existing once it was declared or written to. Tables live as long as the engine.
final class StoreDirectory: Sendable {
  struct Refusal: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
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
  init(isStrict: Bool, limit: Int, rules: [String: any StoreRule] = [:]) {
    self.isStrict = isStrict
    self.limit = limit
    self.rules = rules
  }

  private func make(_ name: String) -> StoreTable {
    let table = StoreTable(name: name)
    if !rules.isEmpty { table.rule = rules[name] }
    return table
  }

  /// Registers a store by name.
  func declare(_ name: String) -> StoreTable {
    contents.withLock { contents in
      contents.declared.insert(ExactText(name))
      if let table = contents.tables[ExactText(name)] { return table }
      let table = make(name)
      contents.tables[ExactText(name)] = table
      return table
    }
  }

  /// The table for a name a script or an intent mentions.
  func table(_ name: String) throws(Refusal) -> StoreTable {
    try contents.withLock { contents throws(Refusal) in
      if let table = contents.tables[ExactText(name)] { return table }
      if name.isEmpty { throw Refusal(message: "a store needs a name") }
      if isStrict, !StoreTable.isInternal(name) {
        let known = contents.declared.map(\.text).sorted()
        let hint = Suggestion.clause(for: name, among: known)
        throw Refusal(message: "no store '\(name)' is configured and strict_stores is on\(hint)")
      }
      if contents.tables.count >= limit { throw Refusal(message: "more than \(limit) stores") }
      let table = make(name)
      contents.tables[ExactText(name)] = table
      return table
    }
  }

  /// Stores that were declared or written to, by name.
  var existing: [StoreTable] {
    contents.withLock { contents in
      contents.tables.values
        .filter { contents.declared.contains(ExactText($0.name)) || $0.changed.load(ordering: .relaxed) > 0 }
        .sorted { $0.name < $1.name }
    }
  }
}
