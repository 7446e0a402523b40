/// Lets go of history that need not be kept (`RetentionPlan`), in steps that are small beside what a group writes and go
/// in groups of their own, so that no commit waits for long; and gives the room back to the system. One thread at a time.
final class LogTrimmer {
  private let log: GroupWriter
  private let reader: LogReader
  private let retention: LogRetention
  /// Bytes that the store takes beside what its source counts.
  private let beside: Int
  private var clock: AgeClock
  private var source: any LogSource { reader.source }

  /// Rows and bytes of records that go in one group.
  private static let rows = 512
  private static let bytes = 1 << 20

  init(_ log: GroupWriter, _ reader: LogReader, _ retention: LogRetention, beside: Int) throws {
    (self.log, self.reader, self.retention, self.beside) = (log, reader, retention, beside)
    clock = AgeClock(log.clock.read(), newest: try Self.newestHead(reader.source)?.time)
  }

  private static func newestHead(_ source: any LogSource) throws -> LogBlock? {
    var newest: LogBlock?
    try source.visitHeads(after: try source.end().seq &- 1) { head, _ in
      newest = head
      return true
    }
    return newest
  }

  /// Removes what may go, and gives back free pages beyond what is written again soon.
  ///
  /// - Returns: true when a new checkpoint would let go of more.
  func trim() throws -> Bool {
    var wantsCheckpoint = false
    // What a removed row leaves free is known when it is gone: a few rounds.
    for _ in 0..<4 {
      let log = try survey()
      let plan = try RetentionPlan(log) { bytes in try firstSeq(after: bytes, in: log) }
      for checkpoint in plan.removed { try remove(checkpoint: checkpoint) }
      let hasCut = try remove(blocksThrough: plan.cut)
      wantsCheckpoint = try plan.heldUp.map { try isWorthwhile($0, log) } ?? false
      if plan.removed.isEmpty, !hasCut { break }
    }
    try giveBack(leaving: slack)
    return wantsCheckpoint
  }

  // MARK: What is there

  private func survey() throws -> RetentionPlan.Log {
    var found = RetentionPlan.Log()
    for checkpoint in try reader.checkpoints().reversed() {
      // A row that is not what was written says nothing; recovery passes it over as well.
      guard checkpoint.since >= 0, checkpoint.since <= checkpoint.last, checkpoint.last < .max / 2 else {
        continue
      }
      found.checkpoints.append(
        RetentionPlan.Checkpoint(
          id: checkpoint.id, since: checkpoint.since, last: checkpoint.last, bytes: try size(of: checkpoint)))
    }
    found.first = try reader.firstSeq()
    found.last = try Self.newestHead(source).map { $0.first &- 1 } ?? found.last
    found.firstYoung = try firstYoung()
    let used = try source.room().used
    found.recordBytes = used - found.checkpoints.reduce(0) { $0 + $1.bytes }
    if let limit = retention.bytes {
      // What is written beside and what is free for a while count too.
      let budget = max(limit - beside - slack, limit / 2)
      // A little more than must be: it is not to be done again at once.
      if used > budget { found.excess = used - budget + budget / 16 }
    }
    return found
  }

  private func size(of checkpoint: KeptCheckpoint) throws -> Int {
    // Those without a seal do not say it.
    if checkpoint.bytes > 0 { return Int(min(checkpoint.bytes, 1 << 50)) }
    return try source.parts(ofCheckpoint: checkpoint.id).bytes
  }

  /// Free bytes that may stay, for what is written next.
  private var slack: Int { retention.bytes.map { min(max($0 / 8, 1 << 20), 64 << 20) } ?? 16 << 20 }

  /// Blocks are in the order of their times, unless a clock was set: one that says a time to come says nothing.
  private func firstYoung() throws -> Int64 {
    guard let age = retention.age else { return 0 }
    let now = log.clock.read()
    let cutoff = clock.look(now) - Int64(min(age / .nanoseconds(1), 9e18))
    var first: Int64 = 0
    try source.visitHeads(after: 0) { head, _ in
      if head.time >= cutoff, head.time <= now.wall { return false }
      if head.time < cutoff { first = head.last &+ 1 }
      return true
    }
    return first
  }

  /// The first seq after so many bytes of the oldest records, of those that may go.
  private func firstSeq(after bytes: Int, in log: RetentionPlan.Log) throws -> Int64 {
    var (sum, first) = (0, log.first)
    try source.visitHeads(after: 0) { head, size in
      first = head.last &+ 1
      sum += size
      return sum < bytes && first <= log.last
    }
    return first
  }

  /// A checkpoint is written for what is worth its own bytes only; for what is too old, always.
  private func isWorthwhile(_ reason: RetentionPlan.Reason, _ log: RetentionPlan.Log) throws -> Bool {
    guard reason == .bytes, log.checkpoints.count > 1 else { return true }
    let newest = log.checkpoints.suffix(2)
    var bytes = 0
    try source.visitHeads(after: newest.first!.since) { head, size in
      if head.first > newest.first!.since { bytes += size }
      return true
    }
    return bytes > max(1 << 20, newest.last!.bytes / 2)
  }

  // MARK: Letting go

  func remove(checkpoint id: Int64) throws {
    // First what makes it one: nobody may find it with parts that are gone.
    try log.perform([.dropCheckpoint(id)])
    let count = try source.parts(ofCheckpoint: id).count
    for _ in stride(from: 0, to: count, by: 4) { try log.perform([.dropParts(checkpoint: id, most: 4)]) }
  }

  /// - Returns: whether there were any.
  private func remove(blocksThrough seq: Int64) throws -> Bool {
    var hasCut = false
    while let last = try step(through: seq) {
      try log.perform([.dropBlocks(through: last)])
      hasCut = true
    }
    return hasCut
  }

  /// Where the blocks end that go in one group; nil when there are none.
  private func step(through seq: Int64) throws -> Int64? {
    var (bytes, rows, last) = (0, 0, Int64?.none)
    try source.visitHeads(after: 0) { head, size in
      guard head.last <= seq, bytes < Self.bytes, rows < Self.rows else { return false }
      (bytes, rows, last) = (bytes + size, rows + 1, head.last)
      return true
    }
    return last
  }

  /// Gives free room back to the system.
  ///
  /// - Parameter left: free bytes that may stay.
  private func giveBack(leaving left: Int) throws {
    var last = try source.room().free
    guard last > left else { return }
    // Once it is at it, it makes room for a while. A store without the means for it does not change.
    while true {
      try log.perform([.shrink])
      let free = try source.room().free
      guard free > left / 2, free < last else { return }
      last = free
    }
  }
}
