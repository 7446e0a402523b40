import TriggerCore
import TriggerHost

/// The operations of a data directory that failed for good: no try is left, and nobody has put them back or
/// let them go.
package struct DeadLetters {
  private let reader: LogReader

  /// Reads only, also while a host writes.
  package init(_ reader: LogReader) { self.reader = reader }

  /// Their seqs, oldest first; the newest 10,000 that the log still has. O(records since the newest
  /// checkpoint).
  ///
  /// - Throws: `LogError` for damage.
  package func seqs() throws -> [Int64] {
    let settled = try reader.source.deadMarks()
    let first = try reader.firstSeq()
    return try reader.fold().dead.filter { $0 >= first && settled[$0] == nil }
  }

  /// The record of a seq, nil when the log has none.
  package func record(_ seq: Int64) throws -> LogRecord? {
    var found: LogRecord?
    try reader.visit(from: seq, to: seq) { found = $0 }
    return found
  }
}

extension DataDirectory {
  /// What can be done with an operation that failed for good.
  package typealias DeadAction = DeadMark

  /// Puts failed operations back, for the next start of the host, or lets them go. All or none; durable when
  /// this returns.
  ///
  /// - Throws: `StorageError`.
  package func settle(dead records: [LogRecord], _ action: DeadAction) throws {
    try database.run("PRAGMA synchronous = FULL")
    var group = LogGroup()
    for record in records {
      group.jobs.append(.mark(seq: record.seq, action, time: clock.now()))
      if action != .requeued { continue }
      let event = requeued(record)
      group.accept(event.id, event.encoded)
    }
    try SQLiteLogStore.write(group, after: LogPosition(), to: database, epoch: epoch)
  }

  /// The operation that failed, as one that tries it again.
  private func requeued(_ record: LogRecord) -> AcceptedEvent {
    var event = AcceptedEvent(
      id: EventID(epoch: 0, number: record.seq), kind: record.kind, name: record.event,
      payload: record.payload, priority: record.priority, source: record.source, admitted: clock.now(),
      triggers: [record.trigger])
    event.retryOf = record.seq
    event.sender = record.sender ?? record.outside?.sender
    event.hops = record.hops
    return event
  }
}
