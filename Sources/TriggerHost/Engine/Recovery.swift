import TriggerCore

/// Rebuilds an engine's state from its log: applies the commits, and finds what was admitted and never
/// decided. Used before the engine starts, by one thread.
public final class Recovery {
  private let engine: Engine
  /// What is left to do beside the stores.
  package internal(set) var fold = LogFold()
  /// The newest seq applied so far.
  public private(set) var lastSeq: Int64 = 0
  /// Where the checkpoint that it began with is; 0 without one.
  package private(set) var begin: Int64 = 0
  /// Versions that executions on snapshots from here on may read are kept; `.max` keeps the newest only.
  package var horizon = Int64.max
  /// Others read snapshots meanwhile (`SnapshotRegistry`): what they need is kept.
  var isRead = false
  /// The stores come from a checkpoint that was taken while commits went on: what records up to this seq
  /// wrote may be there already.
  private var overlap: Int64 = 0
  /// What the stores held then; nil for a checkpoint that does not say it.
  private var kept: StateDigests?
  /// Records before the first one are missing, and there is no checkpoint: the state is not that of any seq.
  private var isPartial = false
  /// Keys of senders that the log keeps in parts.
  package var keptKeys = KeptKeys() {
    didSet { fold.finishKeys(after: keptKeys) }
  }
  /// Events that the log has accepted and not settled.
  package private(set) var accepted: Set<EventID> = []
  private var writes = WriteSet()
  private var names = NameCache<Int>()
  private var tables = NameCache<StoreTable>()
  private var sinceReclaim = 0
  /// Stores that nobody has declared are made, also where `strict_stores` would refuse them: history has written them.
  package var declaresStores = false
  /// What backends held before the first commit, once that has been cleared away.
  private var initial: [(table: StoreTable, key: [UInt8], value: [UInt8])]?
  /// A checkpoint has been begun.
  package var hasBegun: Bool { initial != nil }

  init(_ engine: Engine) { self.engine = engine }

  // MARK: A checkpoint

  /// Takes over what a checkpoint says beside the stores, and forgets what there was. Then come its chunks (`load`),
  /// `endCheckpoint`, and the records after `since`.
  ///
  /// - Parameters:
  ///   - since: every commit up to it is in the chunks.
  ///   - digests: of all stores as of the fold's last seq, where the checkpoint says them.
  package func begin(_ fold: LogFold, since: Int64, digests: StateDigests? = nil) {
    self.fold = fold
    self.fold.finishKeys(after: keptKeys)
    kept = digests
    begin = since
    overlap = fold.lastSeq
    lastSeq = since
    isPartial = false
    // What backends held before the first commit is in the chunks, as far as it is still there.
    if initial == nil { initial = contents }
    engine.withState { state in
      for table in engine.stores.existing { table.clear(reclaim: state.reclaimer) }
    }
  }

  /// Forgets a checkpoint and its records: the first record of the log comes next.
  package func beginAnew() {
    begin(LogFold(), since: 0)
    engine.withState { state in
      for item in initial ?? [] {
        item.key.withUnsafeBufferPointer { key in
          item.value.withUnsafeBytes { item.table.restore(key, $0, seq: 0, reclaim: state.reclaimer) }
        }
      }
    }
  }

