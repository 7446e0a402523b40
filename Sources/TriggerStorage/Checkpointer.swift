import Foundation
import TriggerCore
import TriggerHost

/// How much history a data directory keeps.
public struct LogRetention: Sendable, Hashable {
  /// Records older than this may go; nil: none for their age.
  public var age: Duration?
  /// Bytes of records, of which the oldest may go; nil: none for their size.
  public var bytes: Int?

  /// Everything is kept unless said otherwise.
  public init(age: Duration? = nil, bytes: Int? = nil) {
    self.age = age
    self.bytes = bytes
  }
}

/// Writes the state down now and then, so that recovery need not read the whole log, and lets go of history
/// that need not be kept. On a thread of its own; commits go on meanwhile.
///
/// A checkpoint is written part by part. Each part is as of its own seq; records after the first part's seq
/// are applied on top, and leave alone what a later part has already.
public final class Checkpointer: @unchecked Sendable {
  // `fold`, `keys` and `last*` belong to one thread at a time: `lock` is held for a whole checkpoint.
  private let log: DurableLog
  private let coordinator: CommitCoordinator
  private let reader: LogReader
  private let retention: LogRetention
  private let interval: Duration
  private let lock = NSLock()
  private var fold: LogFold
  private var keys: KeyPartWriter
  private var lastSeq: Int64
  private var lastBytes = 0
  private var lastTime = ContinuousClock.now
  private let wakeUp = NSCondition()
  private var isStopping = false  // guarded by `wakeUp`
  private var hasEnded = true  // guarded by `wakeUp`

  /// A checkpoint is due when so many bytes of records have come since the last, whatever the time.
  static let bytesBetween = 64 << 20
  /// Keys of senders that are decided and wait in memory for a part of the log; beyond, parts are written.
  private static let recentKeys = 16 * KeyPart.size
  /// Complete checkpoints that are kept at least: should the newest be damaged, there is another.
  private static let kept = 2

  /// - Parameters:
  ///   - recovery: what `recover` gave.
  ///   - interval: a checkpoint is due after it, when anything was committed.
  /// - Throws: `StorageError` when the log cannot be read.
  public init(
    _ log: DurableLog, _ coordinator: CommitCoordinator, recovery: Recovery,
    retention: LogRetention = LogRetention(), interval: Duration = .seconds(300)
  ) throws {
    self.log = log
    self.coordinator = coordinator
    reader = try LogReader(of: log.directory)
    self.retention = retention
    self.interval = interval
    fold = recovery.fold
    lastSeq = recovery.lastSeq
    keys = try KeyPartWriter(log, coordinator, reader)
    coordinator.keepKeysInLog()
  }

  /// Takes checkpoints when they are due, until `stop`.
  ///
  /// - Parameter failed: told why a checkpoint was not written; the next one is tried in its time.
  public func start(failed: @escaping @Sendable (String) -> Void) {
    hasEnded = false
    let thread = Thread { [self] in
      while !waitASecond() {
        do { try isDue ? checkpoint() : keepKeys() } catch { failed("no checkpoint: \(error)") }
      }
      wakeUp.lock()
      hasEnded = true
      wakeUp.broadcast()
      wakeUp.unlock()
    }
    thread.name = "checkpoints"
    thread.start()
  }

  /// Ends the thread; a checkpoint that is being written is finished. Safe to call twice.
  public func stop() {
    wakeUp.lock()
    isStopping = true
    wakeUp.broadcast()
    while !hasEnded { wakeUp.wait() }
    wakeUp.unlock()
  }

  /// True when it is time to end.
  private func waitASecond() -> Bool {
    wakeUp.lock()
    defer { wakeUp.unlock() }
    if !isStopping { _ = wakeUp.wait(until: Date(timeIntervalSinceNow: 1)) }
    return isStopping
  }

  private var isDue: Bool {
    lock.withLock {
      log.durable > lastSeq
        && (ContinuousClock.now - lastTime >= interval || log.recordBytes - lastBytes >= Self.bytesBetween)
    }
  }

  /// Records written since the last checkpoint. Any thread.
  public var recordsSince: Int64 { lock.withLock { log.durable - lastSeq } }

  /// Takes a checkpoint now and applies the retention. Returns when both are on disk. Any thread but the
  /// log's and those of the engine.
  ///
  /// - Throws: `StorageError`, `LogError`.
  public func checkpoint() throws {
    try lock.withLock {
      let bytes = log.recordBytes
      try write()
      (lastBytes, lastTime) = (bytes, .now)
      try keys.removeForgotten()
      try retain()
    }
  }

  /// Between checkpoints: what comes of keys does not gather in memory.
  private func keepKeys() throws {
    try lock.withLock {
      try keepRecentKeys()
      try keys.removeForgotten()
    }
  }

  private func keepRecentKeys() throws {
    guard coordinator.recentKeys >= Self.recentKeys else { return }
    try foldRecords(to: log.durable)
    try keys.write(from: &fold, all: true, through: fold.lastSeq)
  }

