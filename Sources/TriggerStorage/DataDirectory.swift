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
  public static let format = DataFormat.current

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
      try DataFormat.prepare(database, path: path)
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
    guard file >= 0 else {
      if errno == ENOTDIR { throw StorageError("\(path) is a file; name a directory to keep everything in") }
      throw StorageError("\(path)/lock: \(String(cString: strerror(errno)))")
    }
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
    try DataFormat.prepare(database, path: name)
  }

  /// Another connection to read with.
  func openReader() throws -> LogReader {
    guard let fileSystem else { return try LogReader(path: path) }
    return try LogReader(path: path, fileSystem: fileSystem)
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
