import CSQLite

extension Database {
  /// Key of the row that was inserted last.
  package var lastRowID: Int64 { sqlite3_last_insert_rowid(handle) }

  /// Rows that the last INSERT, UPDATE or DELETE changed.
  package var changes: Int { Int(sqlite3_changes(handle)) }

  /// How long a statement waits for another connection's lock before it fails as busy.
  package func wait(milliseconds: Int32) throws(StorageError) {
    try check(sqlite3_busy_timeout(handle, milliseconds))
  }

  /// The first column of the first row; nil when there is none.
  package func first(_ sql: String, _ fields: [Field] = []) throws -> Cell? {
    var found: Cell?
    try run(sql, fields) { row in if found == nil { found = row.cell(0) } }
    return found
  }

  /// The first column of the first row as an integer; nil when there is none, or it is NULL.
  package func integer(_ sql: String) throws -> Int64? {
    if case .int(let value)? = try first(sql) { value } else { nil }
  }

  /// Runs `body` in a transaction that has the write lock from its start.
  ///
  /// - Throws: `StorageError` with `isBusy` when another connection has the lock; what `body` throws. Nothing is
  ///   changed then.
  package func transaction(_ body: () throws -> Void) throws {
    try run("BEGIN IMMEDIATE")
    do {
      try body()
      try run("COMMIT")
    } catch {
      // SQLite has rolled back by itself after some failures.
      if sqlite3_get_autocommit(handle) == 0 { try? run("ROLLBACK") }
      throw error
    }
  }
}

extension StorageError {
  /// Another connection is in the way; later it may work.
  package var isBusy: Bool { [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL].contains(code & 0xff) }
}
