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

/// Writes the rows that a fold makes, and removes what is forgotten. One thread at a time.
struct KeyPartWriter {
  /// Parts of one transaction: so many rows are in memory until they are on disk.
  private static let batch = 8

  private let log: DurableLog
  private let coordinator: CommitCoordinator
  private let seed: UInt64
  private var next: Int64
  /// The rows of records up to this seq are in parts.
  private var through: Int64

  init(_ log: DurableLog, _ coordinator: CommitCoordinator, _ reader: LogReader) throws {
    self.log = log
    self.coordinator = coordinator
    seed = UInt64(bitPattern: log.directory.logID)
    (next, through) = try reader.source.newestKeyPart()
  }

  /// Writes what the fold has finished, when that is worth a transaction.
  ///
  /// - Parameters:
  ///   - all: write what there is, however little.
  ///   - through: see `KeyParts.write`.
  mutating func write(from fold: inout LogFold, all: Bool, through: Int64) throws {
    let full = KeyPart.size * Self.batch
    guard
      fold.finishedKeys.count >= (all ? 1 : full) || fold.finishedKeyBytes >= KeyPart.bytes * Self.batch
    else { return }
    var rows = fold.takeFinishedKeys()[...]
    while !rows.isEmpty {
      // Of very many, from a checkpoint of an older format, only the last transaction says that all are written.
      if rows.count <= full { self.through = through }
      try write(rows.prefix(full))
      rows = rows.dropFirst(full)
    }
  }

  private mutating func write(_ rows: ArraySlice<KeyRow>) throws {
    var (parts, rows) = ([KeyPart](), rows)
    while !rows.isEmpty {
      parts.append(KeyPart.first(of: rows))
      rows = rows.dropFirst(parts.last!.rows.count)
    }
    let first = next
    next += Int64(parts.count)
    try log.perform([.keyParts(parts, from: first, through: through, seed: seed)])
    for (number, part) in zip(first..., parts) { coordinator.settle(part, number: number) }
  }

  /// Removes parts of which all keys are forgotten, in small steps.
  func removeForgotten() throws {
    var numbers = coordinator.takeForgottenKeyParts()[...]
    while !numbers.isEmpty {
      let some = numbers.prefix(16)
      numbers = numbers.dropFirst(16)
      try log.perform([.dropKeyParts(Array(some))])
    }
  }
}
