import TriggerCore
import TriggerHost

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A directory with everything a host keeps. One process at a time may write in it.
public final class DataDirectory: @unchecked Sendable {
  // The connection belongs to whoever opened the directory, and to the log's thread once there is one.
  /// The layout this version writes; an older one is migrated, a newer one refused.
  public static let format: Int64 = 2

  /// As it was given.
  public let path: String
  private var lock: Int32
  /// Of the database when that is not in the system's files.
  private var fileSystem: String?
  let database: Database
  /// What times in it come from.
  let clock: EngineClock
  /// Files of the newest script tree, once they were needed.
  var newestFiles: [String: [UInt8]]?
  /// Which log this is: random, made with it. What keeps a copy of its stores knows it by this.
  public private(set) var logID: Int64 = 0

  /// Opens a directory to write in, made when it is not there.
  ///
  /// - Throws: `StorageError` when another process has it, or its format is newer.
  public init(path: String, clock: EngineClock = EngineClock()) throws {
    self.path = path
    self.clock = clock
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
      throw StorageError("\(path): cannot be made: \(String(cString: strerror(errno)))")
    }
    lock = try Self.takeLock(path)
    do {
      database = try Database(path: path + "/log.sqlite")
      try Self.prepare(database, path: path)
      logID = try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0
    } catch {
      Glibc.close(lock)
      throw error
    }
  }

  deinit { close() }

  /// Lets another process have the directory. Nothing may be written afterwards.
  public func close() {
    guard lock >= 0 else { return }
    Glibc.close(lock)
    lock = -1
  }

  /// The file lock goes with the process, however it ends.
  private static func takeLock(_ path: String) throws(StorageError) -> Int32 {
    let file = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw StorageError("\(path)/lock: \(String(cString: strerror(errno)))") }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      var bytes = [UInt8](repeating: 0, count: 32)
      let count = read(file, &bytes, bytes.count)
      Glibc.close(file)
      let owner = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
      throw StorageError(
        "\(path) is in use by another host\(owner.isEmpty ? "" : " (process \(owner))"); stop it, or use another --data directory"
      )
    }
    let pid = String(getpid())
    ftruncate(file, 0)
    _ = pid.utf8.withContiguousStorageIfAvailable { write(file, $0.baseAddress, $0.count) }
    return file
  }

  /// A directory without a file of its own to lock: for a database that is not in the file system.
  package init(database name: String, fileSystem: String, clock: EngineClock) throws {
    path = name
    lock = -1
    self.clock = clock
    self.fileSystem = fileSystem
    database = try Database(path: name, fileSystem: fileSystem)
    try Self.prepare(database, path: name)
  }

  /// Another connection to read with.
  func openReader() throws -> LogReader {
    guard let fileSystem else { return try LogReader(path: path) }
    return LogReader(
      try Database(path: path, creates: false, isReadOnly: true, fileSystem: fileSystem), path: path)
  }

  private static func prepare(_ database: Database, path: String) throws {
    let format = try Self.format(of: database)
    if let format, format > Self.format {
      throw StorageError(
        "\(path) has format \(format), this version reads up to \(Self.format): use a newer trigger-host")
    }
    if format == nil {
      // Blocks are long, so pages are too; it must come before anything is written.
      try database.run("PRAGMA page_size = 16384")
    }
    try database.run("PRAGMA journal_mode = WAL")
    // A sync that failed has left bytes in the system's cache that no later one writes, so what a process before
    // could read may not be on the disk (https://wiki.postgresql.org/wiki/Fsync_Errors). Written anew, it is.
    try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    try database.run("PRAGMA wal_autocheckpoint = 1000")
    if format == 1 { try migrateFromFormat1(database, path: path) }
    for table in tables { try database.run("CREATE TABLE IF NOT EXISTS \(table)") }
    try database.run("CREATE INDEX IF NOT EXISTS contents_by_hash ON contents (hash)")
    if format == 1 { try moveTreesOfFormat1(database) }
    if format == nil { try database.run("INSERT INTO meta VALUES ('format', ?)", [.int(Self.format)]) }
    try database.run("INSERT OR IGNORE INTO meta VALUES ('log', ?)", [.int(.random(in: 1 ... .max))])
    // A checkpoint that was not finished.
    try database.run("DELETE FROM chunks WHERE checkpoint NOT IN (SELECT id FROM checkpoints)")
  }

  private static func format(of database: Database) throws -> Int64? {
    var format: Int64?
    var hasMeta = false
    try database.run("SELECT 1 FROM sqlite_master WHERE name = 'meta'") { _ in hasMeta = true }
    if hasMeta {
      try database.run("SELECT value FROM meta WHERE name = 'format'") { format = $0.int(0) }
    }
    return format
  }

  private static let tables = [
    "meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    // Records of consecutive seqs, written together: a CBOR sequence, when it was written (nanoseconds since
    // 1970) and its checksum.
    "blocks (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, checksum INTEGER NOT NULL, records BLOB NOT NULL, time INTEGER NOT NULL DEFAULT 0)",
    // Accepted events whose operations are not all decided.
    "inbox (epoch INTEGER, number INTEGER, checksum INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (epoch, number)) WITHOUT ROWID",
    // Every start of a host.
    "epochs (epoch INTEGER PRIMARY KEY, started INTEGER NOT NULL, seed INTEGER NOT NULL, versions TEXT NOT NULL)",
    // Script trees, in the order they were in force; `seq` is the first that may use it, 0 while it is not known.
    "script_trees (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, seed INTEGER NOT NULL, seq INTEGER NOT NULL)",
    // What a tree changed against the one before; a file that went away has no content.
    "script_files (path TEXT, tree INTEGER, content INTEGER, PRIMARY KEY (path, tree)) WITHOUT ROWID",
    // Every distinct content once.
    "contents (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, bytes BLOB NOT NULL)",
    // Every commit up to `since` is in the chunks; `fold` is what else is to know as of `last`.
    "checkpoints (id INTEGER PRIMARY KEY, since INTEGER NOT NULL, last INTEGER NOT NULL, time INTEGER NOT NULL, checksum INTEGER NOT NULL, fold BLOB NOT NULL)",
    "chunks (checkpoint INTEGER, number INTEGER, checksum INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (checkpoint, number))",
    // Since when a schedule is known, so that a restart does not begin its span anew.
    "schedules (name TEXT PRIMARY KEY, rule TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID",
    // What became of operations that failed for good: 'requeued' or 'dropped'.
    "dead_marks (seq INTEGER PRIMARY KEY, action TEXT NOT NULL, time INTEGER NOT NULL)",
  ]

  /// Format 1 had neither times of blocks nor wrapped fields. All or nothing.
  private static func migrateFromFormat1(_ database: Database, path: String) throws {
    try database.run("BEGIN IMMEDIATE")
    do {
      try database.run("ALTER TABLE blocks ADD COLUMN time INTEGER NOT NULL DEFAULT 0")
      var firsts: [Int64] = []
      try database.run("SELECT first FROM blocks ORDER BY first") { firsts.append($0.int(0)) }
      for first in firsts {
        var converted: [UInt8] = []
        try database.run("SELECT records, checksum FROM blocks WHERE first = ?", [.int(first)]) { row in
          guard LogBlock.checksum(row.blob(0)) == row.int(1) else {
            throw StorageError(
              "\(path) has format 1 and cannot be brought to format \(Self.format): the block from seq \(first) is damaged"
            )
          }
          converted = try LogRecord.convertFormat1(row.blob(0))
        }
        try converted.withUnsafeBytes { bytes in
          try database.run(
            "UPDATE blocks SET records = ?, checksum = ? WHERE first = ?",
            [.blob(bytes), .int(LogBlock.checksum(bytes)), .int(first)])
        }
      }
      try database.run("UPDATE meta SET value = ? WHERE name = 'format'", [.int(Self.format)])
      try database.run("COMMIT")
    } catch {
      try? database.run("ROLLBACK")
      throw error
    }
  }

  /// Moves what is in the write-ahead log into the database, and empties it, so that sizes can be compared. Fails
  /// while somebody writes. Any thread.
  package func settle() throws {
    try Database(path: path + "/log.sqlite").run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  /// What the log takes on disk, in bytes. Any thread.
  public var bytes: Int {
    ["log.sqlite", "log.sqlite-wal"].reduce(0) { sum, name in
      var status = stat()
      return stat(path + "/" + name, &status) == 0 ? sum + Int(status.st_size) : sum
    }
  }

  /// Since when a schedule is known: as of now when its rule is new.
  ///
  /// - Parameters:
  ///   - rule: any text that is the same for the same rule.
  /// - Returns: nanoseconds since 1970.
  public func since(ofSchedule name: String, rule: String) throws -> Int64 {
    var known: (rule: String, since: Int64)?
    try database.run("SELECT rule, since FROM schedules WHERE name = ?", [.text(name)]) {
      known = ($0.text(0), $0.int(1))
    }
    if let known, known.rule == rule { return known.since }
    let now = clock.now()
    try database.run(
      "INSERT OR REPLACE INTO schedules VALUES (?, ?, ?)", [.text(name), .text(rule), .int(now)])
    return now
  }

  /// Opens a new epoch, durable when this returns: ids that leave the host begin with it. Before there is a
  /// log.
  ///
  /// - Returns: its number, from 1.
  public func beginEpoch(now: Int64, seed: UInt64, versions: String) throws -> Int64 {
    var epoch: Int64 = 1
    try database.run("SELECT coalesce(max(epoch), 0) + 1 FROM epochs") { epoch = $0.int(0) }
    try database.run(
      "INSERT INTO epochs VALUES (?, ?, ?, ?)",
      [.int(epoch), .int(now), .int(Int64(bitPattern: seed)), .text(versions)])
    return epoch
  }
}
