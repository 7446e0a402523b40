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
  package let path: String
  /// Checkpoints that were found damaged and passed over, newest first.
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
    database = try Self.open(file, in: path)
  }

  /// Where nothing can be written SQLite cannot share a file with a writer; there is none then.
  private static func open(_ file: String, in path: String) throws -> Database {
    do {
      let database = try Database(path: file, creates: false, isReadOnly: true)
      try DataFormat.check(database, path: path)
      return database
    } catch let error as StorageError where error.isForbidden {
      var status = stat()
      guard stat(file + "-wal", &status) != 0 || status.st_size == 0 else {
        throw StorageError(
          "\(path) cannot be written, and log.sqlite-wal holds commits that SQLite can read only where it can: read a copy of the directory (cp -r \(path) COPY)"
        )
      }
      let database = try Database(path: file, isImmutable: true)
      try DataFormat.check(database, path: path)
      return database
    }
  }

  /// Of a directory that is open.
  package convenience init(of directory: DataDirectory) throws {
    let reader = try directory.openReader()
    self.init(reader.database, path: reader.path, fileSystem: reader.fileSystem)
  }

  /// Ends it; nothing can be read afterwards.
  public func close() { database.close() }

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
    try database.run("SELECT last FROM blocks ORDER BY first DESC LIMIT 1") { last = $0.int(0) }
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

  /// As above, without a copy of each; a view is valid during its call.
  ///
  /// Blocks are read a few at a time, so that no old state of the log is held open while `body` takes its time: a host
  /// that writes could not empty its write-ahead log meanwhile.
  package func visitViews(from: Int64 = 1, to: Int64 = .max, _ body: (RecordView) throws -> Void) throws {
    var (next, isFirst) = (from, true)
    while next <= to {
      let (blocks, isOver) = try readBlocks(from: next, to: to)
      for block in blocks {
        if !isFirst, block.first != next { throw try missing(next, block.first - 1) }
        try visit(block) { record in if record.seq >= from, record.seq <= to { try body(record) } }
        (next, isFirst) = (block.last + 1, false)
      }
      if !isOver { continue }
      // A damaged page may end the rows before the last, without a word of SQLite's.
      let last = try lastSeq()
      if last < next { return }
      if blocks.isEmpty { throw try missing(next, min(last, to)) }
    }
  }

  /// A block of records, put together with its contents; nil when one of them is not there.
  private struct Block {
    var first: Int64
    var last: Int64
    var checksum: Int64
    var bytes: [UInt8]?
  }

  /// Blocks and bytes that are read at a time.
  private static let blocksAtOnce = 1000
  private static let bytesAtOnce = 4 << 20

  private func readBlocks(from: Int64, to: Int64) throws -> (blocks: [Block], isOver: Bool) {
    struct Enough: Error {}
    var (found, bytes): ([Block], Int) = ([], 0)
    do {
      try database.run(Self.blocks, [.int(from), .int(to)]) { row in
        if found.count >= Self.blocksAtOnce || bytes >= Self.bytesAtOnce { throw Enough() }
        var block = Block(first: row.int(0), last: row.int(1), checksum: row.int(2))
        guard block.first > 0, block.last >= block.first, block.last < .max else {
          throw LogError(
            "\(path): the block of seqs \(block.first) to \(block.last) is damaged: there are no such seqs")
        }
        if row.int(4) == 0 {
          block.bytes = Array(row.blob(3))
        } else {
          block.bytes = try? contents.block(block.first, rest: row.blob(3), cuts: row.int(4))
        }
        bytes += block.bytes?.count ?? 0
        found.append(block)
      }
    } catch is Enough { return (found, false) }
    return (found, true)
  }

  private func missing(_ first: Int64, _ last: Int64) throws -> LogError {
    let reason =
      try firstSeq() > first ? "were let go while they were read (log.retain)" : "are missing from the log"
    return LogError("\(path): seqs \(first) to \(last) \(reason)")
  }

  private func visit(_ block: Block, _ body: (RecordView) throws -> Void) throws {
    func damage(_ what: String) -> LogError {
      LogError(
        "\(path): the block of seqs \(block.first) to \(block.last) is damaged: \(what); everything before seq \(block.first) is intact"
      )
    }
    guard let bytes = block.bytes else { throw damage("a content of it is not there") }
    try bytes.withUnsafeBytes { bytes in
      guard LogBlock.checksum(bytes) == block.checksum else { throw damage("its checksum does not fit") }
      var next = block.first
      do {
        try RecordView.visit(in: bytes) { record in
          guard record.seq == next, next <= block.last else {
            throw damage("seq \(record.seq) is where \(next) should be")
          }
          next += 1
          try body(record)
        }
      } catch let damage as LogDamage {
        throw LogError("\(path): the block of seqs \(block.first) to \(block.last) is \(damage)")
      }
      if next != block.last + 1 { throw damage("it ends with seq \(next - 1)") }
    }
  }

  /// Blocks with seqs of a stretch. Blocks do not overlap, so the search begins at the one that the first seq is in:
  /// without that every look at one seq would go through all blocks before it.
  static let blocks = """
    SELECT first, last, checksum, records, cuts FROM blocks
    WHERE first >= coalesce((SELECT first FROM blocks WHERE first <= ?1 ORDER BY first DESC LIMIT 1), 0)
    AND last >= ?1 AND first <= ?2 ORDER BY first
    """

  var contents: Contents { Contents(database: database) }

  /// Bytes as they are, or put together with the contents that were taken out of them.
  func whole(
    _ bytes: UnsafeRawBufferPointer, cuts: Int64, _ damage: any Error, _ joined: () throws -> [UInt8],
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
