import DequeModule
import TriggerCore
import TriggerHost

/// History with other scripts: executes the recorded outside events against them, one operation after
/// another, and says what differs from the log.
///
/// What stays as recorded: which outside events there are, their order and admission times; the identity
/// (`ctx.seq`, random seed) and the place of every operation that happens in both worlds; what was skipped.
/// An operation happens when the new scripts bind its trigger to its event, or when it was sent to a trigger
/// by name; an emitted one, when its cause emits the event again (the nth of that name in the commit is the
/// nth). Everything new runs right after what causes it, in order: what is emitted and was not, and what a
/// newly bound trigger makes of an outside event, which comes after that event's most urgent recorded
/// operation. A recorded retry happens when its failure does; a new failure is not tried again.
///
/// Deferrals do not matter: the order is that of the last seqs. `coalesce`, `debounce`, `throttle` and `mode`
/// decide by time, so history decides for its own operations, and new ones all run.
///
/// Memory: two states, and what is emitted and not decided. One thread: the one that made it.
///
/// `recovery` and `restore` bring history to the seq before the range; then come the records of the range.
public final class WhatIf {
  /// Identities of new operations count from here: no recorded one is so high, and a JSON number holds them.
  private static let firstNewIdentity: Int64 = 1 << 48
  /// New operations after one recorded operation: what emits without end is stopped.
  var newOperationsAtOnce = 1_000_000

  private let configuration: EngineConfiguration
  private let newScripts: ScriptTree
  private let report: (Difference) -> Void
  private let history: ReplayState
  let recorded: RecordedScripts
  /// Set with the first record of the range.
  private var other: Other?
  private var queue: Deque<NewOperation> = []
  private var newOperations: Int64 = 0
  private var newAtOnce = 0
  /// The scripts of the time; operations of Swift triggers do not say it.
  private var newestTree = 0
  private var emitted = EmittedOperations()
  /// By failed seq: what history tries again later.
  private var retries: [Int64: EmittedOperations.Waiting] = [:]
  /// By seq that has failed for good in both worlds: what somebody may have put back.
  private var dead: [Int64: EmittedOperations.Waiting] = [:]
  private var deadSeqs: Deque<Int64> = []
  private var summary = Summary()

  /// The other world.
  private struct Other {
    var executor: SerialExecutor
    var triggers: [String: LoadedTrigger]
    var bindings: BindingChanges
  }

  /// An operation that history does not have.
  private struct NewOperation {
    var trigger: LoadedTrigger
    var kind: EventKind
    var event: String
    var payload: [UInt8]
    var admitted: Int64
    var hops: Int
    /// What has come of the same cause.
    var family: Operation.Family?
  }

  /// What is to be done for a recorded operation.
  private enum Plan {
    case run(Operation)
    /// A Swift trigger's: it is not there to be executed.
    case take(Operation)
    case skip
    case drop(reason: String)
  }

  /// - Parameters:
  ///   - scripts: the other scripts.
  ///   - stores: content before the first commit.
  ///   - configuration: limits and seed.
  ///   - recorded: the tree of a number in the log, nil when it is not known.
  ///   - report: called for each operation that differs, in order.
  public init(
    _ scripts: ScriptTree, stores: [String: Value.Map] = [:],
    configuration: EngineConfiguration = EngineConfiguration(),
    recorded: @escaping (_ tree: Int) throws -> ScriptTree?, report: @escaping (Difference) -> Void
  ) {
    newScripts = scripts
    self.configuration = configuration
    self.report = report
    self.recorded = RecordedScripts(seed: configuration.seed, recorded)
    var lenient = configuration
    lenient.strictStores = false
    history = ReplayState(configuration: lenient)
    history.fill(stores)
  }

  /// For who brings history to where a checkpoint ends, before the range.
  package var recovery: Recovery { history.recovery }
  package func apply(_ record: RecordView) throws {
    precondition(other == nil, "seq \(record.seq) comes after the range has begun")
    try history.apply(record, reclaiming: true)
  }

