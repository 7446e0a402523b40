import TriggerCore

/// Rebuilds an engine's state from its log: applies the commits, and finds what was admitted by them and
/// never decided. Used before the engine starts, by one thread.
public final class Recovery {
  private let engine: Engine
  /// The newest seq applied so far.
  public private(set) var lastSeq: Int64 = 0
  private var writes = WriteSet()
  private var pending: [Pending: LogRecord] = [:]

  /// An operation that is admitted and not decided.
  private enum Pending: Hashable {
    case emitted(LogRecord.Cause, trigger: String)
    case deferred(identity: Int64)
  }

  init(_ engine: Engine) { self.engine = engine }

  /// Applies the next record. Seqs are dense.
  ///
  /// - Throws: `LogDamage` when the record does not follow the one before, or cannot be applied.
  public func apply(_ record: LogRecord) throws {
    guard lastSeq == 0 || record.seq == lastSeq + 1 else {
      throw LogDamage("seq \(record.seq) follows seq \(lastSeq)", offset: 0)
    }
    lastSeq = record.seq
    if record.outcome == .committed { try applyIntents(of: record) }
    track(record)
    engine.withState { $0.recall(record, trigger: self.engine.index(ofName: record.trigger)) }
  }

  private func applyIntents(of record: LogRecord) throws {
    writes.removeAll()
    for intent in record.intents {
      guard let kind = IntentKind(intent.kind) else { continue }
      let table = try intent.store.isEmpty ? nil : engine.stores.table(intent.store)
      intent.key.withUnsafeBufferPointer { key in
        intent.value.withUnsafeBytes { writes.add(kind, table: table, key: key, value: $0) }
      }
    }
    try engine.withState { state in
      do throws(Committer.Failure) {
        try state.committer.apply(writes, seq: record.seq)
      } catch { throw LogDamage("seq \(record.seq): \(error.message)", offset: 0) }
      state.reclaimer.reclaim(horizon: record.seq, frontier: record.seq)
    }
  }

  /// Every event of a commit becomes its operations exactly once: what is left at the end was admitted and
  /// not decided.
  private func track(_ record: LogRecord) {
    if record.outcome == .deferred {
      if let cause = record.cause { pending[.emitted(cause, trigger: record.trigger)] = nil }
      pending[.deferred(identity: record.identity)] = record
      return
    }
    pending[.deferred(identity: record.identity)] = nil
    if let cause = record.cause { pending[.emitted(cause, trigger: record.trigger)] = nil }
    for (index, emission) in record.emissions.enumerated() {
      for trigger in emission.triggers {
        var operation = record
        operation.identity = 0
        operation.trigger = trigger
        operation.kind = emission.kind
        operation.event = emission.name
        operation.payload = emission.payload
        operation.hops = record.hops + 1
        operation.cause = LogRecord.Cause(seq: record.seq, index: index)
        operation.source = emission.kind == .commit ? 1 << 62 : StableHash.of(record.trigger) | 1 << 63
        pending[.emitted(operation.cause!, trigger: trigger)] = operation
      }
    }
  }

  /// What is left to do, in the order it was admitted in.
  var unfinished: [LogRecord] {
    pending.values.sorted { left, right in
      func place(_ record: LogRecord) -> (Int64, Int, String) {
        (
          record.identity != 0 ? record.identity : record.cause!.seq,
          record.identity != 0 ? -1 : record.cause!.index, record.trigger
        )
      }
      return place(left) < place(right)
    }
  }
}

extension IntentKind {
  /// The kind of a record's intent; nil for none of ours.
  init?(_ name: String) {
    switch name {
    case "put": self = .put
    case "delete": self = .delete
    case "add": self = .add
    case "max": self = .max
    case "min": self = .min
    case "append": self = .append
    case "replace": self = .replace
    case "emit": self = .emit
    default: return nil
    }
  }
}

extension EngineState {
  /// A decided seq of an earlier run.
  mutating func recall(_ record: LogRecord, trigger: Int) {
    records.store(
      RecordRing.Item(
        seq: record.seq, identity: record.identity, admitted: record.admitted, decided: record.admitted,
        trigger: Int32(trigger), attempts: Int32(record.attempts),
        conflicts: Int32(max(0, record.attempts - 1)),
        outcome: record.outcome))
    if let error = record.error { records.store(error: error, for: record.seq) }
  }
}
