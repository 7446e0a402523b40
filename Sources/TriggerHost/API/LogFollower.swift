import TriggerCore

/// Follows a log that somebody else writes: applies its records to the stores of an engine that does not run, while
/// others read snapshots of them. It begins with the newest checkpoint, or with nothing.
///
/// One thread follows; the stores are read on any.
package final class LogFollower {
  private let engine: Engine
  private let reader: LogReader
  private let recovery: Recovery
  /// Where it is in the log. Without a chain when the seq is in the middle of a block: a checkpoint's may be.
  private var position = LogPosition()

  /// Brings the stores to where the log ends now. Nobody may read them before.
  ///
  /// - Parameters:
  ///   - coordinator: of an engine that is not started; what is registered with it has its first content.
  /// - Throws: `LogError` for damage; what the source throws.
  package init(_ coordinator: CommitCoordinator, _ source: any LogSource) throws {
    engine = coordinator.engine
    reader = LogReader(source)
    recovery = Recovery(engine)
    recovery.declaresStores = true
    try reader.replay(into: recovery, to: .max) { try recovery.apply($0) }
    position = LogPosition(seq: recovery.lastSeq)
    if let block = try source.blocks(after: position.seq - 1, through: position.seq, bytes: 1).first,
      block.last == position.seq
    {
      position = block.end
    }
    recovery.isRead = true
    show()
  }

  /// The newest seq that is applied: reads see it. Any thread.
  package var seq: Int64 { engine.registry.visible.load(ordering: .acquiring) }

  /// Where the checkpoint is that it began with; 0 without one.
  package var begin: Int64 { recovery.begin }

  /// Checkpoints that were found damaged and passed over.
  package var damaged: [CheckpointDamage] { reader.damaged }

  /// What every store holds as of `seq`. On the thread that follows; O(stores).
  package var digests: StateDigests {
    StateDigests(seq: seq, stores: engine.stores.digests().filter { !StoreTable.isInternal($0.name) })
  }

  /// Applies what has been written since.
  ///
  /// - Returns: false when that was nothing.
  /// - Throws: `LogFailure.lostTail` when what it has applied is not in the log any more: whoever goes on must begin
  ///   anew, with another follower. `LogError` for damage, and when the records that come next were let go.
  package func follow() throws -> Bool {
    guard try reader.hasMore(after: position) else { return false }
    let next = try reader.source.blocks(after: position.seq, through: .max, bytes: 1).first
    if let next, next.first > position.seq + 1 {
      throw LogError("\(reader.path): the seqs after \(position.seq) are not kept any more (log.retain)")
    }
    try reader.visitViews(after: &position) { try recovery.apply($0) }
    show()
    return true
  }

  /// Lets others see what is applied.
  private func show() { engine.registry.visible.max(recovery.lastSeq, ordering: .releasing) }

  /// Ends its reading of the log; the stores stay as they are.
  package func close() { reader.close() }
}
