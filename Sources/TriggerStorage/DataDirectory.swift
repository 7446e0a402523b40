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
  public static let format: Int64 = 1

  /// As it was given.
  public let path: String
  private var lock: Int32
  let database: Database

  /// Opens a directory to write in, made when it is not there.
  ///
  /// - Throws: `StorageError` when another process has it, or its format is newer.
  public init(path: String) throws {
    self.path = path
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
      throw StorageError("\(path): cannot be made: \(String(cString: strerror(errno)))")
    }
    lock = try Self.takeLock(path)
    do {
      database = try Database(path: path + "/log.sqlite")
      try Self.prepare(database, path: path)
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

  private static func prepare(_ database: Database, path: String) throws {
    try database.run("PRAGMA journal_mode = WAL")
    try database.run("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")
    var format: Int64?
    try database.run("SELECT value FROM meta WHERE name = 'format'") { format = $0.int(0) }
    if let format, format > Self.format {
      throw StorageError(
        "\(path) has format \(format), this version reads up to \(Self.format): use a newer trigger-host")
    }
    // Records of consecutive seqs, written together: a CBOR sequence and its checksum.
    try database.run(
      "CREATE TABLE IF NOT EXISTS blocks (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, checksum INTEGER NOT NULL, records BLOB NOT NULL)"
    )
    try database.run(
      "CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, started INTEGER NOT NULL, seed INTEGER NOT NULL, versions TEXT NOT NULL)"
    )
    // Script trees, each kept once: files as a CBOR map of path to bytes.
    try database.run(
      "CREATE TABLE IF NOT EXISTS trees (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, seed INTEGER NOT NULL, checksum INTEGER NOT NULL, files BLOB NOT NULL)"
    )
    if format == nil {
      try database.run("INSERT INTO meta VALUES ('format', ?)", [.int(Self.format)])
    }
  }

  /// Keeps a script tree, durable when this returns, and gives it its identity; the newest tree keeps its
  /// own when the files are the same.
  public func keep(_ files: [String: [UInt8]], now: Int64, seed: UInt64) throws -> ScriptTree.Identity {
    let encoded = CanonicalEncoding.encode(.map(files.mapValues { .bytes($0) }))
    let checksum = encoded.withUnsafeBytes { Int64(bitPattern: XXH64.of($0)) }
    var newest: ScriptTree.Identity?
    var isSame = false
    try database.run("SELECT number, time, seed, checksum, files FROM trees ORDER BY number DESC LIMIT 1") {
      row in
      newest = Self.identity(row)
      isSame = row.int(3) == checksum && row.blob(4).elementsEqual(encoded)
    }
    if let newest, isSame { return newest }
    let identity = ScriptTree.Identity(number: (newest?.number ?? 0) + 1, time: now, seed: seed)
    try encoded.withUnsafeBytes { bytes in
      try database.run(
        "INSERT INTO trees VALUES (?, ?, ?, ?, ?)",
        [
          .int(Int64(identity.number)), .int(now), .int(Int64(bitPattern: seed)), .int(checksum),
          .blob(bytes),
        ])
    }
    return identity
  }

  static func identity(_ row: Database.Row) -> ScriptTree.Identity {
    ScriptTree.Identity(number: Int(row.int(0)), time: row.int(1), seed: UInt64(bitPattern: row.int(2)))
  }

  /// Opens a new epoch, durable when this returns: ids that leave the host begin with it.
  ///
  /// - Returns: its number, from 1.
  public func beginEpoch(now: Int64, seed: UInt64, versions: String) throws -> Int64 {
    try database.run("PRAGMA synchronous = FULL")
    var epoch: Int64 = 1
    try database.run("SELECT coalesce(max(epoch), 0) + 1 FROM epochs") { epoch = $0.int(0) }
    try database.run(
      "INSERT INTO epochs VALUES (?, ?, ?, ?)",
      [.int(epoch), .int(now), .int(Int64(bitPattern: seed)), .text(versions)])
    return epoch
  }
}
