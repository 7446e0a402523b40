import TriggerCore

/// The stores as a log leaves them, in an engine that never starts.
///
/// One thread applies; others may read as of a seq meanwhile, as long as `reclaim` is told the oldest one
/// that is needed.
package final class ReplayState {
  package let stores: StoreDirectory
  /// For a checkpoint, with the records that are in it in part: `apply` goes on from there.
  package let recovery: Recovery
  /// The newest seq applied.
  package var seq: Int64 { max(applied, recovery.lastSeq) }
  // One thread applies: no two accesses overlap (Architecture.md, Targets).
  @exclusivity(unchecked) private var applied: Int64 = 0
  private let reclaimer: Reclaimer
  private let committer: Committer
  @exclusivity(unchecked) private var writes = WriteSet()
  @exclusivity(unchecked) private var tables = NameCache<StoreTable>()
  /// It began in the middle of a log, without a checkpoint: the state is not that of any seq.
  @exclusivity(unchecked) private var isPartial = false

  package convenience init(configuration: EngineConfiguration) {
    var configuration = configuration
    configuration.recordsKept = 1
    let engine = Engine(configuration: configuration, clock: SystemClock(), log: nil)
    self.init(engine, Recovery(engine))
    recovery.declaresStores = true
  }

  /// Those of an engine that has recovered, and never starts.
  init(_ engine: Engine, _ recovery: Recovery) {
    self.recovery = recovery
    stores = engine.stores
    committer = engine.withState { $0.committer }
    reclaimer = committer.reclaimer
  }

  // MARK: Writing

  /// Applies the next record of a log. Seqs are dense. What recovery does, without remembering what is left
  /// to do: that would grow with the log.
  ///
  /// - Parameter reclaiming: nobody reads older versions: they are freed now and then.
  /// - Throws: `LogDamage` when the record does not follow the one before, or cannot be applied; `StateDamage` when a
  ///   store is then not what the record says of it.
  package func apply(_ record: RecordView, reclaiming: Bool) throws {
    if reclaiming, record.seq % 256 == 0 { reclaim(horizon: seq) }
    let newest = seq
    guard newest == 0 || record.seq == newest + 1 else {
      throw LogDamage("seq \(record.seq) follows seq \(newest)", offset: 0)
    }
    if newest == 0, record.seq > 1 { isPartial = true }
    applied = record.seq
    if record.outcome == .committed { try applyIntents(of: record) }
    if !isPartial, let digests = try record.stateDigests() { try stores.check(digests, isWhole: false) }
  }

  private func applyIntents(of record: RecordView) throws {
    writes.removeAll()
    try add(record, to: &writes)
    do throws(Failure) { try committer.apply(writes, seq: record.seq) } catch {
      throw LogDamage("seq \(record.seq): \(error.message)", offset: 0)
    }
  }

  /// Adds a record's intents.
  package func add(_ record: RecordView, to writes: inout WriteSet) throws {
    try record.forEachIntent { intent in
      let action = intent.action.mapStore { name in
        Unmanaged.passUnretained(tables.value(of: name) { stores.declare($0) })
      }
      writes.add(action, key: intent.key.bindMemory(to: UInt8.self), value: intent.value)
    }
  }

  /// Commits what an execution prepared. Several commits may have one seq.
  ///
  /// - Returns: the changed keys.
  package func commit(
    _ writes: borrowing WriteSet, seq: Int64
  ) throws(Failure) -> [Committer.ChangedKey] {
    applied = max(applied, seq)
    return try committer.apply(writes, seq: seq, tellsKeys: true, isNew: true)
  }

  /// Gives a key its first value.
  package func set(
    _ key: UnsafeBufferPointer<UInt8>, to value: UnsafeRawBufferPointer, in table: StoreTable, seq: Int64
  ) {
    let newest = table.changed.load(ordering: .relaxed)
    table.restore(key, value, seq: seq, reclaim: reclaimer)
    table.noteChange(newest)
  }

  package func fill(_ contents: [String: Value.Map]) {
    for (store, content) in contents {
      let table = stores.declare(store)
      for (key, value) in content where !key.isEmpty {
        var key = key
        key.withUTF8 { key in
          CanonicalEncoding.encode(value).withUnsafeBytes { set(key, to: $0, in: table, seq: 0) }
        }
      }
    }
  }

  /// Frees what nobody can reach who reads as of `horizon` or later. O(freed).
  package func reclaim(horizon: Int64) { reclaimer.reclaim(horizon: horizon, frontier: seq) }

  /// The same stores as of now, to go on differently. O(keys).
  package func copy(configuration: EngineConfiguration) -> ReplayState {
    let copy = ReplayState(configuration: configuration)
    for table in stores.existing {
      let other = copy.stores.declare(table.name)
      visit(table) { copy.set($0, to: $1, in: other, seq: $2) }
      // A store whose last change was a deletion remembers when.
      other.noteChange(table.changed.load(ordering: .relaxed))
    }
    copy.applied = seq
    return copy
  }

  // MARK: Reading, as of now

  /// Keys with their values and versions, in byte order of the keys.
  package func visit(
    _ table: StoreTable,
    _ body: (_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer, _ version: Int64) throws ->
      Void
  ) rethrows {
    let (all, seq) = (UnsafeBufferPointer<UInt8>(start: nil, count: 0), seq)
    var cursor = table.firstEntry(prefix: all)
    while let entry = cursor {
      if let version = Entry.visible(entry, at: seq), !version.isDeleted {
        try body(Entry.keyBytes(entry), Version.value(version), version.pointee.seq)
      }
      cursor = table.nextEntry(entry, prefix: all)
    }
  }

  /// The encoded value at a key, nil when there is none, and the seq that wrote it.
  package func value(_ key: [UInt8], in table: StoreTable) -> (bytes: [UInt8], version: Int64)? {
    let entry = key.withUnsafeBufferPointer { key in
      key.baseAddress.flatMap { table.entry($0, key.count, hash: KeyHash.of($0, count: key.count)) }
    }
    guard let entry, let version = Entry.visible(entry, at: seq), !version.isDeleted else { return nil }
    return (Array(Version.value(version)), version.pointee.seq)
  }
}

extension Entry {
  package static func keyBytes(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: key(entry), count: Int(entry.pointee.keyLength))
  }
}

extension Version {
  /// Canonical encoding; the version is no deletion.
  package static func value(_ version: UnsafeMutablePointer<Version>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes(version), count: Int(version.pointee.length))
  }
}
