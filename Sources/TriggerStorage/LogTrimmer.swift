import TriggerHost

/// Lets go of history that need not be kept (`RetentionPlan`), in steps that are small beside what a group writes and go
/// in groups of their own, so that no commit waits for long; and gives the room back to the system. One thread at a time.
final class LogTrimmer {
  private let log: DurableLog
  private let reader: LogReader
  private let retention: LogRetention
  private var clock: AgeClock

  /// Rows and bytes of records that go in one group.
  private static let rows = 512
  private static let bytes = 1 << 20

  init(_ log: DurableLog, _ reader: LogReader, _ retention: LogRetention) throws {
    self.log = log
    self.reader = reader
    self.retention = retention
    let newest = try reader.database.integer("SELECT time FROM blocks ORDER BY first DESC LIMIT 1")
    clock = AgeClock(log.directory.clock.read(), newest: newest)
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
    try reader.database.run("SELECT first FROM blocks ORDER BY first DESC LIMIT 1") {
      found.last = $0.int(0) &- 1
    }
    found.firstYoung = try firstYoung()
    let used = try usedBytes()
    found.recordBytes = used - found.checkpoints.reduce(0) { $0 + $1.bytes }
    if let limit = retention.bytes {
      // The write-ahead log and pages that are free for a while count too.
      let budget = max(limit - log.writeAheadLimit - (try slack) * (try pageSize()), limit / 2)
      // A little more than must be: it is not to be done again at once.
      if used > budget { found.excess = used - budget + budget / 16 }
    }
    return found
  }

  private func size(of checkpoint: KeptCheckpoint) throws -> Int {
    // Those of older formats do not say it.
    if checkpoint.bytes > 0 { return Int(min(checkpoint.bytes, 1 << 50)) }
    var size = 0
    try reader.database.run(
      "SELECT coalesce(sum(length(data)), 0) FROM chunks WHERE checkpoint = ?", [.int(checkpoint.id)]
    ) {
      size = Int($0.int(0))
    }
    return size
  }

  private func pageSize() throws -> Int { Int(try reader.database.integer("PRAGMA page_size") ?? 4096) }

  private func freePages() throws -> Int { Int(try reader.database.integer("PRAGMA freelist_count") ?? 0) }

  /// Pages that are in use, in bytes.
  private func usedBytes() throws -> Int {
    let count = Int(try reader.database.integer("PRAGMA page_count") ?? 0)
    return (count - (try freePages())) * (try pageSize())
  }

  /// Free pages that may stay, for what is written next.
  private var slack: Int {
    get throws {
      let limit = retention.bytes.map { min(max($0 / 8, 1 << 20), 64 << 20) } ?? 16 << 20
      return limit / (try pageSize())
    }
  }

  /// Blocks are in the order of their times, unless a clock was set: one that says a time to come says nothing.
  private func firstYoung() throws -> Int64 {
    guard let age = retention.age else { return 0 }
    let now = log.directory.clock.read()
    let cutoff = clock.look(now) - Int64(min(age / .nanoseconds(1), 9e18))
    var first: Int64 = 0
    try visitBlocks("SELECT last, time FROM blocks ORDER BY first") { row in
      if row.int(1) >= cutoff, row.int(1) <= now.wall { return false }
      if row.int(1) < cutoff { first = row.int(0) &+ 1 }
      return true
    }
    return first
  }

  /// The first seq after so many bytes of the oldest records, of those that may go.
  private func firstSeq(after bytes: Int, in log: RetentionPlan.Log) throws -> Int64 {
    var (sum, first) = (0, log.first)
    let page = try pageSize()
    try visitBlocks("SELECT last, length(records) FROM blocks ORDER BY first") { row in
      first = row.int(0) &+ 1
      sum += Self.bytes(ofRow: Int(row.int(1)), page: page)
      return sum < bytes && first <= log.last
    }
    return first
  }

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

  private func visitBlocks(_ sql: String, _ body: (Database.Row) -> Bool) throws {
    struct Enough: Error {}
    do { try reader.database.run(sql) { if !body($0) { throw Enough() } } } catch is Enough {}
  }

  /// A checkpoint is written for what is worth its own bytes only; for what is too old, always.
  private func isWorthwhile(_ reason: RetentionPlan.Reason, _ log: RetentionPlan.Log) throws -> Bool {
    guard reason == .bytes, log.checkpoints.count > 1 else { return true }
    let newest = log.checkpoints.suffix(2)
    var bytes: Int64 = 0
    try reader.database.run(
      "SELECT coalesce(sum(length(records)), 0) FROM blocks WHERE first > ?", [.int(newest.first!.since)]
    ) { bytes = $0.int(0) }
    return bytes > max(1 << 20, newest.last!.bytes / 2)
  }

  // MARK: Letting go

  func remove(checkpoint id: Int64) throws {
    // First what makes it one: nobody may find it with parts that are gone.
    try log.perform([.dropCheckpoint(id)])
    while try hasParts(id) { try log.perform([.dropParts(checkpoint: id, most: 4)]) }
  }

  private func hasParts(_ checkpoint: Int64) throws -> Bool {
    var isThere = false
    try reader.database.run("SELECT 1 FROM chunks WHERE checkpoint = ? LIMIT 1", [.int(checkpoint)]) { _ in
      isThere = true
    }
    return isThere
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
    var (bytes, last) = (0, Int64?.none)
    try reader.database.run(
      "SELECT last, length(records) FROM blocks WHERE first <= ? ORDER BY first LIMIT \(Self.rows)",
      [.int(seq)]
    ) { row in
      guard row.int(0) <= seq, bytes < Self.bytes else { return }
      (bytes, last) = (bytes + Int(row.int(1)), row.int(0))
    }
    return last
  }

  /// Gives free pages back to the system: other pages move into their places, and the file becomes shorter.
  ///
  /// - Parameter left: free pages that may stay.
  func giveBack(leaving left: Int) throws {
    var last = try freePages()
    guard last > left else { return }
    // Once it is at it, it makes room for a while. A file without the means for it does not change.
    while true {
      try log.perform([.shrink])
      let free = try freePages()
      guard free > left / 2, free < last else { return }
      last = free
    }
  }
}
