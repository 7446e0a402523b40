import Synchronization
import TriggerCore

/// Writes the state down now and then, so that recovery need not read the whole log, and lets go of history
/// that need not be kept. On a thread of its own; commits go on meanwhile.
///
/// A checkpoint is written part by part. Each part is as of its own seq; records after the first part's seq
/// are applied on top, and leave alone what a later part has already.
public final class Checkpointer: @unchecked Sendable {
  // `fold`, `keys` and `last*` belong to one thread at a time: `lock` is held for a whole checkpoint.
  private let log: GroupWriter
  private let engine: Engine
  private let reader: LogReader
  private let trimmer: LogTrimmer
  private let interval: Duration
  private let bytesBetween: Int
  private let lock = Mutex(())
  private var fold: LogFold
  private var keys: KeyPartWriter
  private var lastSeq: Int64
  private var lastBytes = 0
  /// Of the newest checkpoint, in bytes, as far as it is known.
  private var lastSize = 0
  private var lastDuration = Duration.zero
  private var lastTime = ContinuousClock.now
  private var lastTrim = ContinuousClock.now - .seconds(60)
  /// The newest seq when we last looked, and when the store last settled: when nothing has come since.
  private var lookedAt: Int64 = -1
  private var settled: Int64 = -1
  /// The retention waits for a checkpoint.
  private var isWanted = false
  /// Checkpoints that recovery has passed over: they go when there is a new one.
  private var damaged: [CheckpointDamage]
  private let wakeUp = Condition()
  private var isStopping = false  // guarded by `wakeUp`
  private var hasEnded = true  // guarded by `wakeUp`

  /// A checkpoint is due when so many bytes of records have come since the last, whatever the time.
  static let bytesBetween = 64 << 20
  /// Keys of senders that are decided and wait in memory for a part of the log; beyond, parts are written.
  private static let recentKeys = 16 * KeyPart.size
  /// What can be trimmed is looked for this often.
  private static let trimInterval = Duration.seconds(10)

  /// - Parameters:
  ///   - source: of the log, for the checkpointer alone.
  ///   - recovery: what `recover` gave.
  ///   - damaged: checkpoints that it passed over. A new one is due at once then.
  ///   - beside: bytes that the store takes beside what its source counts.
  ///   - interval: a checkpoint is due after it, when anything was committed.
  /// - Throws: what the source does when it cannot be read.
  init(
    _ log: GroupWriter, _ engine: Engine, _ source: any LogSource, recovery: Recovery,
    damaged: [CheckpointDamage], retention: LogRetention, beside: Int, interval: Duration
  ) throws {
    self.log = log
    self.engine = engine
    reader = LogReader(source)
    trimmer = try LogTrimmer(log, reader, retention, beside: beside)
    self.interval = min(interval, retention.age.map { max(.seconds(1), $0 / 4) } ?? interval)
    bytesBetween = retention.bytes.map { min(Self.bytesBetween, max(1 << 20, $0 / 8)) } ?? Self.bytesBetween
    self.damaged = damaged
    fold = recovery.fold
    lastSeq = recovery.lastSeq
    keys = try KeyPartWriter(log, engine, source)
    engine.keys.keepInLog()
  }

  /// Takes checkpoints when they are due, until `stop`.
  ///
  /// - Parameter failed: told why a checkpoint was not written, or nothing was trimmed; it is tried again in its time.
  public func start(failed: @escaping @Sendable (String) -> Void) {
    hasEnded = false
    Thread.detach(name: "checkpoints") { [self] in
      while !waitASecond() {
        do { try isDue ? checkpoint() : tidy() } catch { failed("no checkpoint: \(error)") }
      }
      wakeUp.lock()
      hasEnded = true
      wakeUp.broadcast()
      wakeUp.unlock()
    }
  }

  /// Ends the thread; a checkpoint that is being written is finished. Safe to call twice.
  public func stop() {
    wakeUp.lock()
    isStopping = true
    wakeUp.broadcast()
    while !hasEnded { wakeUp.wait() }
    wakeUp.unlock()
  }

  /// Ends the thread, and the checkpointer's reading of the log: nothing can be asked of it afterwards.
  public func close() {
    stop()
    lock.withLock { _ in reader.close() }
  }

