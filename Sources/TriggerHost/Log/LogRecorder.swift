/// Turns decided operations into log records. Engine lock.
final class LogRecorder {
  let log: any CommitLog
  private let intents = CBORBuffer(capacity: 1 << 12)
  private let record = CBORBuffer()

  init(_ log: any CommitLog) { self.log = log }

  /// Takes the intents of an attempt that is about to be applied.
  @inline(__always)
  func take(_ attempt: Attempt) {
    intents.removeAll()
    LogCoding.writeIntents(attempt, to: intents)
  }

  /// Hands a decided seq to the log. O(bytes of the record).
  func append(
    _ operation: Operation, seq: Int64, outcome: Outcome, attempt: Attempt?,
    emissions: [EngineState.Emission.Event] = []
  ) {
    record.removeAll()
    LogCoding.write(
      operation, seq: seq, outcome: outcome, attempt: attempt, intents: intents.bytes, emissions: emissions,
      wantsReads: log.wantsReads, to: record)
    log.append(seq: seq, record.bytes)
  }
}
