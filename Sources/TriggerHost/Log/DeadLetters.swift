import TriggerCore

/// The operations of a log that failed for good: no try is left, and nobody has put them back or
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

/// Which operations that failed for good somebody means.
package enum DeadSelection: Sendable, Hashable {
  case seqs(Set<Int64>)
  /// All of them, or all of one trigger.
  case all(trigger: String?)
}

/// An operation is not among those that failed for good.
package struct NotDead: Error, CustomStringConvertible {
  package let seq: Int64
  package init(seq: Int64) { self.seq = seq }
  package var description: String { "seq \(seq) is not among those that failed for good" }
}

extension DeadLetters {
  /// The records of a selection, oldest first.
  ///
  /// - Throws: `NotDead`; `LogError` for damage.
  package func records(_ selection: DeadSelection) throws -> [LogRecord] {
    let seqs = try seqs()
    switch selection {
    case .all(let trigger):
      return try seqs.compactMap { try record($0) }.filter { trigger == nil || $0.trigger == trigger }
    case .seqs(let wanted):
      let known = Set(seqs)
      return try wanted.sorted().map { seq in
        guard known.contains(seq), let record = try record(seq) else { throw NotDead(seq: seq) }
        return record
      }
    }
  }

  /// Puts operations back, or lets them go: all of a selection, or none. One at a time in a log.
  ///
  /// - Parameters:
  ///   - time: nanoseconds since 1970.
  ///   - write: writes the group that says so; durable when it returns.
  /// - Returns: their records.
  /// - Throws: as `records` does; what `write` throws.
  package func settle(
    _ selection: DeadSelection, as action: DeadMark, time: Int64, write: (LogGroup) throws -> Void
  ) throws -> [LogRecord] {
    let records = try records(selection)
    if !records.isEmpty { try write(LogGroup(settling: records, action, time: time)) }
    return records
  }
}

extension LogGroup {
  /// Says what becomes of operations that failed for good: put back, each is an event for its trigger alone.
  ///
  /// - Parameter time: nanoseconds since 1970.
  fileprivate init(settling dead: [LogRecord], _ action: DeadMark, time: Int64) {
    self.init()
    for record in dead {
      jobs.append(.mark(seq: record.seq, action, time: time))
      if action != .requeued { continue }
      let event = AcceptedEvent(requeued: record, time)
      accept(event.id, event.encoded)
    }
  }
}

extension AcceptedEvent {
  /// The operation that failed, as one that tries it again.
  fileprivate init(requeued record: LogRecord, _ time: Int64) {
    self.init(
      id: EventID(epoch: 0, number: record.seq), kind: record.kind, name: record.event,
      payload: record.payload, priority: record.priority, source: record.source, admitted: time,
      triggers: [record.trigger])
    retryOf = record.seq
    sender = record.sender ?? record.outside?.sender
    hops = record.hops
  }
}
