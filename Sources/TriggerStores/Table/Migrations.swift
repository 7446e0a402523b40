import TriggerCore
import TriggerHost
import TriggerSQLite

/// The SQL that a table declares to be run once each, in order, and what of it was.
struct Migrations {
  /// Not yet run, with their numbers from 1.
  let pending: [(number: Int, sql: String)]
  private let table: String

  /// - Throws: `TableError` when what was run is not what is declared now.
  init(_ table: DatabaseTable, in file: TableFile) throws {
    var run: [(checksum: String, sql: String)] = []
    if try file.layout.isOurs() {
      try file.db.run("SELECT checksum, sql FROM trigger_host_migrations ORDER BY number") { row in
        run.append((row.text(0), row.text(1)))
      }
    }
    for (index, done) in run.enumerated() {
      let was = "it was `\(done.sql.prefix(200))`"
      guard index < table.migrations.count else {
        throw TableError(
          file.path, "migration \(index + 1) has been run on it and is not declared any more: \(was)")
      }
      guard Self.checksum(table.migrations[index]) == done.checksum else {
        throw TableError(
          file.path,
          "migration \(index + 1) has been run on it and was changed since: \(was); put that back and add the change as a new migration",
          migration: index)
      }
    }
    self.table = table.name
    pending = table.migrations.enumerated().dropFirst(run.count).map { ($0.offset + 1, $0.element) }
  }

  /// Inside the transaction that changes the layout.
  ///
  /// - Throws: `TableError` naming the migration that SQLite refuses.
  func run(in file: TableFile) throws {
    for (number, sql) in pending {
      do throws(StorageError) { try file.db.runScript(sql, keeping: table) } catch {
        throw TableError(file.path, "migration \(number): \(error)", migration: number - 1)
      }
      try file.db.run("UPDATE trigger_host SET is_writing = 1")
      try Self.insert(number, sql, in: file)
      try file.db.run("UPDATE trigger_host SET is_writing = 0")
    }
  }

  /// Takes all as run.
  static func record(_ migrations: [String], in file: TableFile) throws {
    try file.db.run("DELETE FROM trigger_host_migrations")
    for (index, sql) in migrations.enumerated() { try insert(index + 1, sql, in: file) }
  }

  private static func insert(_ number: Int, _ sql: String, in file: TableFile) throws {
    try file.db.run(
      "INSERT INTO trigger_host_migrations VALUES (?, ?, ?)",
      [.int(Int64(number)), .text(checksum(sql)), .text(sql)])
  }

  /// Of the text, without the white space around it. Part of the format: never change it.
  private static func checksum(_ sql: String) -> String {
    var text = sql[...]
    while text.last?.isWhitespace == true { text.removeLast() }
    while text.first?.isWhitespace == true { text.removeFirst() }
    let sum = Array(text.utf8).withUnsafeBytes { XXH64.of($0) }
    let digits = String(sum, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// The table of a database store cannot be what it should be.
public struct TableError: Error, Sendable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// What is wrong, and what to do.
  public let message: String
  /// Which of the declared migrations it is about, from 0.
  public let migration: Int?

  init(_ path: String, _ message: String, migration: Int? = nil) {
    self.path = path
    self.message = message
    self.migration = migration
  }

  /// `file: what is wrong`.
  public var description: String { "\(path): \(message)" }
}

/// Which log a table follows, and in which epoch.
public struct LogHistory: Sendable, Hashable {
  /// `DataDirectory.logID`.
  public var log: Int64
  /// `DataDirectory.beginEpoch`: counts the starts.
  public var epoch: Int64

  /// The host that keeps `log` is in `epoch`.
  public init(log: Int64, epoch: Int64) {
    self.log = log
    self.epoch = epoch
  }
}
