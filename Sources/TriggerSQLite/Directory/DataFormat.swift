import Glibc
import TriggerCore
import TriggerHost

/// The layout of a data directory's database, and how an older one is brought up to it.
enum DataFormat {
  /// What this version writes.
  static let current: Int64 = 6
  /// What it brings up: blocks of format 4 had neither epoch nor chain, format 5 had no sessions. No release has written
  /// what was before.
  static let oldest: Int64 = 4

  /// The format that a database has; nil when it is new.
  static func of(_ database: Database) throws -> Int64? {
    guard try database.integer("SELECT 1 FROM sqlite_master WHERE name = 'meta'") != nil else { return nil }
    return try database.integer("SELECT value FROM meta WHERE name = 'format'")
  }

  /// How far the log goes; nil when it has no tables yet.
  static func newest(_ database: Database, path: String) throws -> NewestMark? {
    guard let format = try of(database) else { return nil }
    try check(format, path)
    return NewestMark(
      log: try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0,
      epoch: try database.integer("SELECT max(epoch) FROM epochs") ?? 0,
      // The newest block is never let go of.
      seq: try database.integer("SELECT last FROM blocks ORDER BY first DESC LIMIT 1") ?? 0)
  }

  /// Makes a new database's tables, or brings an older one up, all or nothing.
  ///
  /// - Parameters:
  ///   - path: for messages.
  ///   - most: bytes of a file whose blocks get chains. Not all of a longer one is gone through when its format becomes
  ///     another.
  /// - Returns: the older format that was brought up; nil when there was none.
  /// - Throws: `StorageError` when the format is newer, or older than any release's.
  @discardableResult
  static func prepare(
    _ database: Database, path: String, chainingUpTo most: Int64 = 1 << 30
  ) throws -> Int64? {
    let format = try of(database)
    if let format { try check(format, path) }
    if format == nil { try setPages(database) }
    try database.run("PRAGMA journal_mode = WAL")
    // A sync that failed has left bytes in the system's cache that no later one writes, so what a process before
    // could read may not be on the disk (https://wiki.postgresql.org/wiki/Fsync_Errors). Written anew, it is.
    try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    try database.run("PRAGMA wal_autocheckpoint = 1000")
    if format != current {
      try database.transaction {
        try makeTables(database)
        if format == 4, try bytes(database) <= most { try chainBlocks(database) }
        try database.run("INSERT OR REPLACE INTO meta VALUES ('format', ?)", [.int(current)])
        try database.run("INSERT OR IGNORE INTO meta VALUES ('log', ?)", [.int(.random(in: 1 ... .max))])
      }
    }
    // A checkpoint that was not finished.
    for table in ["chunks", "fold_parts"] {
      try database.run("DELETE FROM \(table) WHERE checkpoint NOT IN (SELECT id FROM checkpoints)")
    }
    return format == current ? nil : format
  }

  /// How a file's pages are. Before anything is written; later it takes a `VACUUM`, outside of the write-ahead mode.
  private static func setPages(_ database: Database) throws {
    // A commit by itself writes one whole page: as long as those of the file system, so it writes no more than it must.
    try database.run("PRAGMA page_size = 4096")
    // Pages that become free can be given back.
    try database.run("PRAGMA auto_vacuum = INCREMENTAL")
  }

  private static func bytes(_ database: Database) throws -> Int64 {
    try (database.integer("PRAGMA page_count") ?? 0) * (database.integer("PRAGMA page_size") ?? 0)
  }

  /// Blocks of before get their chains, under epoch 0. Where they stay without, the chain begins after them.
  private static func chainBlocks(_ database: Database) throws {
    var blocks: [LogBlock] = []
    try database.run("SELECT first, last, checksum FROM blocks ORDER BY first") { row in
      blocks.append(
        LogBlock(
          first: row.int(0), last: row.int(1), time: 0, epoch: 0, checksum: row.int(2), chain: 0, bytes: nil))
    }
    var chain: Int64 = 0
    for block in blocks {
      chain = block.chain(after: chain)
      try database.run("UPDATE blocks SET chain = ? WHERE first = ?", [.int(chain), .int(block.first)])
    }
  }

  /// Refuses to read what has another format.
  static func check(_ database: Database, path: String) throws {
    guard let format = try of(database) else {
      throw StorageError(
        "\(path): log.sqlite has no log yet: a first start was cut off, or it is another program's. trigger-host run --data \(path) begins one"
      )
    }
    if format == current { return }
    try check(format, path)
    throw StorageError(
      "\(path) has format \(format), this version reads format \(current): start a host on it, which brings it up (trigger-host run --data \(path))"
    )
  }

