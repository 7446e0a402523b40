import TriggerHost
import TriggerSQLite

/// The schema of a store's file: makes what is missing, takes away what is no longer declared. Used inside a
/// transaction; nothing is changed when everything is there already.
///
///     trigger_host             one row: whose table this is, and the seq it is at
///     trigger_host_migrations  what was run, once each
///     TABLE                    the rows, with triggers that refuse everybody else's changes
struct TableLayout {
  let table: DatabaseTable
  let db: Database

  /// What this version writes; an older one is migrated, a newer one refused.
  static let format: Int64 = 1

  var name: String { Self.quoted(table.name) }

  static func quoted(_ name: String) -> String { "\"\(name)\"" }

  // MARK: Our own tables

  /// True when the file is one of ours.
  func isOurs() throws -> Bool { try exists("table", "trigger_host") }

  /// Names of tables and views that somebody else made.
  func strangers() throws -> [String] {
    var names: [String] = []
    try db.run(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    ) {
      names.append($0.text(0))
    }
    return names
  }

  func makeOwnTables() throws {
    try db.run(
      """
      CREATE TABLE IF NOT EXISTS trigger_host (
        store TEXT NOT NULL, table_name TEXT NOT NULL, columns TEXT NOT NULL,
        format INTEGER NOT NULL, schema INTEGER NOT NULL,
        log INTEGER NOT NULL, epoch INTEGER NOT NULL, applied INTEGER NOT NULL,
        doubt INTEGER NOT NULL, layout INTEGER NOT NULL, is_writing INTEGER NOT NULL)
      """)
    try db.run(
      "CREATE TABLE IF NOT EXISTS trigger_host_migrations (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL, sql TEXT NOT NULL)"
    )
  }

  // MARK: The table

  /// Makes the table, or the columns that it lacks.
  ///
  /// - Returns: what was missing, for people.
  func makeColumns(_ columns: [DatabaseTable.Column]) throws -> [String] {
    if try exists("view", table.name) {
      throw StorageError("there is a view of the name \(table.name) where the store's table should be")
    }
    let there = try columnNames()
    guard !there.isEmpty else {
      try create(columns)
      return ["the table \(table.name)"]
    }
    guard there.contains("key") else {
      try db.run("DROP TABLE \(name)")
      try create(columns)
      return ["the column key"]
    }
    var missing: [String] = []
    for (column, definition) in Self.definitions(columns) where !there.contains(column.lowercased()) {
      try db.run("ALTER TABLE \(name) ADD COLUMN \(definition)")
      missing.append("the column \(column)")
    }
    return missing
  }

  func drop(_ columns: [String]) throws {
    let there = try columnNames()
    for column in columns where there.contains(column.lowercased()) {
      try db.run("ALTER TABLE \(name) DROP COLUMN \(Self.quoted(column))")
    }
  }

  private func create(_ columns: [DatabaseTable.Column]) throws {
    let definitions = Self.definitions(columns).map(\.sql).joined(separator: ", ")
    try db.run(
      "CREATE TABLE \(name) (\"key\" TEXT PRIMARY KEY NOT NULL, \(definitions)) WITHOUT ROWID")
  }

  private static func definitions(_ columns: [DatabaseTable.Column]) -> [(name: String, sql: String)] {
    columns.map { ($0.name, "\(quoted($0.name)) \($0.type.sql)") } + [
      ("value", "\"value\" TEXT"), ("version", "\"version\" INTEGER NOT NULL DEFAULT 0"),
    ]
  }

  /// In lower case.
  private func columnNames() throws -> Set<String> {
    var names: Set<String> = []
    try db.run("SELECT name FROM pragma_table_xinfo(?)", [.text(table.name)]) {
      names.insert($0.text(0).lowercased())
    }
    return names
  }

  private func exists(_ type: String, _ name: String) throws -> Bool {
    try db.first(
      "SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ? COLLATE NOCASE", [.text(type), .text(name)])
      != nil
  }

