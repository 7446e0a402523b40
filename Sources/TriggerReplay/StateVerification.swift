import TriggerCore
import TriggerHost

/// Puts the stores together again, from each checkpoint and from the first record that is kept, and compares them with
/// what was kept of them.
///
/// It takes as much memory as the stores do.
package struct StateVerification {
  /// What is not as it was, and where: `checkpoint 3`, or `the log`.
  package private(set) var damages: [(place: String, what: String)] = []
  /// Of the stores as of the newest seq; nil when they could not be put together.
  package private(set) var digests: StateDigests?
  private let reader: LogReader

  /// - Throws: what the disk says; `LogError` for records that are damaged.
  package init(_ reader: LogReader) throws {
    self.reader = reader
    // Without all records after it a checkpoint is of no use.
    let first = try reader.firstSeq()
    let checkpoints = try Array(reader.checkpoints().reversed().filter { $0.since >= first - 1 })
    for checkpoint in checkpoints {
      let state = Self.state
      do { try reader.load(checkpoint, into: state.recovery) } catch let damage as StateDamage {
        if try reader.isKept(checkpoint) { add("checkpoint \(checkpoint.id)", damage) }
      } catch is CheckpointDamage {}  // whoever looks at bytes names it
    }
    try checkWhole(first, checkpoints)
  }

  /// Limits do not matter where nothing is executed.
  private static var state: ReplayState { ReplayState(configuration: EngineConfiguration(workers: 1)) }

  private mutating func add(_ place: String, _ damage: StateDamage) {
    damages.append((place, "\(damage)"))
  }

  /// From the first record, or the first checkpoint that gives its state.
  private mutating func checkWhole(_ first: Int64, _ checkpoints: [KeptCheckpoint]) throws {
    let state = Self.state
    var kept: [Int64: StateDigests] = [:]
    for checkpoint in checkpoints where try reader.isKept(checkpoint) {
      do { kept[checkpoint.last] = try reader.says(checkpoint).digests } catch is CheckpointDamage {}
    }
    if first > 1 {
      guard try checkpoints.contains(where: { try load($0, into: state) }) else { return }
    }
    do {
      try reader.visitViews(from: state.seq + 1) { record in
        try state.apply(record, reclaiming: true)
        // What two checkpoints and the records between them give is one state.
        if let kept = kept[record.seq] { try state.stores.check(kept, isWhole: true) }
      }
      digests = StateDigests(
        seq: state.seq, stores: state.stores.digests().filter { !StoreTable.isInternal($0.name) })
    } catch let damage as StateDamage { add("the log", damage) }
  }

  private func load(_ checkpoint: KeptCheckpoint, into state: ReplayState) throws -> Bool {
    do { try reader.load(checkpoint, into: state.recovery) } catch is StateDamage {
      return false
    } catch is CheckpointDamage { return false }
    return true
  }
}