  private static func check(_ format: Int64, _ path: String) throws(StorageError) {
    if format > current {
      throw StorageError(
        "\(path) has format \(format), this version reads up to \(current): use a newer trigger-host")
    }
    if format < oldest {
      throw StorageError(
        "\(path) has format \(format), which no release has written; this version brings up \(oldest) and later: begin anew with another --data directory"
      )
    }
  }

  private static let tables =
    [
      // `format`, `log` (which one it is), and where the last block ended that was let go: `cut` (its last seq),
      // `cut_chain`, `cut_epoch`, not in logs that only older versions have shortened.
      "meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
      // Records of consecutive seqs, written together: a CBOR sequence, when it was written (nanoseconds since
      // 1970), the epoch it was written under, its checksum and its chain (`LogBlock`). `cuts` contents are kept apart;
      // the checksum is that of the whole. What is long comes last: whoever asks for the rest does not go through it.
      "blocks (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, time INTEGER NOT NULL, epoch INTEGER NOT NULL, checksum INTEGER NOT NULL, chain INTEGER NOT NULL, cuts INTEGER NOT NULL DEFAULT 0, records BLOB NOT NULL)",
      // Accepted events whose operations are not all decided.
      "inbox (epoch INTEGER, number INTEGER, checksum INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (epoch, number)) WITHOUT ROWID",
      // Every start of a host.
      "epochs (epoch INTEGER PRIMARY KEY, started INTEGER NOT NULL, seed INTEGER NOT NULL, versions TEXT NOT NULL)",
      // Script trees, in the order they were in force; `seq` is the first that may use it, 0 while at most a record
      // says it.
      "script_trees (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, seed INTEGER NOT NULL, seq INTEGER NOT NULL)",
      // What a tree changed against the one before; a file that went away has no content.
      "script_files (path TEXT, tree INTEGER, content INTEGER, PRIMARY KEY (path, tree)) WITHOUT ROWID",
      // Every commit up to `since` is in the chunks; `fold` is what else is to know as of `last`, and `digests` what
      // the stores held then (NULL in older ones). The checksum is that of both.
      "checkpoints (id INTEGER PRIMARY KEY, since INTEGER NOT NULL, last INTEGER NOT NULL, time INTEGER NOT NULL, checksum INTEGER NOT NULL, fold BLOB NOT NULL, digests BLOB, parts INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, seal INTEGER NOT NULL DEFAULT 0)",
      "chunks (checkpoint INTEGER, number INTEGER, checksum INTEGER NOT NULL, data BLOB NOT NULL, cuts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (checkpoint, number))",
      // Since when a schedule is known, so that a restart does not begin its span anew.
      "schedules (name TEXT PRIMARY KEY, rule TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID",
      // Up to which seq a receiver has taken the effects of commits.
      "receivers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
      // Conversations with clients, as of the seq that the receiver '$sessions' has (`SessionRow`).
      "sessions (id TEXT PRIMARY KEY, checksum INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID",
      // What became of operations that failed for good: 'requeued' or 'dropped'.
      "dead_marks (seq INTEGER PRIMARY KEY, action TEXT NOT NULL, time INTEGER NOT NULL)",
      KeyParts.table, FoldParts.table, ScriptTrees.waitingTable,
    ] + Contents.tables

  /// Columns that format 4 does not have.
  private static let columns = [
    ("blocks", "epoch INTEGER NOT NULL DEFAULT 0"), ("blocks", "chain INTEGER NOT NULL DEFAULT 0"),
  ]

  private static func makeTables(_ database: Database) throws {
    for table in tables { try database.run("CREATE TABLE IF NOT EXISTS \(table)") }
    for (table, column) in columns {
      let name = column.prefix { $0 != " " }
      let known = "SELECT 1 FROM pragma_table_info('\(table)') WHERE name = '\(name)'"
      if try database.integer(known) != nil { continue }
      try database.run("ALTER TABLE \(table) ADD COLUMN \(column)")
    }
    for index in Contents.indexes { try database.run("CREATE INDEX IF NOT EXISTS \(index)") }
    for trigger in Contents.triggers + [FoldParts.trigger] {
      try database.run("CREATE TRIGGER IF NOT EXISTS \(trigger)")
    }
  }
}
