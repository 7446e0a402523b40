import Foundation
import TriggerCore
import TriggerHost
import TriggerSQLite

/// The SQLite file of one database store: opened, brought to the declared layout, and its rows. One thread at a time.
final class TableFile {
  typealias Cell = Database.Cell

  let path: String
  let db: Database
  let coding: RowCoding
  let layout: TableLayout
  /// What the file says of itself, as of the last commit of ours.
  private(set) var state: State
  /// What others had taken away from the layout when the file was opened or last written.
  private(set) var mended: [String] = []
  /// Nil in memory. SQLite makes the file when it is first written.
  private var identity: FileIdentity?
  private let store: String
  private var table: DatabaseTable { layout.table }
  private let sql: Statements

  /// Why the rows must be compared with the store before `applied` can be relied on.
  enum Doubt: Int64, Comparable {
    case none
    /// Somebody else may have changed rows.
    case rows
    /// They are of another layout, or made from another log: nothing is known of them.
    case layout

    static func < (left: Doubt, right: Doubt) -> Bool { left.rawValue < right.rawValue }
  }

  /// The one row of `trigger_host`.
  struct State: Hashable {
    var columns: [DatabaseTable.Column] = []
    var history = LogHistory(log: 0, epoch: 0)
    /// The table is the store as of this seq.
    var applied: Int64 = 0
    var doubt = Doubt.layout
    /// SQLite's count of schema changes when we last looked.
    var layout: Int64 = 0
  }

  /// Opens the file, made when it is not there, and brings it to the layout that `table` declares.
  ///
  /// - Parameters:
  ///   - history: what it follows; nil when there is no log.
  ///   - lockWait: milliseconds that another program's lock may last when the layout must change.
  /// - Throws: `TableError` when it belongs to something else, or cannot be brought to the layout.
  init(
    path: String, store: String, table: DatabaseTable, history: LogHistory?, lockWait: Int32 = 5000
  ) throws {
    if let fault = table.fault { throw TableError(path, fault) }
    self.path = path
    self.store = store
    db = try Database(path: path, isPrivate: path != ":memory:")
    layout = TableLayout(table: table, db: db)
    coding = RowCoding(columns: table.columns)
    sql = Statements(table)
    state = State()
    try db.wait(milliseconds: lockWait)
    do {
      try db.run("PRAGMA journal_mode = WAL")
      // After a crash the file may be some commits behind, never in between: it catches up from the log.
      try db.run("PRAGMA synchronous = NORMAL")
      try open(history ?? LogHistory(log: 0, epoch: 0))
    } catch let error as StorageError where error.isBusy {
      throw TableError(
        path, "it must be changed before the host starts, and is locked by another program: end that first")
    }
    identity = FileIdentity(path)
    try db.wait(milliseconds: 0)
  }

  /// The file at the path is another one now, or none.
  var hasMoved: Bool { identity != nil && FileIdentity(path) != identity }

  // MARK: Opening

  private func open(_ history: LogHistory) throws {
    let isNew = try !layout.isOurs()
    if isNew {
      let strangers = try layout.strangers()
      if let name = strangers.first {
        throw TableError(path, "it has a table `\(name)` that trigger-host did not make: name another file")
      }
    } else {
      state = try readState(history)
    }
    let migrations = try Migrations(layout.table, in: self)
    let isSame =
      try !isNew && layoutVersion() == state.layout && state.columns == table.columns
      && migrations.pending.isEmpty && layout.hasWantedIndexes()
    if isSame { return }
    var opened = state
    try db.transaction {
      if isNew { try begin(history, &opened) } else { try mend(&opened) }
      // No column goes while an index needs it.
      try layout.dropIndexes(butWanted: opened.columns == table.columns)
      try change(columns: opened.columns, migrations)
      if opened.columns != table.columns { opened.doubt = .layout }
      opened.columns = table.columns
      try layout.makeIndexes()
      try finish(&opened)
    }
    state = opened
  }

  private func begin(_ history: LogHistory, _ state: inout State) throws {
    state.history = history
    state.columns = table.columns
    try layout.makeOwnTables()
    try insertState(state)
    _ = try layout.makeColumns(table.columns)
    _ = try layout.makeGuards()
  }

  /// Begins a transaction of ours on a file whose layout is not what we left: makes what is missing.
  private func mend(_ state: inout State) throws {
    try restoreOwnTables(state)
    try db.run("UPDATE trigger_host SET is_writing = 1")
    let (columns, guards) = try (layout.makeColumns(state.columns), layout.makeGuards())
    if !guards.isEmpty { state.doubt = max(state.doubt, .rows) }
    if !columns.isEmpty { state.doubt = .layout }
    mended = columns + guards
  }