  /// Applies a record before the range to both worlds.
  ///
  /// - Throws: `LogDamage`.
  public func apply(_ record: LogRecord) throws { try record.withView { try apply($0) } }

  /// Takes the next record of the range.
  ///
  /// - Throws: `LogDamage`; what `recorded` throws; `WhatIfError` when the new scripts emit without end.
  public func run(_ record: LogRecord) throws { try record.withView { try run($0) } }

  /// As above, from where the record lies.
  package func run(_ view: RecordView) throws {
    if other == nil { try begin(view) }
    try history.apply(view, reclaiming: true)
    summary.last = view.seq
    if view.outcome == .deferred { return }
    let record = try LogRecord(view, intents: false)
    if record.isFromOutside { summary.outside += 1 }
    newAtOnce = 0
    try carryOut(try plan(record), record, view)
    while let next = queue.popFirst() { try run(next, at: view.seq) }
  }

  /// The totals. Nothing can be run afterwards.
  public func finish() -> Summary {
    summary.undecided = emitted.undecided + retries.count
    return summary
  }

  /// Visits the keys whose final values differ, by store and in byte order of the keys. O(keys).
  ///
  /// - Throws: what `body` throws; `ValueError` when a stored value is damaged.
  public func visitStateDifferences(_ body: (StateDifference) throws -> Void) throws {
    guard let other else { return }
    try history.visitDifferences(to: other.executor.state, body)
  }

  // MARK: The two worlds

  private func begin(_ record: RecordView) throws {
    summary.first = record.seq
    // As if the new scripts had been in force instead of those: their chunks see the same clock.
    let then = record.tree > 0 ? try recorded.tree(record.tree).loaded.identity : nil
    let identity = ScriptTree.Identity(
      number: .max, time: then?.time ?? record.admitted, seed: then?.seed ?? configuration.seed)
    let tree = recorded.add(newScripts, identity: identity)
    let router = tree.makeRouter()
    other = Other(
      executor: SerialExecutor(
        history.copy(configuration: configuration), configuration: configuration, router: router),
      triggers: tree.triggers, bindings: BindingChanges(to: router))
  }

  // MARK: One recorded operation

  private func plan(_ record: LogRecord) throws -> Plan {
    if record.isFromOutside { try admitNewcomers(record) }
    if record.tree == 0, record.outcome != .skipped {
      return .take(operation(record, swiftTrigger(record), payload: record.payload, hops: record.hops))
    }
    guard let origin = record.cause?.seq ?? record.retryOf, origin >= summary.first else {
      return try planGiven(record)
    }
    let waiting = record.retryOf.map { takeFailed($0) } ?? emitted.take(record)
    guard let waiting else { return .drop(reason: whyGone(record)) }
    if record.outcome == .skipped { return .skip }
    let operation = operation(record, waiting.trigger, payload: waiting.payload, hops: waiting.hops)
    operation.family = waiting.family
    return .run(operation)
  }

  /// One whose event is given: it came from outside, or before the range.
  private func planGiven(_ record: LogRecord) throws -> Plan {
    if record.outcome == .skipped { return .skip }
    let change = try bindingChange(record)
    guard let trigger = other!.triggers[record.trigger] else {
      if change.isSentByName { summary.missingTargets[record.trigger, default: 0] += 1 }
      return .drop(reason: whyGone(record))
    }
    guard change.isBound || change.isSentByName else { return .drop(reason: whyGone(record)) }
    return .run(operation(record, trigger, payload: record.payload, hops: record.hops))
  }

  /// What was put in force, or sent to a Swift trigger, by name reaches nobody else.
  private func admitNewcomers(_ record: LogRecord) throws {
    if record.tree == 0, record.event.isEmpty || record.trigger == ReservedTrigger.scripts { return }
    for trigger in try bindingChange(record).newcomers {
      queue.append(
        NewOperation(
          trigger: trigger, kind: record.kind, event: record.event, payload: record.payload,
          admitted: record.admitted, hops: record.hops))
    }
  }

