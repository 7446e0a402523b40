import Synchronization
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
    (next, through) = try reader.newestKeyPart()
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
    var (parts, rows) = ([(number: Int64, part: KeyPart)](), rows)
    while !rows.isEmpty {
      let part = KeyPart.first(of: rows)
      parts.append((next, part))
      next += 1
      rows = rows.dropFirst(part.rows.count)
    }
    let (seed, through, written) = (seed, through, parts)
    try log.perform { database in
      for (number, part) in written {
        try KeyParts.write(part, number: number, through: through, seed: seed, to: database)
      }
    }
    for (number, part) in written { coordinator.settle(part, number: number) }
  }

  /// Removes parts of which all keys are forgotten, in small steps.
  func removeForgotten() throws {
    var numbers = coordinator.takeForgottenKeyParts()[...]
    while !numbers.isEmpty {
      let some = numbers.prefix(16)
      numbers = numbers.dropFirst(16)
      try log.perform { database in
        for number in some { try database.run("DELETE FROM key_parts WHERE number = ?", [.int(number)]) }
      }
    }
  }
}

extension LogReader {
  /// What a host keeps in memory of the keys of the day. O(keys), 16 bytes each.
  ///
  /// - Throws: `LogError` for damage.
  func keptKeys() throws -> KeptKeys {
    var kept = KeptKeys()
    kept.through = 0
    kept.seed = UInt64(bitPattern: try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0)
    try database.run("SELECT number, through, checksum, entries FROM key_parts ORDER BY number") { row in
      let number = row.int(0)
      var entries = Array(row.blob(3))
      if LogBlock.checksum(row.blob(3)) != row.int(2) {
        entries = try entriesOfRows(ofPart: number, seed: kept.seed)
      }
      guard entries.count % 16 == 0, !entries.isEmpty else { throw damage(ofPart: number) }
      kept.parts.append((number, entries))
      kept.through = row.int(1)
      kept.newest = entries.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: $0.count - 8, as: Int64.self)
      }
    }
    let rows = KeyRowReader(place)
    kept.reader = { try rows.part($0) }
    return kept
  }

  /// What is wrong with the parts, each with its number: checksums, rows, and what is apart of them.
  func visitDamagedKeyParts(_ body: (_ number: Int64, _ what: String) -> Void) throws {
    let seed = UInt64(bitPattern: try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0)
    var last: Int64 = 0
    try database.run(
      "SELECT number, through, checksum, entries, rows_checksum, rows FROM key_parts ORDER BY number"
    ) { row in
      let number = row.int(0)
      let entries = row.blob(3)
      guard LogBlock.checksum(entries) == row.int(2), LogBlock.checksum(row.blob(5)) == row.int(4) else {
        return body(number, "its checksum does not fit")
      }
      guard let rows = try? KeyPart.rows(row.blob(5)),
        KeyPart(rows).entries(seed: seed).elementsEqual(entries)
      else { return body(number, "its rows are not those that it was written with") }
      if row.int(1) < last {
        body(number, "it is of seqs up to \(row.int(1)), and the part before it of \(last)")
      }
      last = row.int(1)
    }
  }

  /// The number after the newest part, and up to where records are in parts.
  fileprivate func newestKeyPart() throws -> (next: Int64, through: Int64) {
    var found: (Int64, Int64) = (1, 0)
    try database.run("SELECT number, through FROM key_parts ORDER BY number DESC LIMIT 1") {
      found = ($0.int(0) + 1, $0.int(1))
    }
    return found
  }

  private func damage(ofPart number: Int64) -> LogError {
    LogError("\(path): part \(number) of the keys of senders is damaged")
  }

  /// What is apart from the rows, to be read quickly, is made of them: damage to it loses nothing.
  private func entriesOfRows(ofPart number: Int64, seed: UInt64) throws -> [UInt8] {
    guard let encoded = try keyRows(ofPart: number),
      let rows = encoded.withUnsafeBytes({ try? KeyPart.rows($0) })
    else { throw damage(ofPart: number) }
    return KeyPart(rows).entries(seed: seed)
  }

  fileprivate func keyRows(ofPart number: Int64) throws -> [UInt8]? {
    var rows: [UInt8]?
    try database.run("SELECT rows_checksum, rows FROM key_parts WHERE number = ?", [.int(number)]) { row in
      guard LogBlock.checksum(row.blob(1)) == row.int(0) else {
        throw damage(ofPart: number)
      }
      rows = Array(row.blob(1))
    }
    return rows
  }
}

/// Reads rows of keys that come again, on a connection of its own, opened when the first one does: whoever sends such a
/// key waits for nobody else but another one who does. Any thread.
private final class KeyRowReader: Sendable {
  private let place: LogReader.Place
  private let reader = Mutex(Held())
  private struct Held: ~Copyable, @unchecked Sendable {  // guarded by the mutex
    var reader: LogReader?
  }

  init(_ place: LogReader.Place) { self.place = place }

  func part(_ number: Int64) throws -> [UInt8]? {
    try reader.withLock { held in
      let reader = try held.reader ?? LogReader(at: place)
      held.reader = reader
      return try reader.keyRows(ofPart: number)
    }
  }
}