  /// True when it is time to end.
  private func waitASecond() -> Bool {
    wakeUp.lock()
    defer { wakeUp.unlock() }
    if !isStopping { wakeUp.wait(for: .seconds(1)) }
    return isStopping
  }

  private var isDue: Bool {
    lock.withLock { _ in
      let now = ContinuousClock.now
      if !damaged.isEmpty { return true }
      // One that takes long must not be all that a host does.
      if isWanted { return now - lastTime >= lastDuration * 4 }
      return log.durable > lastSeq
        && (now - lastTime >= interval || log.recordBytes - lastBytes >= max(bytesBetween, lastSize / 2))
    }
  }

  private func trimNowAndThen() throws {
    guard ContinuousClock.now - lastTrim >= Self.trimInterval else { return }
    lastTrim = .now
    isWanted = try trimmer.trim()
    // Nothing comes in: what a burst has left takes no more room than it must.
    let newest = log.durable
    if newest == lookedAt, newest != settled {
      log.compact()
      settled = newest
    }
    lookedAt = newest
  }

  /// Records written since the last checkpoint. Any thread.
  public var recordsSince: Int64 { lock.withLock { _ in log.durable - lastSeq } }

  /// Takes a checkpoint now and applies the retention. Returns when both are on disk. Any thread but the
  /// log's and those of the engine.
  ///
  /// - Throws: `LogFailure`, `LogError`; what the log says that cannot be read.
  public func checkpoint() throws {
    try lock.withLock { _ in
      let (bytes, started) = (log.recordBytes, ContinuousClock.now)
      try write()
      (lastBytes, lastTime, lastDuration) = (bytes, .now, .now - started)
      try keys.removeForgotten()
      (lastTrim, isWanted) = (.now, try trimmer.trim())
    }
  }

  /// Between checkpoints: what comes of keys does not gather in memory, and the directory stays within its bounds.
  private func tidy() throws {
    try lock.withLock { _ in
      try keepRecentKeys()
      try keys.removeForgotten()
      try trimNowAndThen()
    }
  }

  private func keepRecentKeys() throws {
    guard engine.keys.recentCount >= Self.recentKeys else { return }
    try foldRecords(to: log.durable)
    try keys.write(from: &fold, all: true, through: fold.lastSeq)
  }

  private func write() throws {
    let id = try reader.source.newCheckpointID()
    let walk = StoreWalk(engine)
    var (seal, bytes) = (KeptCheckpoint.Seal(), 0)
    while let part = try walk.next() {
      let (number, checksum) = (seal.parts, part.bytes.withUnsafeBytes { LogBlock.checksum($0) })
      try log.perform([.part(part, checksum: checksum, number: number, checkpoint: id)])
      seal.add(part: checksum)
      bytes += part.bytes.count
      try keepRecentKeys()
    }
    // Together: what the stores hold, and as of which seq. It is later than all parts.
    let digests = engine.allDigests()
    let last = digests.seq
    // Records of the group before are on disk with it.
    if log.durable < last { try log.perform([]) }
    try foldRecords(to: last)
    // The checkpoint does not have them.
    try keys.write(from: &fold, all: true, through: last)
    let now = log.clock.now()
    let (since, encoded, state) = (walk.since, fold.encoded, digests.encoded)
    for job in KeptCheckpoint.furtherPieces(ofFold: encoded, checkpoint: id) { try log.perform([job]) }
    let checksum = encoded.withUnsafeBytes { fold in
      state.withUnsafeBytes { LogBlock.checksum(fold: fold, digests: $0) }
    }
    let (parts, size) = (seal.parts, Int64(bytes + encoded.count + state.count))
    let value = seal.value(id: id, since: since, last: last, time: now, bytes: size, fold: checksum)
    let head = KeptCheckpoint(
      id: id, since: since, last: last, time: now, checksum: checksum, parts: parts, bytes: size, seal: value)
    try log.perform(
      fold.installed.jobs + [
        .checkpoint(head, fold: Array(encoded.prefix(KeptCheckpoint.foldPiece)), digests: state)
      ]
    )
    fold.installed = LogFold.InstalledTrees()
    lastSeq = last
    lastSize = Int(size)
    for damage in damaged { try trimmer.remove(checkpoint: damage.checkpoint) }
    damaged = []
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
}