  private func bindingChange(_ record: LogRecord) throws -> BindingChanges.Change {
    if record.tree > 0 { newestTree = record.tree }
    if let known = other!.bindings.known(record, tree: newestTree) { return known }
    return other!.bindings.change(for: record, in: try recorded.tree(newestTree))
  }

  private func operation(
    _ record: LogRecord, _ trigger: LoadedTrigger, payload: [UInt8], hops: Int
  ) -> Operation {
    Operation.make(
      trigger, kind: record.kind, event: record.event, payload: payload, admitted: record.admitted,
      identity: record.identity, hops: hops, source: record.source, cause: record.cause)
  }

  private func swiftTrigger(_ record: LogRecord) -> LoadedTrigger {
    // Its operation keeps it, since no tree does.
    LoadedTrigger(
      index: 0, name: record.trigger, body: .missing, options: TriggerOptions(), isAdopted: true)
  }

  private func whyGone(_ record: LogRecord) -> String {
    if other!.triggers[record.trigger] == nil { return "the new scripts have no trigger '\(record.trigger)'" }
    if let cause = record.cause, cause.seq >= summary.first {
      return "seq \(cause.seq) does not emit it to '\(record.trigger)'"
    }
    if let failed = record.retryOf {
      return record.isRequeued
        ? "seq \(failed) does not fail, so nobody puts it back" : "seq \(failed) is not tried again"
    }
    return "'\(record.trigger)' is not bound to \(record.kind) \(record.event)"
  }

  private func carryOut(_ plan: Plan, _ record: LogRecord, _ view: RecordView) throws {
    switch plan {
    case .run(let operation): try execute(operation, record, view)
    case .take(let operation):
      summary.kept += 1
      let executor = other!.executor
      try executor.applyIntents(of: view)
      if executor.commit(operation, seq: record.seq) { try admitEvents(of: operation, record) }
    case .skip: summary.skipped += 1
    case .drop(let reason):
      summary.gone += 1
      tell(
        Difference(
          kind: .gone, seq: record.seq, trigger: record.trigger, eventKind: record.kind, event: record.event,
          payload: record.payload, old: try Result(view), reason: reason))
    }
  }

  private func execute(_ operation: Operation, _ record: LogRecord, _ view: RecordView) throws {
    let executor = other!.executor
    executor.run(operation)
    let attempt = executor.attempt
    let isSame =
      attempt.status == .succeeded && view.outcome == .committed && executor.hasPrepared(view.intents)
    let intents = isSame ? [] : attempt.intents
    let isCommitted = executor.commit(operation, seq: view.seq)
    if !isCommitted {
      summary.failed += 1
      if view.outcome != .failed { summary.failedAnew += 1 }
      noteFailure(of: operation, record)
    } else if view.outcome == .failed {
      summary.mended += 1
    }
    let failsAlike = !isCommitted && view.outcome == .failed && ErrorText.isSame(attempt.failure, view)
    if isSame && isCommitted || failsAlike {
      summary.same += 1
    } else {
      summary.changed += 1
      tell(
        Difference(
          kind: .changed, seq: record.seq, trigger: record.trigger, eventKind: record.kind,
          event: record.event, payload: Array(operation.payload),
          recordedPayload: operation.payload.elementsEqual(record.payload) ? nil : record.payload,
          old: try Result(view), new: Result(isCommitted, intents, attempt.failure)))
    }
    if isCommitted { try admitEvents(of: operation, record) }
  }

