import TriggerHost

/// The fold of a checkpoint in pieces: SQLite takes no value of a billion bytes, and events that wait may be as much.
/// The first piece is in the row of the checkpoint; most have no other.
enum FoldParts {
  /// Bytes of a piece at most.
  static let size = 64 << 20

  static let table =
    "fold_parts (checkpoint INTEGER, number INTEGER, data BLOB NOT NULL, PRIMARY KEY (checkpoint, number))"
  /// They go with their checkpoint.
  static let trigger =
    "fold_gone AFTER DELETE ON checkpoints BEGIN DELETE FROM fold_parts WHERE checkpoint = old.id; END"

  /// Writes all pieces but the first, each in a transaction of its own. Before the checkpoint's row, which makes them
  /// count.
  static func write(_ fold: [UInt8], of checkpoint: Int64, to log: DurableLog, size: Int = size) throws {
    for (number, start) in stride(from: size, to: fold.count, by: size).enumerated() {
      let piece = Array(fold[start..<min(start + size, fold.count)])
      try log.perform([.foldPiece(piece, number: Int64(number), checkpoint: checkpoint)])
    }
  }

  static func write(_ piece: [UInt8], number: Int64, of checkpoint: Int64, to database: Database) throws {
    try piece.withUnsafeBytes { bytes in
      try database.run(
        "INSERT OR REPLACE INTO fold_parts VALUES (?, ?, ?)", [.int(checkpoint), .int(number), .blob(bytes)])
    }
  }

  /// The whole fold; its checksum tells whether it is. O(bytes).
  static func whole(_ first: UnsafeRawBufferPointer, of checkpoint: Int64, in database: Database) throws
    -> [UInt8]
  {
    var fold = Array(first)
    try database.run("SELECT data FROM fold_parts WHERE checkpoint = ? ORDER BY number", [.int(checkpoint)]) {
      fold.append(contentsOf: $0.blob(0))
    }
    return fold
  }
}
