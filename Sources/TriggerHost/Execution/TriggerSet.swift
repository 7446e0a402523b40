/// The triggers that are in force together: one version of the script tree, and the Swift triggers beside it.
/// Operations hold their triggers unowned; the engine keeps each set for as long as an operation that was
/// dequeued under it is undecided. Those of an earlier run, and of triggers that are gone, keep their own.
package final class TriggerSet: Sendable {
  /// Counted from 1 by the engine.
  package let number: Int
  /// In the order of their names.
  package let triggers: [LoadedTrigger]
  package let tree: LoadedTree?
  private let byName: [String: LoadedTrigger]

  package init(number: Int, triggers: [LoadedTrigger], tree: LoadedTree?) {
    self.number = number
    self.triggers = triggers.sorted { $0.name < $1.name }
    self.tree = tree
    byName = Dictionary(triggers.map { ($0.name, $0) }) { first, _ in first }
  }

  package subscript(name: String) -> LoadedTrigger? { byName[name] }

  package var swiftTriggers: [LoadedTrigger] {
    triggers.filter { $0.kind == .swift }
  }

  /// A queued operation goes on with what its trigger has become; its seq ends `skipped` when that is gone.
  package func adopt(_ operation: Operation) {
    let old = operation.trigger
    if old.set == 0 || old.set == number { return }
    // Dequeued before the host's last stop: it keeps what it had then.
    if operation.identity != 0 { return }
    if let new = self[old.name] { operation.trigger = new } else { operation.loseTrigger() }
  }
}

/// Which sets are in force and in use. Engine lock.
package struct TriggerSets {
  package private(set) var current = TriggerSet(number: 0, triggers: [], tree: nil)
  private var kept: [TriggerSet] = []
  /// What workers need to keep of their own.
  package private(set) var numbers: Set<Int> = []

  /// - Parameter inUse: numbers of sets that undecided operations were dequeued under, in this run or an earlier one.
  package mutating func put(_ set: TriggerSet, inUse: Set<Int>) {
    kept = kept.filter { inUse.contains($0.number) || $0.number == current.number }
    current = set
    kept.append(set)
    numbers = inUse.union(kept.map(\.number))
  }
}
