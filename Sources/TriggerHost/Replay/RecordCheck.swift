import TriggerCore

/// Executes recorded operations again and says how the result differs from the record. One thread.
final class RecordCheck {
  /// How often a trigger's time limit may be used up: the machine may be slower than it was, or busy.
  private static let patience: Int64 = 20

  private let configuration: EngineConfiguration
  private let runner: ScriptRunner
  private let attempt = Attempt()

  init(stores: StoreDirectory, configuration: EngineConfiguration, guardian: AttemptGuard) {
    self.configuration = configuration
    runner = ScriptRunner(stores: stores, configuration: configuration, guardian: guardian)
  }

  /// Whether an execution can be expected to give what the record says. Not those of Swift triggers, those
  /// that were ended from outside, and those whose seq ended without them.
  static func canExecute(_ record: LogRecord) -> Bool {
    record.tree > 0 && !record.isKilled && (record.outcome == .committed || record.outcome == .failed)
  }

  /// - Parameters:
  ///   - trigger: of the record's tree; nil when the tree has none of the name.
  ///   - snapshot: the seq before the record's.
  /// - Returns: how the execution differs from the record, nil when it does not.
  func difference(
    _ record: LogRecord, _ trigger: LoadedTrigger?, at snapshot: Int64
  ) -> Replayer.Difference? {
    guard let trigger else { return differs(record, "its script is not in tree \(record.tree)") }
    attempt.reset()
    runner.run(Operation.make(record, trigger), attempt, at: snapshot, patience: Self.patience)
    switch (record.outcome, attempt.status) {
    case (.committed, .succeeded):
      return attempt.prepared(record.intents) ? nil : differs(record, differingIntent(record))
    case (.committed, _): return differs(record, "committed then, fails now: \(attempt.error ?? "")")
    case (_, .succeeded):
      // Then it can only have failed because of what it emits, or when it was applied.
      let refusal =
        EmitRules(configuration).refusal(of: Operation.make(record, trigger), emits: attempt.writes.emits)
        ?? applyFailure(at: snapshot)
      if refusal == record.error { return nil }
      let now = refusal.map { "now with: \($0)" } ?? "now it commits"
      return differs(record, "failed then with: \(record.error ?? "no message"); \(now)")
    default:
      return Self.isSame(attempt.error, record.error)
        ? nil
        : differs(record, "failed then with: \(record.error ?? ""); now with: \(attempt.error ?? "")")
    }
  }

  private func differs(_ record: LogRecord, _ reason: String) -> Replayer.Difference {
    Replayer.Difference(seq: record.seq, trigger: record.trigger, reason: reason)
  }

  /// Where exactly memory ran out depends on what was in it before.
  private static func isSame(_ now: String?, _ then: String?) -> Bool {
    let words = "out of memory: the attempt reached its limit"
    return now == then || now?.contains(words) == true && then?.contains(words) == true
  }

  private func differingIntent(_ record: LogRecord) -> String {
    let now = attempt.intents
    for index in 0..<max(now.count, record.intents.count) {
      let old = index < record.intents.count ? record.intents[index] : nil
      let new = index < now.count ? now[index] : nil
      if old != new {
        return
          "intent \(index + 1) was \(old.map { "\($0)" } ?? "nothing"), now it is \(new.map { "\($0)" } ?? "nothing")"
      }
    }
    preconditionFailure("intents of seq \(record.seq) are equal and are not")
  }

  /// Why the intents just prepared cannot be applied to the state as of `snapshot`; nil when they can. Tried
  /// on a copy of what they touch.
  private func applyFailure(at snapshot: Int64) -> String? {
    let copy = ReplayState(configuration: configuration)
    var writes = WriteSet()
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes[index]
      let isWhole = write.kind == .replace
      write.table?._withUnsafeGuaranteedRef { table in
        // The key itself comes first among those that begin with it.
        table.scan(prefix: isWhole ? .init(start: nil, count: 0) : write.keyBytes, at: snapshot) {
          copy.set(Entry.keyBytes($0), to: Version.value($1), in: table.name, seq: 0)
          return isWhole
        }
        let operand = write.kind == .delete ? .init(start: nil, count: 0) : write.operand
        writes.add(
          write.kind, table: copy.table(table.name), key: write.keyBytes,
          value: UnsafeRawBufferPointer(operand))
      }
    }
    do throws(Committer.Failure) { _ = try copy.commit(writes, seq: 1) } catch { return error.message }
    return nil
  }
}