  // MARK: Indexes

  /// Our indexes are named after their columns, behind this.
  private var indexPrefix: String { "\(table.name)_by_" }

  private func indexName(_ columns: [String]) -> String { indexPrefix + columns.joined(separator: "_") }

  private func indexesThere() throws -> Set<String> {
    var names: Set<String> = []
    try db.run(
      "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL",
      [.text(table.name)]
    ) { names.insert($0.text(0)) }
    return names.filter { $0.hasPrefix(indexPrefix) }
  }

  func hasWantedIndexes() throws -> Bool { try indexesThere() == Set(table.indexes.map(indexName)) }

  /// - Parameter butWanted: leave those that are declared.
  func dropIndexes(butWanted: Bool) throws {
    for index in try indexesThere().subtracting(butWanted ? table.indexes.map(indexName) : []) {
      try db.run("DROP INDEX \(Self.quoted(index))")
    }
  }

  func makeIndexes() throws {
    for columns in table.indexes {
      let list = columns.map(Self.quoted).joined(separator: ", ")
      try db.run("CREATE INDEX IF NOT EXISTS \(Self.quoted(indexName(columns))) ON \(name) (\(list))")
    }
  }

  // MARK: Guards

  /// Triggers that let nobody change the table while `is_writing` is 0, which it is outside of our transactions.
  ///
  /// A trigger that calls a function which only our connection has would keep others out too; they would read
  /// "no such function" then, and not what to do instead.
  ///
  /// - Returns: what was missing, for people.
  func makeGuards() throws -> [String] {
    var missing: [String] = []
    for (guardName, sql) in guards {
      let there = try db.first(
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?", [.text(guardName)])
      if there == .text(Array(sql.utf8)) { continue }
      try db.run("DROP TRIGGER IF EXISTS \(Self.quoted(guardName))")
      try db.run(sql)
      missing.append("the trigger \(guardName)")
    }
    return missing
  }

  /// What others are told who try to change the table.
  static func refusal(_ table: String) -> String {
    "the table \(table) is kept by trigger-host: change the store through its host instead"
  }

  private var guards: [(name: String, sql: String)] {
    let refusal = Self.refusal(table.name)
    let ours = "the tables trigger_host* belong to trigger-host: leave them as they are"
    return ["INSERT", "UPDATE", "DELETE"].flatMap { verb in
      [
        Self.trigger(
          "\(table.name)_guard_\(verb.lowercased())", verb, on: name,
          when: "(SELECT is_writing FROM trigger_host) = 0", refusal),
        Self.trigger(
          "trigger_host_migrations_guard_\(verb.lowercased())", verb, on: "trigger_host_migrations",
          when: "(SELECT is_writing FROM trigger_host) = 0", ours),
      ]
    } + [
      Self.trigger(
        "trigger_host_guard_update", "UPDATE", on: "trigger_host",
        when: "OLD.is_writing = 0 AND NEW.is_writing = 0", ours),
      Self.trigger(
        "trigger_host_guard_delete", "DELETE", on: "trigger_host", when: "OLD.is_writing = 0", ours),
    ]
  }

  private static func trigger(
    _ name: String, _ verb: String, on table: String, when condition: String, _ refusal: String
  ) -> (name: String, sql: String) {
    (
      name,
      "CREATE TRIGGER \(quoted(name)) BEFORE \(verb) ON \(table) WHEN \(condition) "
        + "BEGIN SELECT RAISE(ABORT, '\(refusal)'); END"
    )
  }
}

extension DatabaseTable.ColumnType {
  /// The declared type, chosen by the affinity that SQLite takes from it (Datatypes in SQLite, 3.1).
  fileprivate var sql: String {
    switch self {
    case .text, .json: "TEXT"
    case .integer: "INTEGER"
    case .real: "REAL"
    case .boolean: "BOOLEAN"
    case .blob: "BLOB"
    }
  }
}