  /// Brings the columns from those of the file to the declared ones, with what is in the rows: new ones are filled
  /// from the JSON column before anybody sees them, what loses its column goes there. Migrations run when all
  /// columns are there, old and new.
  private func change(columns old: [DatabaseTable.Column], _ migrations: Migrations) throws {
    let stays = table.columns.filter { column in
      old.contains(column) || !old.contains { $0.name.lowercased() == column.name.lowercased() }
    }
    _ = try layout.makeColumns(stays)
    if old != stays { try rewrite(from: RowCoding(columns: old), to: RowCoding(columns: stays)) }
    try db.run("UPDATE trigger_host SET is_writing = 0")
    try migrations.run(in: self)
    try db.run("UPDATE trigger_host SET is_writing = 1")
    try layout.drop(old.filter { !stays.contains($0) }.map(\.name))
    _ = try layout.makeColumns(table.columns) + layout.makeGuards()
    if stays != table.columns { try rewrite(from: RowCoding(columns: stays), to: coding) }
  }

  private func rewrite(from old: RowCoding, to new: RowCoding) throws {
    let (from, to) = (Statements(table.name, old.columns), Statements(table.name, new.columns))
    try forEachRow(from) { row in
      // What others have made unreadable is put right from the store.
      guard let value = try? old.value(of: row.cells) else { return }
      let cells = new.cells(of: value)
      try db.run(to.update, (cells + [.int(row.version), row.key]).map { .cell($0) })
    }
  }

  // MARK: What the file says of itself

  private func readState(_ history: LogHistory) throws -> State {
    var found: (store: String, table: String, format: Int64, state: State)?
    try db.run(
      "SELECT store, table_name, format, columns, log, epoch, applied, doubt, layout FROM trigger_host"
    ) { row in
      let columns = try ColumnList.parse(row.text(3))
      found = (
        row.text(0), row.text(1), try row.int(2, in: Database.Bounds.seq),
        State(
          columns: columns,
          history: LogHistory(log: row.int(4), epoch: try row.int(5, in: Database.Bounds.seq)),
          applied: try row.int(6, in: Database.Bounds.seq), doubt: Doubt(rawValue: row.int(7)) ?? .layout,
          layout: row.int(8))
      )
    }
    guard let found else { throw TableError(path, "its table trigger_host is empty: move the file away") }
    if found.format > TableLayout.format {
      throw TableError(
        path,
        "it has format \(found.format), this version reads up to \(TableLayout.format): use a newer trigger-host"
      )
    }
    guard found.store == store, found.table.lowercased() == table.name.lowercased() else {
      throw TableError(
        path,
        "it holds the table `\(found.table)` of store '\(found.store)': name another file, or move it away")
    }
    guard found.state.history.log == history.log else {
      throw TableError(
        path, "it follows another log (another data directory): name another file, or move it away")
    }
    return found.state
  }

  private func insertState(_ state: State) throws {
    try db.run(
      "INSERT INTO trigger_host VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, 1)",
      [
        .text(store), .text(table.name), .text(ColumnList.text(state.columns)), .int(TableLayout.format),
        .int(state.history.log), .int(state.history.epoch), .int(state.applied), .int(state.doubt.rawValue),
        .int(state.layout),
      ])
  }

  /// Somebody may have dropped or emptied them; we know what was in there.
  private func restoreOwnTables(_ state: State) throws {
    if try layout.isOurs(), try db.first("SELECT 1 FROM trigger_host") != nil { return }
    try layout.makeOwnTables()
    try insertState(state)
    try Migrations.record(table.migrations, in: self)
  }

  private func layoutVersion() throws -> Int64 { try db.integer("PRAGMA schema_version") ?? 0 }

  /// Ends a transaction of ours: the guards are up again.
  private func finish(_ state: inout State) throws {
    state.layout = try layoutVersion()
    try db.run(
      "UPDATE trigger_host SET columns = ?, schema = (SELECT count(*) FROM trigger_host_migrations), log = ?, "
        + "epoch = ?, applied = ?, doubt = ?, layout = ?, is_writing = 0",
      [
        .text(ColumnList.text(state.columns)), .int(state.history.log), .int(state.history.epoch),
        .int(state.applied), .int(state.doubt.rawValue), .int(state.layout),
      ])
  }

  // MARK: Writing

  /// Changes when another connection has changed the file.
  func dataVersion() throws -> Int64 { try db.integer("PRAGMA data_version") ?? 0 }

