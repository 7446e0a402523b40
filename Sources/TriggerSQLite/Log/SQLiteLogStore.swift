import TriggerCore
import TriggerHost

/// Writes the log of a data directory. Everything but `openSource` belongs to one thread at a time: that of the log,
/// once there is one.
package final class SQLiteLogStore: LogStore, @unchecked Sendable {
  let directory: DataDirectory
  /// What is written is on disk.
  private let isSynced: Bool
  private var flusher: WALFlusher?
  /// Without a flusher: bytes after which what is in the write-ahead log is moved, and those that have come since.
  private let flushBytes: Int
  private var unflushed = 0
  /// Where the log ends.
  private var tail: LogPosition
  /// Of the last group, about.
  private var groupBytes = 0
  private let noticeListener = Listener<String>()

  /// - Parameters:
  ///   - durability: what `write` promises.
  ///   - flushBytes: after groups of so many bytes what is in SQLite's write-ahead log is moved into the database, after
  ///     that group.
  package init(_ directory: DataDirectory, durability: Durability, flushBytes: Int = .max) throws {
    self.directory = directory
    isSynced = durability == .group
    self.flushBytes = flushBytes
    tail = try directory.database.end()
    try directory.database.run("PRAGMA synchronous = \(durability == .group ? "FULL" : "NORMAL")")
    try directory.database.countWriteAhead()
  }

  /// Moves what is in the write-ahead log into the database on a thread of its own.
  ///
  /// - Parameter limit: bytes that the write-ahead log may take, but for a little while.
  func flushBeside(limit: Int) throws {
    // After a burst it becomes short again.
    try directory.database.run("PRAGMA journal_size_limit = \(limit)")
    flusher = try WALFlusher(path: directory.path + "/log.sqlite", limit: limit)
  }

  /// There is such a thread.
  var isFlushedBeside: Bool { flusher != nil }

  /// Ends it.
  func stopFlushing() {
    flusher?.stop()
    flusher = nil
  }

  /// - Parameter body: told on the writing thread what people should know: somebody keeps the write-ahead log from being
  ///   emptied.
  func whenNoticed(_ body: @escaping @Sendable (String) -> Void) { noticeListener.set(body) }

  package func openSource() throws -> any LogSource { try directory.openSource() }

  package func beginEpoch(time: Int64, seed: UInt64, versions: String) throws(LogFailure) -> Int64 {
    try refusing {
      let epoch = try directory.beginEpoch(now: time, seed: seed, versions: versions)
      // Whoever wrote under an older epoch writes no more.
      tail = try directory.database.end()
      return epoch
    }
  }

  package func write(_ group: LogGroup, epoch: Int64) throws(LogFailure) {
    try refusing {
      try requirePlace(of: group, epoch)
      let end = try Self.write(group, after: tail, to: directory.database, epoch: epoch)
      // What nobody will find is not kept, and must not be acknowledged.
      try requireFiles()
      tail = end
    }
    groupBytes = group.records.count
    // A row of another table fills less than a page.
    groupBytes += (group.accepted.count + group.settled.count + group.jobs.count) << 12
    if isSynced, !group.records.isEmpty { directory.note(newest: group.last) }
  }

  /// Records follow the newest ones; an empty log may begin anywhere.
  private func requirePlace(of group: LogGroup, _ epoch: Int64) throws {
    if group.records.isEmpty || tail.seq == 0 || group.first == tail.seq + 1 { return }
    try Self.requireNewest(epoch, directory.database)
    throw LogFailure.refused(
      "\(directory.path): seqs \(group.first) to \(group.last) do not follow seq \(tail.seq)")
  }

  package func look(epoch: Int64) throws(LogFailure) {
    try requireFiles()
    try refusing { try Self.requireNewest(epoch, directory.database) }
  }

  private func requireFiles() throws(LogFailure) {
    guard directory.isGone else { return }
    throw .refused("\(directory.path): the data directory was removed, moved or replaced while the host ran")
  }

  package func tidy() throws(LogFailure) {
    try refusing {
      if let flusher {
        if let notice = try flusher.afterGroup(directory.database) { noticeListener(notice) }
        return
      }
      unflushed += groupBytes
      guard unflushed >= flushBytes else { return }
      unflushed = 0
      try directory.database.run("PRAGMA wal_checkpoint(PASSIVE)")
    }
  }

  package func compact(newest seq: Int64) throws(LogFailure) {
    try refusing {
      // A reader's old state puts it off.
      if try directory.emptyWriteAheadLog(wait: 0) { directory.note(newest: seq) }
    }
  }

  private func refusing<Result>(_ body: () throws -> Result) throws(LogFailure) -> Result {
    do { return try body() } catch let failure as LogFailure { throw failure } catch {
      throw .refused("\(error)")
    }
  }
}

