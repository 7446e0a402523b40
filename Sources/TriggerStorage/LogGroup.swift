import Foundation
import TriggerHost

/// What is written together: one transaction, one sync.
struct LogGroup {
  /// Encoded records, one after another, and their first and last seq; empty when there are none.
  var records: [UInt8] = []
  var first: Int64 = 0
  var last: Int64 = 0
  /// Where in `records` bytes lie that are likely to be in others as well.
  var contents: [Range<Int>] = []
  var count: Int { records.isEmpty ? 0 : Int(last - first) + 1 }
  /// Accepted events that no record of this group settles.
  var accepted: [EventID: [UInt8]] = [:]
  /// Events that were kept by an earlier group and need not be any more.
  var settled: [EventID] = []
  /// Who was promised something that this group keeps.
  var kept: [@Sendable () -> Void] = []
  /// Who waits until this group is written, or will not be.
  var waiting: [Waiting] = []
  /// Other work on the database: parts of a checkpoint, retention.
  var jobs: [Job] = []

  typealias Job = (Database) throws -> Void
  /// - Parameter failure: why the group could not be written.
  typealias Waiting = @Sendable (_ failure: StorageError?) -> Void

  var isEmpty: Bool {
    records.isEmpty && accepted.isEmpty && settled.isEmpty && kept.isEmpty && waiting.isEmpty && jobs.isEmpty
  }

  mutating func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents ranges: [Range<Int>]
  ) {
    if records.isEmpty { first = seq }
    for range in ranges { contents.append(range.shifted(by: records.count)) }
    records.append(contentsOf: record)
    last = seq
    for event in events { settle(event) }
  }

  mutating func settle(_ event: EventID) {
    // Decided before it was ever written: the record is enough.
    if accepted.removeValue(forKey: event) == nil { settled.append(event) }
  }

  mutating func removeAll() {
    records.removeAll(keepingCapacity: true)
    contents = []
    accepted = [:]
    settled = []
    kept = []
    waiting = []
    jobs = []
  }

  /// Writes everything in one transaction.
  func write(to database: Database, at time: Int64) throws {
    let isOneRow = accepted.isEmpty && settled.isEmpty && jobs.isEmpty && contents.isEmpty
    if isOneRow, records.isEmpty { return }
    if !isOneRow { try database.run("BEGIN IMMEDIATE") }
    do {
      try writeRows(to: database, at: time)
      if !isOneRow { try database.run("COMMIT") }
    } catch {
      // After some errors SQLite has rolled back by itself, and this fails.
      if !isOneRow { try? database.run("ROLLBACK") }
      throw error
    }
  }

  private func writeRows(to database: Database, at time: Int64) throws {
    if !records.isEmpty { try records.withUnsafeBytes { try writeBlock($0, to: database, at: time) } }
    for (id, event) in accepted.sorted(by: { $0.key < $1.key }) {
      try event.withUnsafeBytes { bytes in
        try database.run(
          "INSERT INTO inbox (epoch, number, checksum, event) VALUES (?, ?, ?, ?)",
          [.int(id.epoch), .int(id.number), .int(LogBlock.checksum(bytes)), .blob(bytes)])
      }
    }
    for id in settled {
      try database.run(
        "DELETE FROM inbox WHERE epoch = ? AND number = ?", [.int(id.epoch), .int(id.number)])
    }
    for job in jobs { try job(database) }
  }

  private func writeBlock(_ bytes: UnsafeRawBufferPointer, to database: Database, at time: Int64) throws {
    let checksum = LogBlock.checksum(bytes)
    func insert(_ rest: UnsafeRawBufferPointer) throws {
      try database.run(
        "INSERT INTO blocks (first, last, time, checksum, records, cuts) VALUES (?, ?, ?, ?, ?, ?)",
        [.int(first), .int(last), .int(time), .int(checksum), .blob(rest), .int(Int64(contents.count))])
    }
    if contents.isEmpty { return try insert(bytes) }
    let (rest, cuts) = try Contents(database: database).cut(bytes, contents)
    try rest.withUnsafeBytes { try insert($0) }
    for cut in cuts {
      try database.run(
        "INSERT INTO block_cuts VALUES (?, ?, ?)", [.int(first), .int(Int64(cut.offset)), .int(cut.content)])
    }
  }
}