  /// Runs `body`, which changes rows, and writes the state it leaves, all or nothing.
  ///
  /// - Throws: `StorageError` with `isBusy` when somebody else has the lock.
  func write(_ body: (_ state: inout State) throws -> Void) throws {
    var next = state
    mended = []
    try db.transaction {
      if try layoutVersion() == state.layout {
        try db.run("UPDATE trigger_host SET is_writing = 1")
      } else {
        try mend(&next)
        try layout.makeIndexes()
      }
      try body(&next)
      try finish(&next)
    }
    state = next
  }

  func put(_ key: Cell, _ cells: [Cell], version: Int64) throws {
    try db.run(sql.update, Self.fields(key, cells, version))
    if db.changes == 0 { try add(key, cells, version: version) }
  }

  /// For a key that has no row.
  func add(_ key: Cell, _ cells: [Cell], version: Int64) throws {
    try db.run(sql.insert, Self.fields(key, cells, version))
  }

  private static func fields(_ key: Cell, _ cells: [Cell], _ version: Int64) -> [Database.Field] {
    (cells + [.int(version), key]).map { .cell($0) }
  }

  func delete(_ key: Cell) throws { try db.run(sql.delete, [.cell(key)]) }

  func has(_ key: Cell) throws -> Bool { try db.first(sql.exists, [.cell(key)]) != nil }

  func rowCount() throws -> Int64 { try db.integer("SELECT count(*) FROM \(layout.name)") ?? 0 }

  // MARK: Reading

  struct Row {
    var key: Cell
    var version: Int64
    /// The declared columns and `value`.
    var cells: [Cell]
  }

  /// Visits all rows in the order of their keys; `body` may change or delete the row it gets.
  func forEachRow(_ body: (Row) throws -> Void) throws { try forEachRow(sql, body) }

  private func forEachRow(_ sql: Statements, _ body: (Row) throws -> Void) throws {
    var last = Cell.text([])
    var query = sql.firstPage
    while true {
      var rows: [Row] = []
      try db.run(query, [.cell(last)]) { row in
        rows.append(
          Row(
            key: row.cell(0), version: row.int(1), cells: (0..<sql.cellCount).map { row.cell(Int32(2 + $0)) })
        )
      }
      for row in rows { try body(row) }
      guard rows.count == Statements.page, let key = rows.last?.key else { return }
      (last, query) = (key, sql.nextPage)
    }
  }

  /// The SQL for rows with these columns. Parameters of `update` and `insert`: the cells, the version, the key.
  private struct Statements {
    static let page = 1000
    let cellCount: Int
    let update, insert, delete, exists, firstPage, nextPage: String

    init(_ table: DatabaseTable) { self.init(table.name, table.columns) }

    init(_ name: String, _ columns: [DatabaseTable.Column]) {
      let name = TableLayout.quoted(name)
      let cells = columns.map { TableLayout.quoted($0.name) } + ["\"value\""]
      cellCount = cells.count
      let written = cells + ["\"version\""]
      let select = "SELECT \"key\", \"version\", \(cells.joined(separator: ", ")) FROM \(name)"
      update = "UPDATE \(name) SET \(written.map { "\($0) = ?" }.joined(separator: ", ")) WHERE \"key\" = ?"
      insert =
        "INSERT INTO \(name) (\(written.joined(separator: ", ")), \"key\") VALUES "
        + "(\(Array(repeating: "?", count: written.count + 1).joined(separator: ", ")))"
      delete = "DELETE FROM \(name) WHERE \"key\" = ?"
      exists = "SELECT 1 FROM \(name) WHERE \"key\" = ?"
      firstPage = "\(select) WHERE \"key\" >= ? ORDER BY \"key\" LIMIT \(Self.page)"
      nextPage = "\(select) WHERE \"key\" > ? ORDER BY \"key\" LIMIT \(Self.page)"
    }
  }
}

/// Which file a path leads to.
private struct FileIdentity: Equatable {
  var device: UInt64
  var node: UInt64

  /// Nil when there is none.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, node) = (UInt64(status.st_dev), UInt64(status.st_ino))
  }
}

/// Declared columns as text: `symbol text, quantity integer`.
private enum ColumnList {
  static func text(_ columns: [DatabaseTable.Column]) -> String {
    columns.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")
  }

  static func parse(_ text: String) throws -> [DatabaseTable.Column] {
    try text.split(separator: ", ").map { item in
      let parts = item.split(separator: " ")
      guard parts.count == 2, let type = DatabaseTable.ColumnType(rawValue: String(parts[1])) else {
        throw StorageError("trigger_host.columns is not what trigger-host wrote: `\(item)`")
      }
      return DatabaseTable.Column(String(parts[0]), type)
    }
  }
}