// MARK: Rows of a group

extension SQLiteLogStore {
  /// Writes everything in one transaction.
  ///
  /// - Parameter tail: where the log ends.
  /// - Returns: where it ends then.
  @discardableResult
  static func write(
    _ group: LogGroup, after tail: LogPosition, to database: Database, epoch: Int64
  ) throws -> LogPosition {
    let isOneRow =
      group.accepted.isEmpty && group.settled.isEmpty && group.jobs.isEmpty && group.contents.isEmpty
    if isOneRow, group.records.isEmpty { return tail }
    let block = group.records.isEmpty ? nil : LogBlock(group, after: tail, epoch: epoch)
    if !isOneRow { try database.run("BEGIN IMMEDIATE") }
    do {
      if let block { try write(block, of: group, to: database) } else { try requireNewest(epoch, database) }
      try writeRows(of: group, to: database)
      if !isOneRow { try database.run("COMMIT") }
    } catch {
      // After some errors SQLite has rolled back by itself, and this fails.
      if !isOneRow { try? database.run("ROLLBACK") }
      throw error
    }
    return block?.end ?? tail
  }

  private static func requireNewest(_ epoch: Int64, _ database: Database) throws {
    if try database.integer("SELECT coalesce(max(epoch), 0) FROM epochs") != epoch { throw LogFailure.fenced }
  }

  private static func writeRows(of group: LogGroup, to database: Database) throws {
    for (id, event) in group.accepted.sorted(by: { $0.key < $1.key }) {
      try event.withUnsafeBytes { bytes in
        try database.run(
          "INSERT INTO inbox (epoch, number, checksum, event) VALUES (?, ?, ?, ?)",
          [.int(id.epoch), .int(id.number), .int(LogBlock.checksum(bytes)), .blob(bytes)])
      }
    }
    for id in group.settled {
      try database.run(
        "DELETE FROM inbox WHERE epoch = ? AND number = ?", [.int(id.epoch), .int(id.number)])
    }
    for job in group.jobs { try job.run(on: database) }
  }

  private static func write(_ block: LogBlock, of group: LogGroup, to database: Database) throws {
    // One statement, so that a lone block needs no transaction.
    func insert(_ rest: UnsafeRawBufferPointer) throws {
      try database.run(
        """
        INSERT INTO blocks (first, last, time, epoch, checksum, chain, cuts, records)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE coalesce((SELECT max(epoch) FROM epochs), 0) = ?4
        """,
        [
          .int(block.first), .int(block.last), .int(block.time), .int(block.epoch), .int(block.checksum),
          .int(block.chain), .int(Int64(group.contents.count)), .blob(rest),
        ])
      if database.changes == 0 { throw LogFailure.fenced }
    }
    if group.contents.isEmpty { return try group.records.withUnsafeBytes { try insert($0) } }
    let (rest, cuts) = try group.records.withUnsafeBytes {
      try Contents(database: database).cut($0, group.contents)
    }
    try rest.withUnsafeBytes { try insert($0) }
    for cut in cuts {
      try database.run(
        "INSERT INTO block_cuts VALUES (?, ?, ?)",
        [.int(block.first), .int(Int64(cut.offset)), .int(cut.content)])
    }
  }
}

extension Database {
  /// Where the log in it ends.
  func end() throws -> LogPosition {
    var end = LogPosition()
    try run("SELECT last, chain, epoch FROM blocks ORDER BY first DESC LIMIT 1") {
      end = LogPosition(seq: $0.int(0), chain: $0.int(1), epoch: $0.int(2))
    }
    return end
  }
}
