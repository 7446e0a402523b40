import TriggerCore

/// The stores as a log leaves them, without an engine around them.
///
/// One thread applies; others may read as of a seq meanwhile, as long as `reclaim` is told the oldest one
/// that is needed.
final class ReplayState {
  let stores: StoreDirectory
  /// The newest seq applied.
  private(set) var seq: Int64 = 0
  private let reclaimer = Reclaimer()
  private let committer: Committer
  private var writes = WriteSet()
  /// Every table that was written, by name: one look-up without a lock.
  private var tables: [String: StoreTable] = [:]

  init(configuration: EngineConfiguration) {
    stores = StoreDirectory(isStrict: configuration.strictStores, limit: configuration.maximumStores)
    committer = Committer(reclaimer: reclaimer, limits: configuration.valueLimits)
  }

  /// A store that is there whatever the configuration says: history knows better.
  func table(_ name: String) -> StoreTable {
    if let known = tables[name] { return known }
    let table = stores.declare(name)
    tables[name] = table
    return table
  }

  // MARK: Writing

  /// Applies the next record of a log. Seqs are dense.
  ///
  /// - Throws: `LogDamage` when the record does not follow the one before, or cannot be applied.
  func apply(_ record: LogRecord) throws(LogDamage) {
    guard seq == 0 || record.seq == seq + 1 else {
      throw LogDamage("seq \(record.seq) follows seq \(seq)", offset: 0)
    }
    seq = record.seq
    guard record.outcome == .committed, !record.intents.isEmpty else { return }
    writes.removeAll()
    for intent in record.intents { add(intent, to: &writes) }
    do throws(Committer.Failure) { try committer.apply(writes, seq: seq) } catch {
      throw LogDamage("seq \(seq): \(error.message)", offset: 0)
    }
  }

  /// Adds an intent as a record has it.
  func add(_ intent: LogRecord.Intent, to writes: inout WriteSet) {
    guard let kind = IntentKind(intent.kind) else { return }
    let table = intent.store.isEmpty ? nil : table(intent.store)
    intent.key.withUnsafeBufferPointer { key in
      intent.value.withUnsafeBytes { writes.add(kind, table: table, key: key, value: $0) }
    }
  }

  /// Commits what an execution prepared. Several commits may have one seq.
  ///
  /// - Returns: the changed keys.
  func commit(
    _ writes: borrowing WriteSet, seq: Int64
  ) throws(Committer.Failure) -> [Committer.ChangedKey] {
    self.seq = max(self.seq, seq)
    return try committer.apply(writes, seq: seq, tellsKeys: true)
  }

  /// Gives a key a value and its version, before anything is applied to the key.
  func set(_ key: UnsafeBufferPointer<UInt8>, to value: UnsafeRawBufferPointer, in store: String, seq: Int64)
  {
    guard let base = key.baseAddress, key.count > 0 else { return }
    let table = table(store)
    let newest = max(table.changed.load(ordering: .relaxed), seq)
    let entry = table.makeEntry(
      base, key.count, hash: KeyHash.of(base, count: key.count), reclaim: reclaimer)
    table.put(
      Version.make(value.baseAddress, count: value.count), to: entry, seq: seq, reclaim: reclaimer)
    table.changed.store(newest, ordering: .releasing)
  }

  func fill(_ contents: [String: [String: Value]]) {
    for (store, content) in contents {
      _ = table(store)
      for (key, value) in content {
        var key = key
        key.withUTF8 { key in
          CanonicalEncoding.encode(value).withUnsafeBytes { set(key, to: $0, in: store, seq: 0) }
        }
      }
    }
  }

  /// Frees what nobody can reach who reads as of `horizon` or later. O(freed).
  func reclaim(horizon: Int64) { reclaimer.reclaim(horizon: horizon, frontier: seq) }

  /// The same stores as of now, to go on differently. O(keys).
  func copy(configuration: EngineConfiguration) -> ReplayState {
    let copy = ReplayState(configuration: configuration)
    for table in stores.existing {
      visit(table) { copy.set($0, to: $1, in: table.name, seq: $2) }
      // A store whose last change was a deletion remembers when.
      copy.table(table.name).changed.store(table.changed.load(ordering: .relaxed), ordering: .releasing)
    }
    copy.seq = seq
    return copy
  }

  // MARK: Reading, as of now

  /// Keys with their values and versions, in byte order of the keys.
  func visit(
    _ table: StoreTable,
    _ body: (_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeRawBufferPointer, _ version: Int64) throws ->
      Void
  ) rethrows {
    let all = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    var cursor = table.firstEntry(prefix: all)
    while let entry = cursor {
      if let version = Entry.visible(entry, at: seq), !version.isDeleted {
        try body(Entry.keyBytes(entry), Version.value(version), version.pointee.seq)
      }
      cursor = table.nextEntry(entry, prefix: all)
    }
  }

  /// The value at a key, nil when there is none, and the seq that wrote it.
  func value(_ store: String, _ key: [UInt8]) -> (bytes: [UInt8], version: Int64)? {
    guard let table = tables[store] else { return nil }
    let entry = key.withUnsafeBufferPointer { key in
      key.baseAddress.flatMap { table.entry($0, key.count, hash: KeyHash.of($0, count: key.count)) }
    }
    guard let entry, let version = Entry.visible(entry, at: seq), !version.isDeleted else { return nil }
    return (Array(Version.value(version)), version.pointee.seq)
  }
}

extension Entry {
  static func keyBytes(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: key(entry), count: Int(entry.pointee.keyLength))
  }
}

extension Version {
  /// Canonical encoding; the version is no deletion.
  static func value(_ version: UnsafeMutablePointer<Version>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes(version), count: Int(version.pointee.length))
  }
}
