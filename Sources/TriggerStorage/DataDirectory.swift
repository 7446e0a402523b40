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
  private let lock: Int32
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
      close(lock)
      throw error
    }
  }

  deinit { close(lock) }

  /// The file lock goes with the process, however it ends.
  private static func takeLock(_ path: String) throws(StorageError) -> Int32 {
    let file = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw StorageError("\(path)/lock: \(String(cString: strerror(errno)))") }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      var bytes = [UInt8](repeating: 0, count: 32)
      let count = read(file, &bytes, bytes.count)
      close(file)
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
    if format == nil {
      try database.run("INSERT INTO meta VALUES ('format', ?)", [.int(Self.format)])
    }
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
