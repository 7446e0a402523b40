import TriggerCore
import TriggerHost

extension LogReader {
  /// Brings an engine to where the log ends: the newest checkpoint, the records after it, and the events that
  /// were accepted and are not decided.
  ///
  /// - Throws: `LogError` for damage, with its place.
  public func recover(_ recovery: Recovery) throws {
    try replay(into: recovery, to: .max) { try recovery.apply($0) }
    try recallRecords(recovery)
    try visitInbox { recovery.accept($0) }
  }

  /// The state right after a seq, from the newest checkpoint that is not after it.
  ///
  /// - Parameters:
  ///   - to: the last seq to apply.
  ///   - apply: gets each record that the checkpoint does not have, in order.
  /// - Throws: `LogError` when what is needed is damaged, or was removed by retention.
  package func replay(
    into recovery: Recovery, to: Int64, _ apply: (RecordView) throws -> Void
  ) throws {
    let since = try load(into: recovery, notAfter: to)
    let first = try firstSeq()
    if first > since + 1 {
      throw LogError(
        "\(path): the log begins with seq \(first)\(since > 0 ? " and the checkpoint ends with seq \(since)" : ""); what was before is not kept any more (log.retain)"
      )
    }
    try visitViews(from: since + 1, to: to, apply)
  }

  /// Execution records of the newest seqs before the checkpoint, as far as the engine keeps any.
  private func recallRecords(_ recovery: Recovery) throws {
    let oldest = max(try firstSeq(), recovery.lastSeq - Int64(recovery.recordsKept) + 1)
    guard oldest > 0, oldest <= recovery.begin else { return }
    try visitViews(from: oldest, to: recovery.begin) { recovery.recall($0) }
  }

  /// Loads a checkpoint. Returns the seq after which records are to be applied; 0 without a checkpoint.
  private func load(into recovery: Recovery, notAfter limit: Int64) throws -> Int64 {
    var newest: (id: Int64, since: Int64, fold: LogFold, digests: StateDigests?)?
    try database.run(
      "SELECT id, since, checksum, fold, digests FROM checkpoints WHERE last <= ? ORDER BY last DESC, id DESC LIMIT 1",
      [.int(limit)]
    ) { row in
      let damage = LogError("\(path): the checkpoint of seq \(row.int(1)) is damaged")
      guard LogBlock.checksum(fold: row.blob(3), digests: row.blob(4)) == row.int(2),
        let fold = try? LogFold(decoding: row.blob(3))
      else { throw damage }
      let digests = row.blob(4).isEmpty ? nil : try StateDigests(decoding: row.blob(4))
      newest = (row.int(0), row.int(1), fold, digests)
    }
    guard let newest else { return 0 }
    recovery.begin(newest.fold, since: newest.since, digests: newest.digests)
    try database.run(
      "SELECT checksum, data, cuts, number FROM chunks WHERE checkpoint = ? ORDER BY number",
      [.int(newest.id)]
    ) { row in
      let damage = LogError("\(path): a part of the checkpoint of seq \(newest.since) is damaged")
      try whole(row.blob(1), cuts: row.int(2), damage) {
        try contents.chunk(newest.id, row.int(3), rest: row.blob(1), cuts: Int(row.int(2)))
      } _: { bytes in
        guard LogBlock.checksum(bytes) == row.int(0) else { throw damage }
        try recovery.load(try StoreChunk(decoding: bytes))
      }
    }
    try recovery.endCheckpoint()
    return newest.since
  }

  func visitInbox(_ body: (AcceptedEvent) throws -> Void) throws {
    try database.run("SELECT epoch, number, checksum, event FROM inbox ORDER BY epoch, number") { row in
      guard LogBlock.checksum(row.blob(3)) == row.int(2),
        let event = try? AcceptedEvent(decoding: row.blob(3))
      else { throw LogError("\(path): the accepted event \(row.int(0))-\(row.int(1)) is damaged") }
      try body(event)
    }
  }

  /// What a log remembers beside the stores, as of its end.
  package func fold() throws -> LogFold {
    var fold = LogFold()
    try database.run(
      "SELECT checksum, fold, digests FROM checkpoints ORDER BY last DESC, id DESC LIMIT 1"
    ) { row in
      guard LogBlock.checksum(fold: row.blob(1), digests: row.blob(2)) == row.int(0) else {
        throw LogError("\(path): the newest checkpoint is damaged")
      }
      fold = try LogFold(decoding: row.blob(1))
    }
    try visitViews(from: fold.lastSeq + 1) { try fold.apply($0) }
    return fold
  }
}
