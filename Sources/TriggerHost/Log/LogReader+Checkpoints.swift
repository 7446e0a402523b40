import TriggerCore

extension LogReader {
  /// Complete checkpoints, newest first.
  ///
  /// - Parameter limit: leaves out checkpoints of later seqs.
  package func checkpoints(notAfter limit: Int64 = .max) throws -> [KeptCheckpoint] {
    try source.checkpoints().filter { $0.last <= limit }
  }

  /// The newest undamaged checkpoint, read through from end to end; nil when there is none. O(bytes of the checkpoint).
  ///
  /// - Parameter damaged: called with each newer checkpoint that is damaged.
  package func intactCheckpoint(
    notAfter limit: Int64 = .max, damaged: (CheckpointDamage) -> Void
  ) throws -> (checkpoint: KeptCheckpoint, fold: LogFold)? {
    for candidate in try checkpoints(notAfter: limit) {
      do { return (candidate, try check(candidate).fold) } catch let damage as CheckpointDamage {
        if try isKept(candidate) { damaged(damage) }
      }
    }
    return nil
  }

  /// What a log remembers beside the stores, as of its end.
  package func fold() throws -> LogFold {
    var fold = try intactCheckpoint(damaged: { damaged.append($0) })?.fold ?? LogFold()
    if fold.lastSeq == 0, let damage = damaged.first, try firstSeq() > 1 {
      throw LogError("\(path): \(damage); the records before it are not kept any more (log.retain)")
    }
    try visitViews(from: fold.lastSeq + 1) { try fold.apply($0) }
    return fold
  }

  /// Reads a checkpoint through from end to end, so that no part of a damaged checkpoint gets into an engine.
  ///
  /// - Returns: the fold, and the digests of the stores; no digests when the checkpoint has none.
  /// - Throws: `CheckpointDamage`; the error of the disk.
  package func check(_ checkpoint: KeptCheckpoint) throws -> (fold: LogFold, digests: StateDigests?) {
    let (fold, digests) = try says(checkpoint)
    var seal = KeptCheckpoint.Seal()
    try visitParts(of: checkpoint) { _, checksum in seal.add(part: checksum) }
    if checkpoint.seal != 0 {
      guard seal.parts == checkpoint.parts else {
        throw checkpoint.damaged("\(seal.parts) of its \(checkpoint.parts) parts are there")
      }
      let value = seal.value(
        id: checkpoint.id, since: checkpoint.since, last: checkpoint.last, time: checkpoint.time,
        bytes: checkpoint.bytes, fold: checkpoint.checksum)
      guard value == checkpoint.seal else { throw checkpoint.damaged("its row does not fit its parts") }
    }
    guard fold.lastSeq == checkpoint.last, checkpoint.since <= checkpoint.last, checkpoint.since >= 0 else {
      throw checkpoint.damaged("its row names seqs \(checkpoint.since) to \(checkpoint.last)")
    }
    return (fold, digests)
  }

  /// Whether the checkpoint is still there. A running host drops old checkpoints: first the head, then the parts.
  package func isKept(_ checkpoint: KeptCheckpoint) throws -> Bool {
    try source.checkpoints().contains { $0.id == checkpoint.id }
  }

  /// The fold of a checkpoint, and the digests of the stores; no digests when the checkpoint has none.
  ///
  /// - Throws: `CheckpointDamage`.
  package func says(_ checkpoint: KeptCheckpoint) throws -> (fold: LogFold, digests: StateDigests?) {
    var found: (LogFold, StateDigests?)?
    try damaged(checkpoint, "what it says beside the stores") {
      guard let (fold, digests) = try source.rest(ofCheckpoint: checkpoint.id) else { return }
      try digests.withUnsafeBytes { digests in
        try fold.withUnsafeBytes { fold in
          guard LogBlock.checksum(fold: fold, digests: digests) == checkpoint.checksum else {
            throw checkpoint.damaged("what it says beside the stores: its checksum does not fit")
          }
          found = (
            try LogFold(decoding: fold), digests.isEmpty ? nil : try StateDigests(decoding: digests)
          )
        }
      }
    }
    guard let found else { throw checkpoint.damaged("it has gone") }
    return found
  }

  /// Calls `body` with the parts of a checkpoint in order, each with its checksum, which was found right.
  ///
  /// - Throws: `CheckpointDamage` when a part is not what was written.
  package func visitParts(of checkpoint: KeptCheckpoint, _ body: (StoreChunk, Int64) throws -> Void) throws {
    var next: Int64 = 0
    try damaged(checkpoint, "after part \(next)") {
      try source.visitParts(ofCheckpoint: checkpoint.id) { number, checksum, bytes in
        guard number == next else { throw checkpoint.damaged("part \(next) is missing") }
        next += 1
        guard let bytes else { throw checkpoint.damaged("part \(number): a content of it is not there") }
        guard LogBlock.checksum(bytes) == checksum else {
          throw checkpoint.damaged("part \(number): its checksum does not fit")
        }
        let part: StoreChunk
        do { part = try StoreChunk(decoding: bytes) } catch {
          throw checkpoint.damaged("part \(number): \(error)")
        }
        try body(part, checksum)
      }
    }
  }

  /// Turns an error of `body` that means damage into `CheckpointDamage`.
  private func damaged(
    _ checkpoint: KeptCheckpoint, _ place: @autoclosure () -> String, _ body: () throws -> Void
  ) throws {
    do { try body() } catch let error as LogDamage { throw checkpoint.damaged("\(place()): \(error)") } catch
      where source.isDamage(error)
    { throw checkpoint.damaged("\(place()): \(error)") }
  }
}
