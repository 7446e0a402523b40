import TriggerCore

extension LogReader {
  /// Brings an engine to where the log ends: the newest checkpoint that gives the state it was taken of, the records
  /// after it, and the events that were accepted and are not decided. `damaged` says which checkpoints were passed over.
  ///
  /// - Throws: `LogError` for damage, with its place.
  package func recover(_ recovery: Recovery) throws {
    recovery.keptKeys = try keptKeys()
    try replay(into: recovery, to: .max) { try recovery.apply($0) }
    try recallRecords(recovery)
    try visitInbox { recovery.accept($0) }
  }

  /// The state right after a seq, from the newest checkpoint that is not after it.
  ///
  /// - Parameters:
  ///   - to: the last seq to apply.
  ///   - apply: gets each record after the seq that the checkpoint was taken of, in order.
  /// - Throws: `LogError` when what is needed is damaged, or was removed by retention.
  package func replay(
    into recovery: Recovery, to: Int64, _ apply: (RecordView) throws -> Void
  ) throws {
    let last = try load(into: recovery, notAfter: to)
    do { try visitViews(from: last + 1, to: to, apply) } catch let damage as StateDamage {
      throw LogError(
        "\(path): \(damage). A record up to it is not the one that was committed, or is not applied as it was then: go on with a copy of the directory (trigger-host log verify finds a good one)"
      )
    }
  }

  /// Execution records of the newest seqs before the checkpoint, as far as the engine keeps any.
  private func recallRecords(_ recovery: Recovery) throws {
    let oldest = max(try firstSeq(), recovery.lastSeq - Int64(recovery.recordsKept) + 1)
    guard oldest > 0, oldest <= recovery.begin else { return }
    try visitViews(from: oldest, to: recovery.begin) { recovery.recall($0) }
  }

  /// Loads the newest checkpoint that is what was written, and gives the state it was taken of.
  ///
  /// - Returns: the seq that the stores are as of then; 0 without a checkpoint.
  private func load(into recovery: Recovery, notAfter limit: Int64) throws -> Int64 {
    for checkpoint in try checkpoints(notAfter: limit) {
      do {
        try load(checkpoint, into: recovery)
        return checkpoint.last
      } catch let damage as StateDamage { damaged.append(checkpoint.damaged("\(damage)")) } catch let damage
        as CheckpointDamage
      { if try isKept(checkpoint) { damaged.append(damage) } }
    }
    if recovery.hasBegun { recovery.beginAnew() }
    try requireRecords(after: 0)
    return 0
  }

  /// Loads a checkpoint, and the records that it has in part.
  ///
  /// - Throws: `CheckpointDamage` when it is not what was written: nothing of it is loaded then; `StateDamage` when it is,
  ///   and that is not the state it was taken of.
  package func load(_ checkpoint: KeptCheckpoint, into recovery: Recovery) throws {
    let (fold, digests) = try check(checkpoint)
    try requireRecords(after: checkpoint.since)
    recovery.begin(fold, since: checkpoint.since, digests: digests)
    try visitParts(of: checkpoint) { part, _ in try recovery.load(part) }
    try recovery.endCheckpoint()
    if checkpoint.last > checkpoint.since {
      try visitViews(from: checkpoint.since + 1, to: checkpoint.last) { try recovery.apply($0) }
    }
  }

  /// The log goes on from there.
  private func requireRecords(after since: Int64) throws {
    let first = try firstSeq()
    guard first > since + 1 else { return }
    let unusable = damaged.map { "\n\($0)" }.joined()
    let checkpoint =
      since > 0
      ? "the checkpoint ends with seq \(since)"
      : "there is no \(damaged.isEmpty ? "" : "other ")checkpoint of the state before it"
    throw LogError(
      "\(path): the log begins with seq \(first), and \(checkpoint): \(try fate(before: first))\(unusable)")
  }

  package func visitInbox(_ body: (AcceptedEvent) throws -> Void) throws {
    try visitInboxRows { id, event in
      guard let event else {
        throw LogError("\(path): the accepted event \(id.epoch)-\(id.number) is damaged")
      }
      try body(event)
    }
  }

  /// - Parameter body: gets nil for an event that is damaged.
  package func visitInboxRows(_ body: (EventID, AcceptedEvent?) throws -> Void) throws {
    try source.visitAccepted { id, checksum, bytes in
      let event = LogBlock.checksum(bytes) == checksum ? try? AcceptedEvent(decoding: bytes) : nil
      try body(id, event?.id == id ? event : nil)
    }
  }
}
