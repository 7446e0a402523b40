import CSQLite
import TriggerHost

extension SQLiteLogSource {
  package func checkpoints() throws -> [KeptCheckpoint] {
    var found: [KeptCheckpoint] = []
    try database.run("SELECT \(KeptCheckpoint.columns) FROM checkpoints ORDER BY last DESC, id DESC") {
      found.append(KeptCheckpoint($0))
    }
    return found
  }

  package func newCheckpointID() throws -> Int64 {
    try database.integer(
      "SELECT max(coalesce((SELECT max(id) FROM checkpoints), 0), coalesce((SELECT max(checkpoint) FROM chunks), 0)) + 1"
    ) ?? 1
  }

  package func rest(ofCheckpoint id: Int64) throws -> (fold: [UInt8], digests: [UInt8])? {
    var found: ([UInt8], [UInt8])?
    try database.run("SELECT fold, digests FROM checkpoints WHERE id = ?", [.int(id)]) { row in
      found = (try FoldParts.whole(row.blob(0), of: id, in: database), Array(row.blob(1)))
    }
    return found
  }

  package func parts(ofCheckpoint id: Int64) throws -> (count: Int, bytes: Int) {
    var found = (0, 0)
    try database.run(
      "SELECT count(*), coalesce(sum(length(data)), 0) FROM chunks WHERE checkpoint = ?", [.int(id)]
    ) {
      found = (Int($0.int(0)), Int($0.int(1)))
    }
    return found
  }

  package func visitParts(
    ofCheckpoint id: Int64,
    _ body: (_ number: Int64, _ checksum: Int64, _ bytes: UnsafeRawBufferPointer?) throws -> Void
  ) throws {
    try database.run(
      "SELECT checksum, data, cuts, number FROM chunks WHERE checkpoint = ? ORDER BY number", [.int(id)]
    ) { row in
      let (checksum, number) = (row.int(0), row.int(3))
      if row.int(2) == 0 { return try body(number, checksum, row.blob(1)) }
      let whole: [UInt8]
      do { whole = try contents.chunk(id, number, rest: row.blob(1), cuts: row.int(2)) } catch is Contents
        .Damage
      {
        return try body(number, checksum, nil)
      }
      try whole.withUnsafeBytes { try body(number, checksum, $0) }
    }
  }
}

extension KeptCheckpoint {
  static let columns = "id, since, last, time, checksum, parts, bytes, seal"

  init(_ row: Database.Row) {
    self.init(
      id: row.int(0), since: row.int(1), last: row.int(2), time: row.int(3), checksum: row.int(4),
      parts: row.int(5), bytes: row.int(6), seal: row.int(7))
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
