import TriggerCore

extension LogReader {
  /// Complete checkpoints, newest first.
  ///
  /// - Parameter limit: none after it.
  package func checkpoints(notAfter limit: Int64 = .max) throws -> [KeptCheckpoint] {
    try source.checkpoints().filter { $0.last <= limit }
  }

  /// The newest checkpoint that is what was written, looked through from end to end; nil when there is none.
  /// O(its bytes).
  ///
  /// - Parameter damaged: told of each newer one that is not.
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

  /// Looks through a checkpoint: nothing of one that is damaged may get into an engine.
  ///
  /// - Returns: what it says beside the stores, and of them; no digests in one of an older format.
  /// - Throws: `CheckpointDamage`; what the disk says.
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

  /// A running host lets go of checkpoints, first of what makes it one and then of the parts.
  package func isKept(_ checkpoint: KeptCheckpoint) throws -> Bool {
    try source.checkpoints().contains { $0.id == checkpoint.id }
  }

  /// What a checkpoint says beside the stores, and of them.
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

  /// The parts of a checkpoint in order, each with its checksum, which fits.
  ///
  /// - Throws: `CheckpointDamage` for one that is not what was written.
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

  /// What a file or a value that is not what was written says, as the damage of a checkpoint.
  private func damaged(
    _ checkpoint: KeptCheckpoint, _ place: @autoclosure () -> String, _ body: () throws -> Void
  ) throws {
    do { try body() } catch let error as LogDamage { throw checkpoint.damaged("\(place()): \(error)") } catch
      where source.isDamage(error)
    { throw checkpoint.damaged("\(place()): \(error)") }
  }
}
