import TriggerCore
import TriggerHost

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reads the log of a data directory, also while a host writes it. One thread at a time.
public final class LogReader {
  let database: Database
  /// The data directory.
  package let path: String
  /// Checkpoints that were passed over: what they give is not the state they were taken of.
  public internal(set) var damaged: [CheckpointDamage] = []
  /// Of the database when that is not in the system's files.
  private let fileSystem: String?

  /// - Throws: `StorageError` when there is no log, or its format is another.
  public init(path: String) throws {
    self.path = path
    fileSystem = nil
    let file = path + "/log.sqlite"
    guard access(file, F_OK) == 0 else {
      throw StorageError("\(path): no log is there (\(file)); trigger-host run --data makes one")
    }
    database = try Database(path: file, creates: false, isReadOnly: true)
    try DataFormat.check(database, path: path)
  }

  /// Of a directory that is open.
  package convenience init(of directory: DataDirectory) throws {
    let reader = try directory.openReader()
    self.init(reader.database, path: reader.path, fileSystem: reader.fileSystem)
  }

  init(_ database: Database, path: String, fileSystem: String? = nil) {
    self.database = database
    self.path = path
    self.fileSystem = fileSystem
  }

  /// Where a log is, for who opens it again.
  struct Place: Sendable {
    var path: String
    var fileSystem: String?
  }

  var place: Place { Place(path: path, fileSystem: fileSystem) }

  convenience init(at place: Place) throws {
    if let fileSystem = place.fileSystem {
      try self.init(path: place.path, fileSystem: fileSystem)
    } else {
      try self.init(path: place.path)
    }
  }

  /// Of a database that is not in the file system.
  convenience init(path: String, fileSystem: String) throws {
    self.init(
      try Database(path: path, creates: false, isReadOnly: true, fileSystem: fileSystem), path: path,
      fileSystem: fileSystem)
  }

  /// The newest seq; 0 when there is none.
  public func lastSeq() throws -> Int64 {
    var last: Int64 = 0
    try database.run("SELECT coalesce(max(last), 0) FROM blocks") { last = $0.int(0) }
    return last
  }

  /// The oldest seq that the log still has; 0 when it has none.
  public func firstSeq() throws -> Int64 {
    var first: Int64 = 0
    try database.run("SELECT coalesce(min(first), 0) FROM blocks") { first = $0.int(0) }
    return first
  }

  /// The records of seqs `from` to `to`, in order. O(bytes of their blocks), one block in memory at a time.
  ///
  /// - Throws: `LogError` naming the place of damage; what `body` throws.
  public func visit(from: Int64 = 1, to: Int64 = .max, _ body: (LogRecord) throws -> Void) throws {
    try visitViews(from: from, to: to) { try body(try LogRecord($0)) }
  }

  /// As above, without copying; a view is valid during its call.
  package func visitViews(from: Int64 = 1, to: Int64 = .max, _ body: (RecordView) throws -> Void) throws {
    var expected: Int64?
    try database.run(
      "SELECT first, last, checksum, records, cuts FROM blocks WHERE last >= ? AND first <= ? ORDER BY first",
      [.int(from), .int(to)]
    ) { row in
      let (first, last) = (row.int(0), row.int(1))
      if let expected, first != expected {
        throw LogError("\(path): seqs \(expected) to \(first - 1) are missing from the log")
      }
      expected = last + 1
      func damage(_ what: String) -> LogError {
        LogError(
          "\(path): the block of seqs \(first) to \(last) is damaged: \(what); everything before seq \(first) is intact"
        )
      }
      try whole(row.blob(3), cuts: row.int(4), damage("a content of it is not there")) {
        try contents.block(first, rest: row.blob(3), cuts: Int(row.int(4)))
      } _: { bytes in
        guard LogBlock.checksum(bytes) == row.int(2) else { throw damage("its checksum does not fit") }
        do {
          try RecordView.visit(in: bytes) { record in
            if record.seq >= from, record.seq <= to { try body(record) }
          }
        } catch let damage as LogDamage {
          throw LogError("\(path): the block of seqs \(first) to \(last) is \(damage)")
        }
      }
    }
  }

  var contents: Contents { Contents(database: database) }

  /// Bytes as they are, or put together with the contents that were taken out of them.
  func whole(
    _ bytes: UnsafeRawBufferPointer, cuts: Int64, _ damage: LogError, _ joined: () throws -> [UInt8],
    _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if cuts == 0 { return try body(bytes) }
    let whole: [UInt8]
    do { whole = try joined() } catch is Contents.Damage { throw damage }
    try whole.withUnsafeBytes(body)
  }
}

/// A log that is not what was written.
public struct LogError: Error, Sendable, CustomStringConvertible {
  /// Which file, which seqs, and what is wrong.
  public let description: String
  init(_ description: String) { self.description = description }
}

enum LogBlock {
  /// Over all records of a block. The function is part of the format: never change it.
  static func checksum(_ bytes: UnsafeRawBufferPointer) -> Int64 { Int64(bitPattern: XXH64.of(bytes)) }

  /// Over a checkpoint's fold and its digests of stores, where it has any.
  static func checksum(fold: UnsafeRawBufferPointer, digests: UnsafeRawBufferPointer) -> Int64 {
    let fold = XXH64.of(fold)
    return Int64(bitPattern: digests.isEmpty ? fold : XXH64.of(digests, seed: fold))
  }
}
