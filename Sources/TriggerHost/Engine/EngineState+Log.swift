import TriggerCore

/// Turning decided operations into log records.
extension EngineState {
  func record(of operation: Operation, seq: Int64, outcome: Outcome) -> LogRecord {
    LogRecord(
      seq: seq, identity: operation.identity, trigger: operation.trigger.name,
      event: String(decoding: operation.name, as: UTF8.self), payload: Array(operation.payload),
      priority: operation.priority, admitted: operation.admitted, outcome: outcome,
      attempts: Int(operation.attempts), intents: [], reads: [], error: nil)
  }

  /// Intents as prepared, in list order.
  func intents(of attempt: Attempt) -> [LogRecord.Intent] {
    (0..<attempt.writes.count).map { index in
      let write = attempt.writes.writes[index]
      return LogRecord.Intent(
        kind: "\(write.kind)", store: write.table.map { $0._withUnsafeGuaranteedRef { $0.name } } ?? "",
        key: Array(write.keyBytes), value: write.kind == .delete ? [] : Array(write.operand))
    }
  }

  func finalRecord(
    of operation: Operation, _ attempt: Attempt, outcome: Outcome, intents: [LogRecord.Intent],
    wantsReads: Bool
  ) -> LogRecord {
    var record = record(of: operation, seq: operation.seq, outcome: outcome)
    record.intents = outcome == .committed ? intents : []
    record.error = attempt.error
    if wantsReads { record.reads = attempt.reads.descriptions }
    return record
  }
}