  private var contents: [(table: StoreTable, key: [UInt8], value: [UInt8])] {
    var found: [(table: StoreTable, key: [UInt8], value: [UInt8])] = []
    for table in engine.stores.existing {
      table.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, version in
        found.append((table, Array(Entry.keyBytes(entry)), Array(Version.value(version))))
        return true
      }
    }
    return found
  }

  private func table(_ name: String) throws -> StoreTable {
    declaresStores ? engine.stores.declare(name) : try engine.stores.table(name)
  }

  /// A part of a store.
  package func load(_ chunk: StoreChunk) throws {
    let table = try self.table(chunk.store)
    engine.withState { state in
      for item in chunk.items { table.restore(item.key, item.value, seq: item.seq, reclaim: state.reclaimer) }
      table.noteChange(chunk.changed)
    }
  }

  /// The last chunk is loaded.
  ///
  /// - Throws: `StateDamage` when the stores are not what they were, as far as that can be told without the records
  ///   up to the fold's last seq.
  package func endCheckpoint() throws(StateDamage) {
    if lastSeq == overlap { try checkCheckpoint() }
  }

  private func checkCheckpoint() throws(StateDamage) {
    guard let kept else { return }
    try engine.stores.check(kept, isWhole: true)
    self.kept = nil
  }

  // MARK: Records

  /// Applies the next record. Seqs are dense.
  ///
  /// - Throws: `LogDamage` when the record does not follow the one before, or cannot be applied; `StateDamage` when a
  ///   store is then not what the record, or the checkpoint, says of it.
  public func apply(_ record: LogRecord) throws {
    try record.encoded.withUnsafeBytes { bytes in
      var reader = CBORReader(bytes)
      try apply(try RecordView(&reader))
    }
  }

  /// As above, without copying. O(bytes of the record), about half a microsecond for a small one.
  package func apply(_ record: RecordView) throws {
    guard lastSeq == 0 || record.seq == lastSeq + 1 else {
      throw LogDamage("seq \(record.seq) follows seq \(lastSeq)", offset: 0)
    }
    if lastSeq == 0, record.seq > 1 { isPartial = true }
    lastSeq = record.seq
    if record.outcome == .committed { try applyIntents(of: record) }
    if record.seq > fold.lastSeq { try fold.apply(record) }
    recall(record)
    if record.seq == overlap { try checkCheckpoint() }
    if let digests = try record.stateDigests() { try check(digests) }
  }

  /// Before the end of a checkpoint some of the stores are ahead.
  private func check(_ digests: StateDigests) throws(StateDamage) {
    if digests.seq >= overlap, !isPartial { try engine.stores.check(digests, isWhole: false) }
  }

  /// What is known of a seq that the stores have already.
  package func recall(_ record: RecordView) {
    let trigger = names.value(of: record.trigger) { engine.index(ofName: $0) }
    engine.withState { $0.recall(record, trigger: trigger) }
  }

  /// Seqs whose execution records the engine keeps.
  package var recordsKept: Int { engine.configuration.recordsKept }

  private func applyIntents(of record: RecordView) throws {
    writes.removeAll()
    try record.forEachIntent { intent in
      let action = try intent.action.mapStore { name in
        Unmanaged.passUnretained(try tables.value(of: name) { try self.table($0) })
      }
      if case .change(let change, let table) = action, record.seq <= overlap {
        try addMissing(intent, change, in: table.takeUnretainedValue(), seq: record.seq)
      } else {
        writes.add(action, key: intent.key.bindMemory(to: UInt8.self), value: intent.value)
      }
    }
    try engine.withState { state in
      do throws(Failure) {
        try state.committer.apply(writes, seq: record.seq)
      } catch { throw LogDamage("seq \(record.seq): \(error.message)", offset: 0) }
      sinceReclaim += 1
      if sinceReclaim >= 256 {
        sinceReclaim = 0
        let needed = isRead ? state.registry.advanceHorizon(undecided: record.seq) : horizon
        state.reclaimer.reclaim(horizon: min(record.seq, needed), frontier: record.seq)
      }
    }
  }

  /// Adds the intent unless the checkpoint has what it wrote, or something newer. A key that was deleted
  /// before the checkpoint reached it is made again here, and deleted again by the record that did.
  private func addMissing(
    _ intent: RecordView.Intent, _ change: ChangeKind, in table: StoreTable, seq: Int64
  ) throws {
    table.noteChange(seq)
    guard change == .replace else {
      let key = intent.key.bindMemory(to: UInt8.self)
      if table.newestSeq(key) < seq {
        writes.add(.change(change, .passUnretained(table)), key: key, value: intent.value)
      }
      return
    }
    var reader = CBORReader(intent.value)
    var wanted: [[UInt8]: UnsafeRawBufferPointer] = [:]
    for (key, value) in try reader.entries() { wanted[Array(key)] = value }
    // Keys that are there, and those that earlier intents of the same list are about to make.
    var keys: Set<[UInt8]> = []
    table.scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: .max) { entry, _ in
      keys.insert(Array(UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength))))
      return true
    }
    for index in 0..<writes.count {
      let write = writes.writes[index]
      if write.action.store?.toOpaque() == Unmanaged.passUnretained(table).toOpaque() {
        keys.insert(Array(write.keyBytes))
      }
    }
    for key in keys { set(key, wanted.removeValue(forKey: key), in: table, seq: seq) }
    for (key, value) in wanted { set(key, value, in: table, seq: seq) }
  }

  private func set(_ key: [UInt8], _ value: UnsafeRawBufferPointer?, in table: StoreTable, seq: Int64) {
    key.withUnsafeBufferPointer { key in
      guard table.newestSeq(key) < seq else { return }
      let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
      writes.add(
        .change(value == nil ? .delete : .put, .passUnretained(table)), key: key, value: value ?? nothing)
    }
  }

  // MARK: Accepted events

  /// An event that the log had accepted and not settled. After the last record.
  package func accept(_ event: AcceptedEvent) {
    fold.accept(event)
    accepted.insert(event.id)
  }
}

extension EngineState {
  /// A decided seq of an earlier run.
  package mutating func recall(_ record: RecordView, trigger: Int) {
    records.store(
      RecordRing.Item(
        seq: record.seq, identity: record.identity, admitted: record.admitted, decided: record.admitted,
        trigger: Int32(trigger), attempts: Int32(clamping: record.attempts),
        conflicts: Int32(clamping: max(0, record.attempts - 1)),
        outcome: record.outcome))
    if let failure = record.failure { records.store(failure, for: record.seq) }
  }
}
