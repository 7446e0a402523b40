import TriggerCore
import TriggerHost

/// A checkpoint that is not what was written. The log may have everything all the same.
public struct CheckpointDamage: Error, Sendable, Hashable, CustomStringConvertible {
  /// Its number in the data directory.
  public let checkpoint: Int64
  /// It was to be the state of this seq.
  public let seq: Int64
  /// What is wrong with it.
  public let what: String

  /// One line.
  public var description: String { "checkpoint \(checkpoint) of seq \(seq) is damaged: \(what)" }
}

/// A complete checkpoint, as its row says.
struct KeptCheckpoint {
  var id: Int64
  /// Every commit up to it is in the parts.
  var since: Int64
  /// What is known beside the stores, and what they hold, is as of it.
  var last: Int64

  func damaged(_ what: String) -> CheckpointDamage { CheckpointDamage(checkpoint: id, seq: last, what: what) }
}

extension LogReader {
  /// Complete checkpoints, newest first.
  ///
  /// - Parameter limit: none after it.
  func checkpoints(notAfter limit: Int64 = .max) throws -> [KeptCheckpoint] {
    var found: [KeptCheckpoint] = []
    try database.run(
      "SELECT id, since, last FROM checkpoints WHERE last <= ? ORDER BY last DESC, id DESC", [.int(limit)]
    ) { found.append(KeptCheckpoint(id: $0.int(0), since: $0.int(1), last: $0.int(2))) }
    return found
  }

  /// What a checkpoint says beside the stores, and of them; no digests in one of an older format.
  func says(_ checkpoint: KeptCheckpoint) throws -> (fold: LogFold, digests: StateDigests?) {
    let damage = LogError("\(path): the checkpoint of seq \(checkpoint.since) is damaged")
    var found: (LogFold, StateDigests?)?
    try database.run(
      "SELECT checksum, fold, digests FROM checkpoints WHERE id = ?", [.int(checkpoint.id)]
    ) { row in
      guard
        let fold = try fold(row.blob(1), of: checkpoint.id, digests: row.blob(2), checksum: row.int(0))
      else { throw damage }
      found = (fold, row.blob(2).isEmpty ? nil : try StateDigests(decoding: row.blob(2)))
    }
    guard let found else { throw damage }
    return found
  }

  /// A running host lets go of checkpoints, first of the row and then of the parts.
  func isKept(_ checkpoint: KeptCheckpoint) throws -> Bool {
    try database.integer("SELECT 1 FROM checkpoints WHERE id = \(checkpoint.id)") != nil
  }

  /// The parts of a checkpoint in order.
  func visitParts(of checkpoint: KeptCheckpoint, _ body: (StoreChunk) throws -> Void) throws {
    try database.run(
      "SELECT checksum, data, cuts, number FROM chunks WHERE checkpoint = ? ORDER BY number",
      [.int(checkpoint.id)]
    ) { row in
      let damage = LogError("\(path): a part of the checkpoint of seq \(checkpoint.since) is damaged")
      try whole(row.blob(1), cuts: row.int(2), damage) {
        try contents.chunk(checkpoint.id, row.int(3), rest: row.blob(1), cuts: Int(row.int(2)))
      } _: { bytes in
        guard LogBlock.checksum(bytes) == row.int(0) else { throw damage }
        try body(try StoreChunk(decoding: bytes))
      }
    }
  }
}
