import TriggerCore
import TriggerHost
import TriggerSQLite

/// Reads a store's table through a connection of its own, as any SQLite client would.
struct TableReader {
  private let db: Database
  private let table: DatabaseTable

  init(path: String, table: DatabaseTable) throws {
    db = try Database(path: path, creates: false, isReadOnly: true)
    self.table = table
  }

  /// In one transaction, so one consistent cut.
  func read() throws -> (seq: Int64, values: Value.Map) {
    let coding = RowCoding(columns: table.columns)
    let columns = (table.columns.map(\.name) + ["value"]).map(TableLayout.quoted).joined(separator: ", ")
    var values: Value.Map = [:]
    try db.run("BEGIN")
    defer { try? db.run("COMMIT") }
    let seq = try db.integer("SELECT applied FROM trigger_host") ?? 0
    try db.run("SELECT \"key\", \(columns) FROM \(TableLayout.quoted(table.name))") { row in
      let cells = (0...table.columns.count).map { row.cell(Int32(1 + $0)) }
      values[String(decoding: row.cell(0).bytes, as: UTF8.self)] = try coding.value(of: cells)
    }
    return (seq, values)
  }
}
