import CSQLite
import TriggerCore
import TriggerHost

/// A checkpoint that is not what was written. The log may have everything all the same.
public struct CheckpointDamage: Error, Sendable, Hashable, CustomStringConvertible {
  /// Its number in the data directory.
  public let checkpoint: Int64
  /// It was to be the state of this seq.
  public let seq: Int64
  /// Which part, and what is wrong with it.
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
  /// When it was written, nanoseconds since 1970.
  var time: Int64
  /// Of the bytes of the fold and of the digests.
  var checksum: Int64
  /// How many parts it has, their bytes and those of the fold, and `Seal`; 0 in those of formats 1 to 3.
  var parts: Int64
  var bytes: Int64
  var seal: Int64

  static let columns = "id, since, last, time, checksum, parts, bytes, seal"

  init(_ row: Database.Row) {
    (id, since, last, time) = (row.int(0), row.int(1), row.int(2), row.int(3))
    (checksum, parts, bytes, seal) = (row.int(4), row.int(5), row.int(6), row.int(7))
  }

  func damaged(_ what: String) -> CheckpointDamage { CheckpointDamage(checkpoint: id, seq: last, what: what) }

  /// Over what the row says and the checksums of all parts in order, so that neither can change, nor a part go
  /// or come, unseen.
  struct Seal {
    private var bytes: [UInt8] = []
    private(set) var parts: Int64 = 0

    mutating func add(part checksum: Int64) {
      append(checksum)
      parts += 1
    }

    private mutating func append(_ value: Int64) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    func value(id: Int64, since: Int64, last: Int64, time: Int64, bytes count: Int64, fold: Int64) -> Int64 {
      var whole = self
      for value in [id, since, last, time, count, fold, parts] { whole.append(value) }
      // 0 says that there is none.
      return whole.bytes.withUnsafeBytes { LogBlock.checksum($0) | 1 }
    }
  }
}

extension LogReader {
  /// Complete checkpoints, newest first.
  ///
  /// - Parameter limit: none after it.
  func checkpoints(notAfter limit: Int64 = .max) throws -> [KeptCheckpoint] {
    var found: [KeptCheckpoint] = []
    try database.run(
      "SELECT \(KeptCheckpoint.columns) FROM checkpoints WHERE last <= ? ORDER BY last DESC, id DESC",
      [.int(limit)]
    ) { found.append(KeptCheckpoint($0)) }
    return found
  }

  /// The newest checkpoint that is what was written, looked through from end to end; nil when there is none.
  /// O(its bytes).
  ///
  /// - Parameter damaged: told of each newer one that is not.
  func intactCheckpoint(
    notAfter limit: Int64 = .max, damaged: (CheckpointDamage) -> Void
  ) throws -> (checkpoint: KeptCheckpoint, fold: LogFold)? {
    for candidate in try checkpoints(notAfter: limit) {
      do { return (candidate, try check(candidate).fold) } catch let damage as CheckpointDamage {
        if try isKept(candidate) { damaged(damage) }
      }
    }
    return nil
  }

  /// Looks through a checkpoint: nothing of one that is damaged may get into an engine.
  ///
  /// - Returns: what it says beside the stores, and of them; no digests in one of an older format.
  /// - Throws: `CheckpointDamage`; what the disk says.
  func check(_ checkpoint: KeptCheckpoint) throws -> (fold: LogFold, digests: StateDigests?) {
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

  /// A running host lets go of checkpoints, first of the row and then of the parts.
  func isKept(_ checkpoint: KeptCheckpoint) throws -> Bool {
    var isKept = false
    try database.run("SELECT 1 FROM checkpoints WHERE id = ?", [.int(checkpoint.id)]) { _ in isKept = true }
    return isKept
  }

  /// What a checkpoint says beside the stores, and of them.
  ///
  /// - Throws: `CheckpointDamage`.
  func says(_ checkpoint: KeptCheckpoint) throws -> (fold: LogFold, digests: StateDigests?) {
    var found: (LogFold, StateDigests?)?
    try damaged(checkpoint, "what it says beside the stores") {
      try database.run("SELECT fold, digests FROM checkpoints WHERE id = ?", [.int(checkpoint.id)]) { row in
        let digests = row.blob(1)
        try FoldParts.whole(row.blob(0), of: checkpoint.id, in: database).withUnsafeBytes { fold in
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
  func visitParts(of checkpoint: KeptCheckpoint, _ body: (StoreChunk, Int64) throws -> Void) throws {
    var next: Int64 = 0
    try damaged(checkpoint, "after part \(next)") {
      try database.run(
        "SELECT checksum, data, cuts, number FROM chunks WHERE checkpoint = ? ORDER BY number",
        [.int(checkpoint.id)]
      ) { row in
        let number = row.int(3)
        let checksum = row.int(0)
        guard number == next else { throw checkpoint.damaged("part \(next) is missing") }
        next += 1
        try whole(
          row.blob(1), cuts: row.int(2), checkpoint.damaged("part \(number): a content of it is not there")
        ) {
          try contents.chunk(checkpoint.id, number, rest: row.blob(1), cuts: row.int(2))
        } _: { bytes in
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
  }

  /// What a file or a value that is not what was written says, as the damage of a checkpoint.
  private func damaged(
    _ checkpoint: KeptCheckpoint, _ place: @autoclosure () -> String, _ body: () throws -> Void
  ) throws {
    do { try body() } catch let error as StorageError where error.isDamage {
      throw checkpoint.damaged("\(place()): \(error)")
    } catch let error as LogDamage { throw checkpoint.damaged("\(place()): \(error)") }
  }
}

extension StorageError {
  /// Whoever only reads cannot undo what a process has left half done.
  var needsRollback: Bool { code == SQLITE_READONLY | 3 << 8 }  // SQLITE_READONLY_ROLLBACK

  /// The file, or what SQLite needs beside it, cannot be opened or made.
  var isForbidden: Bool { [SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM].contains(code & 0xff) }

  /// The file is not what was written, or a part of it cannot be read any more.
  var isDamage: Bool {
    // Reading: SQLITE_IOERR_READ, _SHORT_READ, _DATA and _CORRUPTFS.
    [SQLITE_CORRUPT, SQLITE_NOTADB].contains(code & 0xff)
      || code & 0xff == SQLITE_IOERR && [1, 2, 32, 33].contains(code >> 8)
  }
}
