import TriggerHost

/// Keys of senders as the log keeps them: rows of decided events, in parts that are written once, in the order of the
/// seqs that decided them, and removed whole when all of their keys are older than a day.
enum KeyParts {
  /// What memory wants to know of each row is apart from the rest, with a checksum of its own: a start reads no more.
  static let table =
    "key_parts (number INTEGER PRIMARY KEY, through INTEGER NOT NULL, checksum INTEGER NOT NULL, entries BLOB NOT NULL, rows_checksum INTEGER NOT NULL, rows BLOB NOT NULL)"

  /// - Parameter through: what records up to it have decided is in this part, in those before it, or in others of
  ///   the same transaction.
  static func write(
    _ part: KeyPart, number: Int64, through: Int64, seed: UInt64, to database: Database
  ) throws {
    try part.entries(seed: seed).withUnsafeBytes { entries in
      try part.encodedRows.withUnsafeBytes { rows in
        try database.run(
          "INSERT INTO key_parts VALUES (?, ?, ?, ?, ?, ?)",
          [
            .int(number), .int(through), .int(LogBlock.checksum(entries)), .blob(entries),
            .int(LogBlock.checksum(rows)), .blob(rows),
          ])
      }
    }
  }
}
