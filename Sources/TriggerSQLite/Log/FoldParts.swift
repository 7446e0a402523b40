import TriggerHost

/// Pieces of a checkpoint's fold; the first is in the row of the checkpoint.
enum FoldParts {
  static let table =
    "fold_parts (checkpoint INTEGER, number INTEGER, data BLOB NOT NULL, PRIMARY KEY (checkpoint, number))"
  /// They go with their checkpoint.
  static let trigger =
    "fold_gone AFTER DELETE ON checkpoints BEGIN DELETE FROM fold_parts WHERE checkpoint = old.id; END"

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
