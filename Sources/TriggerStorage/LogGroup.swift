import Foundation
import TriggerHost

/// What is written together: one transaction, one sync.
struct LogGroup {
  /// Encoded records, one after another, and their first and last seq; empty when there are none.
  var records: [UInt8] = []
  var first: Int64 = 0
  var last: Int64 = 0
  var count: Int { records.isEmpty ? 0 : Int(last - first) + 1 }
  /// Accepted events that no record of this group settles.
  var accepted: [EventID: [UInt8]] = [:]
  /// Events that were kept by an earlier group and need not be any more.
  var settled: [EventID] = []
  /// Who was promised something that this group keeps.
  var kept: [@Sendable () -> Void] = []
  /// Other work on the database: parts of a checkpoint, retention.
  var jobs: [Job] = []

  typealias Job = (Database) throws -> Void

  var isEmpty: Bool { records.isEmpty && accepted.isEmpty && settled.isEmpty && kept.isEmpty && jobs.isEmpty }

  mutating func append(seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID]) {
    if records.isEmpty { first = seq }
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
    accepted = [:]
    settled = []
    kept = []
    jobs = []
  }

  /// Writes everything in one transaction.
  func write(to database: Database, at time: Int64) throws {
    let isOneRow = accepted.isEmpty && settled.isEmpty && jobs.isEmpty
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
    if !records.isEmpty {
      try records.withUnsafeBytes { bytes in
        try database.run(
          "INSERT INTO blocks (first, last, time, checksum, records) VALUES (?, ?, ?, ?, ?)",
          [.int(first), .int(last), .int(time), .int(LogBlock.checksum(bytes)), .blob(bytes)])
      }
    }
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
}