  private func write() throws {
    let id = try newID()
    let walk = coordinator.walk()
    var number: Int64 = 0
    while let part = try walk.next() {
      let place = number
      try log.perform { try Self.write(part, number: place, of: id, to: $0) }
      number += 1
      try keepRecentKeys()
    }
    // Together: what the stores hold, and as of which seq. It is later than all parts.
    let digests = coordinator.allDigests()
    let last = digests.seq
    // Records of the group before are on disk with it.
    if log.durable < last { try log.perform { _ in } }
    try foldRecords(to: last)
    // The checkpoint does not have them.
    try keys.write(from: &fold, all: true, through: last)
    let now = log.directory.clock.now()
    let (since, written, encoded) = (walk.since, fold.encoded, digests.encoded)
    try FoldParts.write(written, of: id, to: log)
    try log.perform { database in
      try written.withUnsafeBytes { fold in
        try encoded.withUnsafeBytes { digests in
          try database.run(
            "INSERT INTO checkpoints (id, since, last, time, checksum, fold, digests) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
              .int(id), .int(since), .int(last), .int(now),
              .int(LogBlock.checksum(fold: fold, digests: digests)),
              .blob(UnsafeRawBufferPointer(rebasing: fold.prefix(FoldParts.size))), .blob(digests),
            ])
        }
      }
    }
    lastSeq = last
  }

  private static func write(
    _ part: StorePart, number: Int64, of id: Int64, to database: Database
  ) throws {
    let (rest, cuts) = try part.bytes.withUnsafeBytes { bytes in
      part.contents.isEmpty ? (part.bytes, []) : try Contents(database: database).cut(bytes, part.contents)
    }
    let checksum = part.bytes.withUnsafeBytes { LogBlock.checksum($0) }
    try rest.withUnsafeBytes { rest in
      try database.run(
        "INSERT INTO chunks (checkpoint, number, checksum, data, cuts) VALUES (?, ?, ?, ?, ?)",
        [.int(id), .int(number), .int(checksum), .blob(rest), .int(Int64(cuts.count))])
    }
    for cut in cuts {
      try database.run(
        "INSERT INTO chunk_cuts VALUES (?, ?, ?, ?)",
        [.int(id), .int(number), .int(Int64(cut.offset)), .int(cut.content)])
    }
  }

  private func newID() throws -> Int64 {
    var id: Int64 = 0
    try reader.database.run(
      "SELECT max(coalesce((SELECT max(id) FROM checkpoints), 0), coalesce((SELECT max(checkpoint) FROM chunks), 0)) + 1"
    ) {
      id = $0.int(0)
    }
    return id
  }

  /// Off the commits' path: the records are read back.
  private func foldRecords(to last: Int64) throws {
    if fold.lastSeq >= last { return }
    try reader.visitViews(from: fold.lastSeq + 1, to: last) { record in
      try fold.apply(record)
      try keys.write(from: &fold, all: false, through: record.seq)
    }
    guard fold.lastSeq == last else {
      throw LogError("the log ends with seq \(fold.lastSeq), expected \(last)")
    }
  }

  // MARK: Retention

  /// Removes checkpoints and blocks that nobody needs: what is kept begins with a checkpoint.
  private func retain() throws {
    let needed = try firstNeeded()
    var all: [(id: Int64, since: Int64, last: Int64)] = []
    try reader.database.run("SELECT id, since, last FROM checkpoints ORDER BY last, id") {
      all.append(($0.int(0), $0.int(1), $0.int(2)))
    }
    let newest = Set(all.suffix(Self.kept).map(\.id))
    // History begins here: the newest checkpoint that every seq to keep comes after.
    let base = needed > 1 ? all.last { $0.last < needed } : nil
    for checkpoint in all where !newest.contains(checkpoint.id) && checkpoint.id != base?.id {
      // First what makes it one: nobody may find it with parts that are gone.
      try log.perform { try $0.run("DELETE FROM checkpoints WHERE id = \(checkpoint.id)") }
      try remove("chunks", where: "checkpoint = \(checkpoint.id)")
    }
    if let base { try remove("blocks", where: "last <= \(base.since)") }
  }

  /// The oldest seq that the retention wants kept.
  private func firstNeeded() throws -> Int64 {
    var first: Int64 = 1
    if let age = retention.age {
      let (seconds, _) = age.components
      let cutoff = log.directory.clock.now() - seconds * 1_000_000_000
      try reader.database.run(
        "SELECT coalesce(max(last), 0) + 1 FROM blocks WHERE time < ?", [.int(cutoff)]
      ) { first = max(first, $0.int(0)) }
    }
    if let limit = retention.bytes {
      var (sum, isOver) = (0, false)
      // A content counts where it is needed last.
      try reader.database.run(
        """
        SELECT last, length(records) + CASE cuts WHEN 0 THEN 0 ELSE (
          SELECT coalesce(sum(length(bytes)), 0) FROM contents WHERE id IN (
            SELECT content FROM block_cuts AS cut WHERE block = first AND NOT EXISTS (
              SELECT 1 FROM block_cuts WHERE content = cut.content AND block > first))) END
        FROM blocks ORDER BY first DESC
        """
      ) { row in
        sum += Int(row.int(1))
        guard sum > limit, !isOver else { return }
        isOver = true
        first = max(first, row.int(0) + 1)
      }
    }
    // The newest block stays: it says where the log ends.
    try reader.database.run("SELECT max(first) FROM blocks") { first = min(first, $0.int(0)) }
    return first
  }

  /// In small steps, each in a group of its own: no commit waits for long. The file does not shrink; what is
  /// written later takes the place.
  private func remove(_ table: String, where condition: String) throws {
    var left: Int64 = 1
    while left > 0 {
      try log.perform { database in
        try database.run(
          "DELETE FROM \(table) WHERE rowid IN (SELECT rowid FROM \(table) WHERE \(condition) LIMIT 16)")
      }
      try reader.database.run("SELECT count(*) FROM \(table) WHERE \(condition)") { left = $0.int(0) }
    }
  }
}
