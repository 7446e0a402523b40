import TriggerCore
import TriggerSQLite

/// What of a directory has been written out, kept in an SQLite file: tells a file that lags behind its store
/// from one that somebody has edited, across restarts and crashes. One thread at a time.
final class FileMark {
  typealias ID = FileContent.ID

  private let database: Database

  /// - Parameter path: made when it is not there; nil keeps nothing beyond the process.
  init(path: String?) throws {
    database = try Database(path: path ?? ":memory:", isPrivate: path != nil)
    if path != nil { try database.run("PRAGMA journal_mode = WAL") }
    try database.run("PRAGMA synchronous = FULL")
    // Contents are a length and a hash; no file has the length -1, what is not known -2.
    try database.run(
      "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, was_size INTEGER NOT NULL, was_hash INTEGER NOT NULL, becomes_size INTEGER NOT NULL, becomes_hash INTEGER NOT NULL) WITHOUT ROWID"
    )
    // Edits whose commits are still to come.
    try database.run(
      "CREATE TABLE IF NOT EXISTS told (id INTEGER PRIMARY KEY, path TEXT NOT NULL, burst INTEGER NOT NULL, size INTEGER NOT NULL, hash INTEGER NOT NULL)"
    )
    try database.run("CREATE INDEX IF NOT EXISTS told_path ON told (path)")
    // Files of ours beside those that are written, and what they are for.
    try database.run(
      "CREATE TABLE IF NOT EXISTS temporaries (name TEXT PRIMARY KEY, path TEXT NOT NULL, was_size INTEGER NOT NULL, was_hash INTEGER NOT NULL, becomes_size INTEGER NOT NULL, becomes_hash INTEGER NOT NULL) WITHOUT ROWID"
    )
    try database.run("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
  }

  /// What an earlier run left.
  struct State {
    /// Every commit up to here shows in the directory.
    var appliedSeq: Int64 = 0
    /// Number of the last burst of edits that was told.
    var burst: Int64 = 0
    var rows: [String: WriteOut.Row] = [:]
    var told: [String: [WriteOut.Told]] = [:]
    /// By name.
    var temporaries: [String: Temporary] = [:]
  }

  /// A file of ours beside another, with the contents of ours that it may hold.
  struct Temporary: Equatable {
    var path: String
    var was: ID?
    var becomes: ID?
  }

  func state() throws -> State {
    var state = State()
    try database.run("SELECT name, value FROM meta") { row in
      switch row.text(0) {
      case "applied_seq": state.appliedSeq = try row.int(1, in: Database.Bounds.seq)
      case "burst": state.burst = try row.int(1, in: Database.Bounds.seq)
      default: break
      }
    }
    try database.run("SELECT path, was_size, was_hash, becomes_size, becomes_hash FROM files") { row in
      state.rows[row.text(0)] = WriteOut.Row(was: try row.id(1), becomes: try row.id(3))
    }
    try database.run("SELECT path, burst, size, hash FROM told ORDER BY id") { row in
      let told = WriteOut.Told(burst: try row.int(1, in: Database.Bounds.seq), content: try row.id(2))
      state.told[row.text(0), default: []].append(told)
    }
    try database.run(
      "SELECT name, path, was_size, was_hash, becomes_size, becomes_hash FROM temporaries"
    ) { row in
      state.temporaries[row.text(0)] = Temporary(
        path: row.text(1), was: try row.id(2), becomes: try row.id(4))
    }
    return state
  }

  /// Before a batch of writes: durable when this returns.
  func begin(_ intents: [(path: String, row: WriteOut.Row)], temporaries: [String: Temporary]) throws {
    try transaction {
      for (path, row) in intents { try put(path, row) }
      for (name, temporary) in temporaries {
        try database.run(
          "INSERT INTO temporaries VALUES (?, ?, ?, ?, ?, ?)",
          [.text(name), .text(temporary.path)] + Self.fields(temporary.was) + Self.fields(temporary.becomes))
      }
    }
  }

  /// After a batch, an edit, a commit: durable when this returns.
  ///
  /// - Parameter gone: temporaries that are no more.
  func update(
    _ outdated: [(path: String, row: WriteOut.Row?, told: [WriteOut.Told])], gone: [String] = [],
    appliedSeq: Int64, burst: Int64
  ) throws {
    try transaction {
      for (path, row, told) in outdated {
        if let row {
          try put(path, row)
        } else {
          try database.run("DELETE FROM files WHERE path = ?", [.text(path)])
        }
        try database.run("DELETE FROM told WHERE path = ?", [.text(path)])
        for edit in told {
          try database.run(
            "INSERT INTO told (path, burst, size, hash) VALUES (?, ?, ?, ?)",
            [.text(path), .int(edit.burst)] + Self.fields(edit.content))
        }
      }
      for name in gone { try database.run("DELETE FROM temporaries WHERE name = ?", [.text(name)]) }
      for (name, value) in [("applied_seq", appliedSeq), ("burst", burst)] {
        try database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [.text(name), .int(value)])
      }
    }
  }

  private func put(_ path: String, _ row: WriteOut.Row) throws {
    try database.run(
      "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
      [.text(path)] + Self.fields(row.was) + Self.fields(row.becomes))
  }

  private static func fields(_ content: ID?) -> [Database.Field] {
    [.int(Int64(content?.size ?? -1)), .int(Int64(bitPattern: content?.hash ?? 0))]
  }

  private func transaction(_ body: () throws -> Void) throws {
    try database.run("BEGIN IMMEDIATE")
    do {
      try body()
      try database.run("COMMIT")
    } catch {
      try? database.run("ROLLBACK")
      throw error
    }
  }
}

extension Database.Row {
  fileprivate func id(_ column: Int32) throws(StorageError) -> FileContent.ID? {
    let size = try int(column, in: Database.Bounds.size)
    return size == -1 ? nil : FileContent.ID(size: Int(size), hash: UInt64(bitPattern: int(column + 1)))
  }
}