  /// History tries it again, and the new scripts would; or it has failed for good, and may be put back.
  private func noteFailure(of operation: Operation, _ record: LogRecord) {
    let waiting = EmittedOperations.Waiting(
      trigger: operation.trigger, payload: Array(operation.payload), hops: Int(operation.hops),
      family: operation.family)
    if record.retryAt != nil {
      guard let retry = operation.trigger.options.retry, record.tries + 1 < retry.attempts else { return }
      retries[record.seq] = waiting
    } else if record.outcome == .failed {
      dead[record.seq] = waiting
      deadSeqs.append(record.seq)
      if deadSeqs.count > LogFold.deadKept { dead[deadSeqs.removeFirst()] = nil }
    }
  }

  private func takeFailed(_ seq: Int64) -> EmittedOperations.Waiting? {
    retries.removeValue(forKey: seq) ?? dead.removeValue(forKey: seq)
  }

  private func tell(_ difference: Difference) {
    if summary.firstDifference == nil { summary.firstDifference = difference.seq }
    report(difference)
  }

  // MARK: What history does not have

  private func run(_ new: NewOperation, at seq: Int64) throws {
    newAtOnce += 1
    if newAtOnce > newOperationsAtOnce {
      throw WhatIfError(
        "the new scripts emit without end: seq \(seq) has caused more than \(newOperationsAtOnce) new operations, the last of trigger '\(new.trigger.name)'"
      )
    }
    let operation = Operation.make(
      new.trigger, kind: new.kind, event: new.event, payload: new.payload, admitted: new.admitted,
      identity: Self.firstNewIdentity + newOperations, hops: new.hops)
    operation.family = new.family
    newOperations += 1
    let executor = other!.executor
    executor.run(operation)
    let intents = executor.attempt.intents
    let isCommitted = executor.commit(operation, seq: seq)
    summary.new += 1
    if !isCommitted {
      summary.failed += 1
      summary.failedAnew += 1
    }
    tell(
      Difference(
        kind: .new, seq: seq, trigger: new.trigger.name, eventKind: new.kind, event: new.event,
        payload: new.payload, new: Result(isCommitted, intents, executor.attempt.failure)))
    if isCommitted { try admitEvents(of: operation, nil) }
  }

  /// The events of the commit just made: what history has as well waits for its place, the rest runs next.
  private func admitEvents(of operation: Operation, _ record: LogRecord?) throws {
    let events = other!.executor.events
    if events.isEmpty { return }
    var places = EmittedOperations.Places(record)
    for event in events {
      for trigger in event.triggers {
        let hops = Int(operation.hops) + 1
        if let place = places.claim(event, trigger.name) {
          emitted.add(
            event, trigger, hops: hops, family: operation.family,
            cause: LogRecord.Cause(seq: record!.seq, index: place),
            recorded: record!.emissions[place].payload,
            by: record!.tree > 0 ? try recorded.tree(record!.tree).triggers[trigger.name] : nil)
        } else {
          queue.append(
            NewOperation(
              trigger: trigger, kind: event.kind, event: event.name, payload: event.payload,
              admitted: operation.admitted, hops: hops, family: operation.family))
        }
      }
    }
  }
}

/// Why history cannot be run with these scripts.
public struct WhatIfError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What they do, and at which seq.
  public let description: String
  init(_ description: String) { self.description = description }
}

extension LogRecord {
  /// No commit and no failed operation is before it.
  fileprivate var isFromOutside: Bool { cause == nil && retryOf == nil }
}

extension WhatIf.Result {
  fileprivate init(_ record: RecordView) throws {
    self.init(
      outcome: record.outcome, intents: try LogCoding.intents(record.intents), error: record.error?.utf8Text,
      code: record.code)
  }

  fileprivate init(_ isCommitted: Bool, _ intents: [LogRecord.Intent], _ failure: Failure?) {
    self.init(
      outcome: isCommitted ? .committed : .failed, intents: isCommitted ? intents : [],
      error: isCommitted ? nil : failure?.message, code: isCommitted ? nil : failure?.code)
  }
}
