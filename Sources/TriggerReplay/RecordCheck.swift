import TriggerCore
import TriggerHost

/// Executes recorded operations again and says how the result differs from the record. One thread.
final class RecordCheck {
  /// How often a trigger's time limit may be used up where time does not matter: the machine may be slower
  /// than it was, or busy.
  private static let patience: Int64 = 20

  private let configuration: EngineConfiguration
  private let emitRules: EmitRules
  private let runner: ScriptRunner
  private let attempt = Attempt()
  private let encoded = CBORBuffer(capacity: 1 << 12)

  init(stores: StoreDirectory, configuration: EngineConfiguration, guardian: AttemptGuard) {
    self.configuration = configuration
    emitRules = EmitRules(configuration)
    runner = ScriptRunner(stores: stores, configuration: configuration, guardian: guardian)
  }

  /// Whether an execution can be expected to give what the record says. Not those of Swift triggers, those
  /// that were ended from outside, and those whose seq ended without them.
  static func canExecute(_ record: RecordView) -> Bool {
    record.tree > 0 && !record.isKilled && (record.outcome == .committed || record.outcome == .failed)
  }

  /// Executes a record on the state as of the seq before it.
  ///
  /// - Parameter most: wall nanoseconds that the execution may take; its trigger's time limit holds as well then.
  ///   nil where time does not matter.
  /// - Returns: how the execution differs from the record, nil when it does not.
  func difference(
    _ item: RecordBatch.Item, of batch: RecordBatch, most: Int64? = nil
  ) -> Replayer.Difference? {
    guard let trigger = item.trigger else {
      return Replayer.Difference(
        seq: item.seq, trigger: batch.name(item), reason: "its script is not in tree \(item.tree)")
    }
    let operation = batch.operation(item, trigger)
    attempt.reset()
    runner.run(
      operation, attempt, at: item.seq - 1, patience: most == nil ? Self.patience : 1, most: most ?? .max)
    guard let reason = reason(item, of: batch, operation) else { return nil }
    return Replayer.Difference(seq: item.seq, trigger: trigger.name, reason: reason)
  }

  private func reason(_ item: RecordBatch.Item, of batch: RecordBatch, _ operation: Operation) -> String? {
    switch (item.isCommitted, attempt.status) {
    case (true, .succeeded):
      return attempt.hasPrepared(batch.intents(item), scratch: encoded)
        ? nil : differingIntent(batch.intents(item))
    case (true, _): return "committed then, fails now: \(attempt.failure.map { "\($0)" } ?? "")"
    case (false, .succeeded):
      // Then it can only have failed because of what it emits, or when it was applied. What else had come of its cause,
      // and what a backend took, is not in the log.
      if item.code == .offspring || item.code == .refused { return nil }
      let failure =
        emitRules.refusal(of: operation, attempt, hearsOfCommits: false) ?? applyFailure(at: item.seq - 1)
      return difference(from: item, of: batch, failure)
    default: return difference(from: item, of: batch, attempt.failure)
    }
  }

  /// - Parameter now: nil when it commits.
  private func difference(from item: RecordBatch.Item, of batch: RecordBatch, _ now: Failure?) -> String? {
    // An older version has written no code: whether it fails is all that can be compared.
    if let now, item.code == nil || now.code == item.code { return nil }
    if now == nil, item.code == nil { return nil }
    let then = [item.code?.rawValue, batch.error(item)].compactMap(\.self).joined(separator: ": ")
    return "failed then with \(then); " + (now.map { "now with \($0.code.rawValue): \($0)" } ?? "commits now")
  }

  private func differingIntent(_ recorded: UnsafeRawBufferPointer) -> String {
    let now = attempt.intents
    guard let then = try? LogCoding.intents(recorded) else { return "its recorded intents are damaged" }
    let index = zip(then, now).enumerated().first { $1.0 != $1.1 }?.offset ?? min(then.count, now.count)
    func text(_ intents: [LogRecord.Intent]) -> String {
      index < intents.count ? "\(intents[index])" : "nothing"
    }
    return "intent \(index + 1) was \(text(then)), now it is \(text(now))"
  }

  /// Why the intents just prepared cannot be applied to the state as of `snapshot`; nil when they can. Tried
  /// on a copy of what they touch.
  private func applyFailure(at snapshot: Int64) -> Failure? {
    let copy = ReplayState(configuration: configuration)
    var writes = WriteSet()
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes[index]
      guard case .change(let change, let table) = write.action else { continue }
      let isWhole = change == .replace
      table._withUnsafeGuaranteedRef { table in
        let other = copy.stores.declare(table.name)
        // The key itself comes first among those that begin with it.
        table.scan(prefix: isWhole ? .init(start: nil, count: 0) : write.keyBytes, at: snapshot) {
          copy.set(Entry.keyBytes($0), to: Version.value($1), in: other, seq: 0)
          return isWhole
        }
        let operand = change == .delete ? .init(start: nil, count: 0) : write.operand
        writes.add(
          .change(change, .passUnretained(other)), key: write.keyBytes,
          value: UnsafeRawBufferPointer(operand))
      }
    }
    do throws(Failure) { _ = try copy.commit(writes, seq: 1) } catch { return error }
    return nil
  }
}
