import CSQLite
import Glibc
import TriggerCore
import TriggerHost

/// The log of a data directory, on a connection of its own.
package final class SQLiteLogSource: LogSource {
  let database: Database
  package let path: String
  /// Of the database when that is not in the system's files.
  private let fileSystem: String?
  /// Which file it reads; nil when that is not in the system's files.
  private let file: FileIdentity?

  /// - Throws: `StorageError` when there is no log, or its format is another.
  package init(path: String) throws {
    self.path = path
    fileSystem = nil
    let file = path + "/log.sqlite"
    self.file = FileIdentity(file)
    guard access(file, F_OK) == 0 else {
      throw StorageError("\(path): no log is there (\(file)); trigger-host run --data makes one")
    }
    database = try Self.open(file, in: path)
  }

  /// Of a database that is not in the file system.
  init(path: String, fileSystem: String) throws {
    self.path = path
    self.fileSystem = fileSystem
    file = nil
    database = try Database(path: path, creates: false, isReadOnly: true, fileSystem: fileSystem)
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

  package var another: @Sendable () throws -> any LogSource {
    { [path, fileSystem] in
      guard let fileSystem else { return try SQLiteLogSource(path: path) }
      return try SQLiteLogSource(path: path, fileSystem: fileSystem)
    }
  }

  package var isReplaced: Bool { file.map { FileIdentity(path + "/log.sqlite") != $0 } ?? false }

  package func close() { database.close() }

  package func isDamage(_ error: any Error) -> Bool { (error as? StorageError)?.isDamage ?? false }

  package func logID() throws -> Int64 {
    try database.integer("SELECT value FROM meta WHERE name = 'log'") ?? 0
  }

  // MARK: Records

  package func end() throws -> LogPosition { try database.end() }

  package func firstSeq() throws -> Int64 {
    var first: Int64 = 0
    try database.run("SELECT coalesce(min(first), 0) FROM blocks") { first = $0.int(0) }
    return first
  }

  package func cut() throws -> LogPosition? {
    var found: [String: Int64] = [:]
    try database.run("SELECT name, value FROM meta WHERE name IN ('cut', 'cut_chain', 'cut_epoch')") {
      found[$0.text(0)] = $0.int(1)
    }
    guard let seq = found["cut"], let chain = found["cut_chain"], let epoch = found["cut_epoch"] else {
      return nil
    }
    return LogPosition(seq: seq, chain: chain, epoch: epoch)
  }

  /// Blocks that are read at a time.
  private static let blocksAtOnce = 1000

  package func blocks(after seq: Int64, through last: Int64, bytes limit: Int) throws -> [LogBlock] {
    struct Enough: Error {}
    var (found, bytes): ([LogBlock], Int) = ([], 0)
    do {
      try database.run(Self.blocks, [.int(seq + 1), .int(last)]) { row in
        if found.count >= Self.blocksAtOnce || bytes >= limit { throw Enough() }
        let block = try block(row)
        bytes += block.bytes?.count ?? 0
        found.append(block)
      }
    } catch is Enough {}
    return found
  }

  private func block(_ row: Database.Row) throws -> LogBlock {
    var block = LogBlock(
      first: row.int(0), last: row.int(1), time: row.int(2), epoch: row.int(3), checksum: row.int(4),
      chain: row.int(5), bytes: nil)
    guard block.first > 0, block.last >= block.first, block.last < .max else {
      throw LogError(
        "\(path): the block of seqs \(block.first) to \(block.last) is damaged: there are no such seqs")
    }
    if row.int(7) == 0 {
      block.bytes = Array(row.blob(6))
    } else {
      block.bytes = try? contents.block(block.first, rest: row.blob(6), cuts: row.int(7))
    }
    return block
  }

  /// Blocks with seqs of a stretch. Blocks do not overlap, so the search begins at the one that the first seq is in:
  /// without that every look at one seq would go through all blocks before it.
  static let blocks = """
    SELECT first, last, time, epoch, checksum, chain, records, cuts FROM blocks
    WHERE first >= coalesce((SELECT first FROM blocks WHERE first <= ?1 ORDER BY first DESC LIMIT 1), 0)
    AND last >= ?1 AND first <= ?2 ORDER BY first
    """

  package func visitHeads(after seq: Int64, _ body: (_ head: LogBlock, _ size: Int) throws -> Bool) throws {
    struct Enough: Error {}
    let page = try pageSize()
    do {
      try database.run(Self.heads, [.int(seq &+ 1)]) { row in
        let head = LogBlock(
          first: row.int(0), last: row.int(1), time: row.int(2), epoch: row.int(3), checksum: row.int(4),
          chain: row.int(5), bytes: nil)
        if try !body(head, Self.bytes(ofRow: Int(row.int(6)), page: page)) { throw Enough() }
      }
    } catch is Enough {}
  }

  private static let heads = """
    SELECT first, last, time, epoch, checksum, chain, length(records) FROM blocks
    WHERE first >= coalesce((SELECT first FROM blocks WHERE first <= ?1 ORDER BY first DESC LIMIT 1), ?1)
    AND last >= ?1 ORDER BY first
    """

  /// What a row takes of a file, by SQLite's rules for pages (https://www.sqlite.org/fileformat2.html, 1.6): what is long
  /// continues on pages of its own.
  private static func bytes(ofRow content: Int, page: Int) -> Int {
    // The other columns, and what the page says of the cell.
    let payload = content + 40
    if payload <= page - 35 { return payload }
    let least = (page - 12) * 32 / 255 - 23
    let rest = least + (payload - least) % (page - 4)
    let local = rest <= page - 35 ? rest : least
    return local + (payload - local + page - 5) / (page - 4) * page
  }

  private func pageSize() throws -> Int { Int(try database.integer("PRAGMA page_size") ?? 4096) }

  package func room() throws -> LogRoom {
    let (count, free) = (
      Int(try database.integer("PRAGMA page_count") ?? 0),
      Int(try database.integer("PRAGMA freelist_count") ?? 0)
    )
    let page = try pageSize()
    return LogRoom(used: (count - free) * page, free: free * page)
  }

  var contents: Contents { Contents(database: database) }

  package func changeCount() throws -> Int64 { try database.integer("PRAGMA data_version") ?? 0 }

  package func epochs() throws -> [LogEpoch] {
    var epochs: [LogEpoch] = []
    try database.run("SELECT epoch, started, versions FROM epochs ORDER BY epoch") {
      epochs.append(LogEpoch(number: $0.int(0), started: $0.int(1), versions: $0.text(2)))
    }
    return epochs
  }

  // MARK: What else is kept

  package func visitAccepted(_ body: (EventID, Int64, UnsafeRawBufferPointer) throws -> Void) throws {
    try database.run("SELECT epoch, number, checksum, event FROM inbox ORDER BY epoch, number") { row in
      try body(EventID(epoch: row.int(0), number: row.int(1)), row.int(2), row.blob(3))
    }
  }

  package func deadMarks() throws -> [Int64: DeadMark] {
    var marks: [Int64: DeadMark] = [:]
    try database.run("SELECT seq, action FROM dead_marks") { row in
      marks[row.int(0)] = DeadMark(rawValue: row.text(1)) ?? .dropped
    }
    return marks
  }

  package func schedule(_ name: String) throws -> (rule: String, since: Int64)? {
    var known: (String, Int64)?
    try database.run("SELECT rule, since FROM schedules WHERE name = ?", [.text(name)]) {
      known = ($0.text(0), $0.int(1))
    }
    return known
  }

  package func confirmed(receiver: String) throws -> Int64? {
    var seq: Int64?
    try database.run("SELECT seq FROM receivers WHERE name = ?", [.text(receiver)]) { seq = $0.int(0) }
    return seq
  }

  package func visitSessions(
    _ body: (_ id: String, _ checksum: Int64, _ state: UnsafeRawBufferPointer) throws -> Void
  ) throws {
    try database.run("SELECT id, checksum, state FROM sessions ORDER BY id") { row in
      try body(row.text(0), row.int(1), row.blob(2))
    }
  }

  // MARK: Keys of senders

  package func visitKeyParts(
    _ body: (_ number: Int64, _ through: Int64, _ checksum: Int64, _ entries: UnsafeRawBufferPointer) throws
      ->
      Void
  ) throws {
    try database.run("SELECT number, through, checksum, entries FROM key_parts ORDER BY number") { row in
      try body(row.int(0), row.int(1), row.int(2), row.blob(3))
    }
  }

  package func keyRows(ofPart number: Int64) throws -> (checksum: Int64, rows: [UInt8])? {
    var found: (Int64, [UInt8])?
    try database.run("SELECT rows_checksum, rows FROM key_parts WHERE number = ?", [.int(number)]) { row in
      found = (row.int(0), Array(row.blob(1)))
    }
    return found
  }

  package func newestKeyPart() throws -> (next: Int64, through: Int64) {
    var found: (Int64, Int64) = (1, 0)
    try database.run("SELECT number, through FROM key_parts ORDER BY number DESC LIMIT 1") {
      found = ($0.int(0) + 1, $0.int(1))
    }
    return found
  }
}

extension LogReader {
  /// - Throws: `StorageError` when there is no log, or its format is another.
  package convenience init(path: String) throws { self.init(try SQLiteLogSource(path: path)) }

  /// Of a directory that is open.
  package convenience init(of directory: DataDirectory) throws { self.init(try directory.openSource()) }
}
