/// Turns decided operations into log records. Engine lock.
final class LogRecorder {
  let log: any CommitLog
  private let stores: StoreDirectory
  private let digestInterval: Int64
  private let intents = CBORBuffer(capacity: 1 << 12)
  private let record = CBORBuffer()
  private let scratch = CBORBuffer(capacity: 1 << 10)
  /// In `intents`, and then in `record`.
  private var contents: [Range<Int>] = []
  /// Of the log, as it was last looked at.
  private var room = Int.max

  /// Bytes that may wait beyond the log's own bound, for what was under way when that was reached. A record that is
  /// taken at the last moment may be as long as an execution's output (`maximumOutputBytes`).
  static let overdraft = 32 << 20

  /// Nothing new should be begun.
  var isBehind: Bool {
    if room > 0 { return false }
    room = log.room
    return room <= 0
  }

  /// Nothing should be decided: memory would fill with records.
  var isFull: Bool {
    if room > -Self.overdraft { return false }
    room = log.room
    return room <= -Self.overdraft
  }

  /// - Parameter digestInterval: every so many seqs a record says what the stores hold.
  init(_ log: any CommitLog, stores: StoreDirectory, digestInterval: Int64) {
    self.log = log
    self.stores = stores
    self.digestInterval = digestInterval
  }

  /// Takes the intents of an attempt that is about to be applied.
  @inline(__always)
  func encodeIntents(of attempt: Attempt) {
    intents.removeAll()
    if !contents.isEmpty { contents.removeAll(keepingCapacity: true) }
    LogCoding.writeIntents(attempt, to: intents, contents: &contents)
  }

  /// Hands a decided seq to the log, once its intents are applied. O(bytes of the record).
  func append(
    _ operation: Operation, seq: Int64, outcome: Outcome, attempt: Attempt?,
    emissions: [EmittedEvent] = [], retryAt: Int64 = 0, pause: Int64 = 0,
    settling events: [EventID] = []
  ) {
    record.removeAll()
    let digests = seq % digestInterval == 0 ? stores.digests(changedAfter: seq - digestInterval) : []
    let decided = Decision(
      operation: operation, seq: seq, outcome: outcome, attempt: attempt, intents: intents.bytes,
      emissions: emissions, retryAt: retryAt == 0 ? nil : retryAt, retryPause: pause, digests: digests,
      wantsReads: log.wantsReads)
    let start = LogCoding.write(decided, to: record, scratch: scratch) - intents.count
    room = log.append(
      seq: seq, record.bytes, settling: events,
      contents: outcome == .committed && !contents.isEmpty ? contents.map { $0.shifted(by: start) } : [])
  }
}
