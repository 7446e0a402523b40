import Foundation
import Glibc
import TriggerCore
import TriggerHost

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
  let clock: any EngineClock
  /// What a host notes beside its records; guarded by the lock, made when it is needed.
  private var notes: LogNotes?
  private let notesLock = NSLock()
  /// Which log this is: random, made with it. What keeps a copy of its stores knows it by this.
  public private(set) var logID: Int64 = 0
  /// What the directory had and has no more, and may begin without (`acceptsLoss`).
  public private(set) var loss: LogLoss?
  /// The older format that the directory had until it was opened; nil when it was as this version writes it.
  package private(set) var convertedFormat: Int64?
  private var newestFile: NewestFile?
  /// Which file the log is: what a path leads to may change.
  private var logFile: FileIdentity?
  /// No epoch up to it is given out again: the newest that has begun, or one that is lost.
  private var lastEpoch: Int64 = 0
  /// The newest epoch that has begun; 0 before the first.
  private(set) var epoch: Int64 = 0

  /// Opens a directory to write in, made when it is not there.
  ///
  /// - Parameter acceptsLoss: go on with what is there, when commits that were there are missing.
  /// - Throws: `StorageError` when another process has it, its format is newer, commits are missing, or nothing can be
  ///   written there.
  public init(path: String, clock: any EngineClock = SystemClock(), acceptsLoss: Bool = false) throws {
    self.path = path
    self.clock = clock
    let code = mkdir(path, 0o700) == 0 ? 0 : errno
    guard code == 0 || access(path, F_OK) == 0 else {
      throw StorageError("\(path): cannot be made: \(String(cString: strerror(code)))")
    }
    lock = try Self.acquireLock(path)
    do {
      if !acceptsLoss { try Self.refuseLoneWriteAheadLog(path) }
      let newest = try Self.newest(in: path)
      let loss = LogLoss.find(in: path) { newest }
      if let loss, !acceptsLoss {
        throw StorageError(
          """
          \(path): \(loss). Was log.sqlite or log.sqlite-wal removed, cut or replaced, or the directory copied while a \
          host ran? Put the files back, or go on with what is there: trigger-host run --accept-loss
          """)
      }
      self.loss = loss
      epoch = newest?.epoch ?? 0
      lastEpoch = max(epoch, loss?.lostEpoch ?? 0)
      database = try Database(path: path + "/log.sqlite", isPrivate: true)
      if database.isReadOnly { throw Self.cannotWrite(path + "/log.sqlite", EACCES) }
      convertedFormat = try DataFormat.prepare(database, path: path)
      logID = try Self.logID(of: database)
      newestFile = try NewestFile(directory: path)
      logFile = FileIdentity(path + "/log.sqlite")
    } catch {
      Glibc.close(lock)
      lock = -1
      throw error
    }
  }

  /// What the log says of its end; nil without one. Reads only: the last connection that may write moves what is left of
  /// a write-ahead log into the file when it goes, and a refusal must change nothing.
  private static func newest(in path: String) throws -> NewestMark? {
    guard size(path + "/log.sqlite") > 0 else { return nil }
    func look(isReadOnly: Bool) throws -> NewestMark? {
      let database = try Database(path: path + "/log.sqlite", creates: false, isReadOnly: isReadOnly)
      defer { database.close() }
      return try DataFormat.newest(database, path: path)
    }
    do { return try look(isReadOnly: true) } catch let error as StorageError where error.needsRollback {
      // A start was killed while it made the file, or wrote it anew: SQLite undoes that.
      return try look(isReadOnly: false)
    }
  }

  deinit { close() }

  /// What to tell people of `convertedFormat`: older versions refuse the directory from then on.
  package var conversion: String? {
    convertedFormat.map {
      "\(path) was of format \($0) and is of format \(Self.format) now: older versions of trigger-host refuse it"
    }
  }

  /// Lets another process have the directory. Nothing may be written afterwards.
  public func close() {
    notesLock.withLock {
      notes?.close()
      notes = nil
    }
    guard lock >= 0 else { return }
    database.close()
    Glibc.close(lock)
    lock = -1
  }

  /// The file lock goes with the process, however it ends.
  private static func acquireLock(_ path: String) throws(StorageError) -> Int32 {
    let file = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      if errno == ENOTDIR { throw StorageError("\(path) is a file; name a directory to keep everything in") }
      throw cannotWrite(path, errno)
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

  private static func cannotWrite(_ path: String, _ code: Int32) -> StorageError {
    StorageError(
      "\(path) cannot be written (\(String(cString: strerror(code)))), and a host keeps everything there: give it the right to, or run it on a copy"
    )
  }

  /// SQLite removes a write-ahead log whose database is not there.
  private static func refuseLoneWriteAheadLog(_ path: String) throws(StorageError) {
    guard size(path + "/log.sqlite") == 0, size(path + "/log.sqlite-wal") > 0 else { return }
    throw StorageError(
      """
      \(path): log.sqlite is \(access(path + "/log.sqlite", F_OK) == 0 ? "empty" : "missing") beside log.sqlite-wal, which \
      is nothing without it. Put it back, or begin anew without what was committed: trigger-host run --accept-loss
      """)
  }

  /// Somebody has removed, moved or replaced the directory or its log. What is written then is written all the same, into a
  /// file that nobody will find. Two calls of the system; any thread.
  public var isGone: Bool {
    guard let logFile else { return false }
    guard FileIdentity(path + "/log.sqlite") == logFile else { return true }
    return access(path + "/log.sqlite-wal", F_OK) != 0 && errno == ENOENT
  }

  private static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// A directory without a file of its own to lock: for a database that is not in the file system.
  package init(database name: String, fileSystem: String, clock: any EngineClock) throws {
    path = name
    lock = -1
    self.clock = clock
    self.fileSystem = fileSystem
    database = try Database(path: name, fileSystem: fileSystem)
    try DataFormat.prepare(database, path: name)
    logID = try Self.logID(of: database)
    epoch = try database.integer("SELECT max(epoch) FROM epochs") ?? 0
  }

  /// What tells logs apart; keys of senders are hashed with it, by who writes their parts and by who reads them.
  private static func logID(of database: Database) throws -> Int64 {
    try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0
  }

  /// Another connection to read with.
  func openSource() throws -> SQLiteLogSource {
    guard let fileSystem else { return try SQLiteLogSource(path: path) }
    return try SQLiteLogSource(path: path, fileSystem: fileSystem)
  }

  /// Reads and changes what a host notes beside its records. Any thread.
  ///
  /// - Parameter write: writes what `body` has changed.
  func withNotes<Result>(
    _ body: (LogNotes) throws -> Result, write: ([LogJob]) throws -> Void
  ) throws -> Result {
    try notesLock.withLock {
      let notes = try notes ?? LogNotes(openSource(), clock: clock)
      self.notes = notes
      let result: Result
      do { result = try body(notes) } catch {
        _ = notes.takeJobs()
        throw error
      }
      let jobs = notes.takeJobs()
      if !jobs.isEmpty { try write(jobs) }
      return result
    }
  }

  /// Moves what is in the write-ahead log into the database, and empties it, so that sizes can be compared. Fails
  /// while somebody writes. Any thread.
  package func emptyWriteAheadLog() throws {
    try Database(path: path + "/log.sqlite").run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  /// As above, on the connection that writes.
  ///
  /// - Parameter wait: milliseconds that somebody else's reading may last.
  /// - Returns: false when it lasts longer: nothing is done then.
  func emptyWriteAheadLog(wait: Int32) throws -> Bool {
    try database.wait(milliseconds: wait)
    let isEmptied = Result { try database.integer("PRAGMA wal_checkpoint(TRUNCATE)") == 0 }
    try database.wait(milliseconds: 5000)
    return try isEmptied.get()
  }

  /// Leaves one file without free pages. Nobody else may write.
  ///
  /// - Returns: false when a reader was in the way.
  func compact() throws -> Bool {
    let end = ContinuousClock.now + .seconds(2)
    var free = try freePages()
    // What takes longer is left to the next host.
    while free > 0, ContinuousClock.now < end {
      try database.run("PRAGMA incremental_vacuum(2000)")
      let left = try freePages()
      if left >= free { break }
      free = left
    }
    return try emptyWriteAheadLog(wait: 1000)
  }

  private func freePages() throws -> Int64 { try database.integer("PRAGMA freelist_count") ?? 0 }

  /// What the log takes on disk, in bytes. Any thread.
  public var bytes: Int {
    ["log.sqlite", "log.sqlite-wal"].reduce(0) { $0 + Self.size(path + "/" + $1) }
  }

  /// Opens a new epoch, durable when this returns: ids that leave the host begin with it. Before there is a
  /// log.
  ///
  /// - Returns: its number, from 1.
  public func beginEpoch(now: Int64, seed: UInt64, versions: String) throws -> Int64 {
    // What was given out in epochs that are lost is not given out again.
    let number = max(lastEpoch, try database.integer("SELECT max(epoch) FROM epochs") ?? 0)
    guard number >= 0, number < .max else {
      throw StorageError("\(path): epoch \(number) in log.sqlite is damaged")
    }
    lastEpoch = number + 1
    try database.run(
      "INSERT INTO epochs VALUES (?, ?, ?, ?)",
      [.int(lastEpoch), .int(now), .int(Int64(bitPattern: seed)), .text(versions)])
    epoch = lastEpoch
    let seq = try DataFormat.newest(database, path: path)?.seq ?? 0
    newestFile?.replace(NewestMark(log: logID, epoch: epoch, seq: seq))
    return epoch
  }

  /// Every seq up to this one is on disk. On the thread that the connection belongs to.
  func note(newest seq: Int64) { newestFile?.write(NewestMark(log: logID, epoch: epoch, seq: seq)) }
}

extension DataDirectory {
  /// Puts operations that failed for good back, for the next start of the host, or lets them go. All or none; durable
  /// when this returns. Without a log that writes.
  ///
  /// - Returns: their records.
  /// - Throws: `NotDead`; `LogError`; `StorageError`.
  package func settle(_ selection: DeadSelection, as action: DeadMark) throws -> [LogRecord] {
    let reader = LogReader(try openSource())
    defer { reader.close() }
    return try DeadLetters(reader).settle(selection, as: action, time: clock.now()) { group in
      try database.run("PRAGMA synchronous = FULL")
      try SQLiteLogStore.write(group, after: LogPosition(), to: database, epoch: epoch)
    }
  }
}
