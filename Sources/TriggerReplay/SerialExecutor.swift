import TriggerCore
import TriggerHost
import TriggerLua

/// Executes operations one after another on a state, and commits them there: the rules of the engine's
/// commits without its queue, its snapshots and its conflicts. One thread.
final class SerialExecutor {
  /// An event that a commit admits, and the triggers it reaches.
  struct Event {
    var kind: EventKind
    var name: String
    var payload: [UInt8]
    var triggers: [LoadedTrigger]
  }

  let state: ReplayState
  /// Who hears of what is emitted and committed.
  let router: Router
  /// The last execution; its intents are there until `commit`.
  let attempt = Attempt()
  /// What the last commit admitted.
  private(set) var events: [Event] = []
  private let emitRules: EmitRules
  private let runner: ScriptRunner
  private var commits = 0
  private let scratch = CBORBuffer(capacity: 1 << 12)

  init(
    _ state: ReplayState, configuration: EngineConfiguration, router: Router = Router(triggers: []),
    guardian: AttemptGuard = AttemptGuard()
  ) {
    self.state = state
    emitRules = EmitRules(configuration)
    self.router = router
    runner = ScriptRunner(stores: state.stores, configuration: configuration, guardian: guardian)
  }

  /// Executes a script on the newest state. Nothing is committed.
  func run(_ operation: Operation, patience: Int64 = 1, trace: LuaTrace? = nil) {
    attempt.reset()
    runner.run(operation, attempt, at: state.seq, patience: patience, trace: trace)
  }

  /// Takes intents as a record has them, in the place of an execution.
  func take(_ record: RecordView) throws {
    attempt.reset()
    try state.add(record, to: &attempt.writes)
  }

  /// Whether the execution prepared these intents.
  func hasPrepared(_ intents: UnsafeRawBufferPointer) -> Bool {
    attempt.hasPrepared(intents, scratch: scratch)
  }

  /// Commits what was executed or taken: all of it, or nothing when it failed or may not be.
  ///
  /// - Returns: whether it is committed; the reason is in `attempt.failure` when not.
  func commit(_ operation: Operation, seq: Int64) -> Bool {
    events.removeAll(keepingCapacity: true)
    guard attempt.status == .succeeded else { return false }
    let hearsOfCommits = !router.commitTriggers.isEmpty
    if let refusal = emitRules.refusal(of: operation, attempt, hearsOfCommits: hearsOfCommits) {
      attempt.failure = refusal
      return false
    }
    let changed: [Committer.ChangedKey]
    do throws(Failure) { changed = try state.commit(attempt.writes, seq: seq) } catch {
      attempt.failure = error
      return false
    }
    if attempt.writes.emits > 0 { collectEmits() }
    if hearsOfCommits, !changed.isEmpty {
      CommitEvents(seq: seq, source: operation.trigger.name).forEach(
        of: router.commitBindings.hear(changed), among: router.commitTriggers
      ) {
        events.append(Event(kind: .commit, name: "commit", payload: $1, triggers: [$0]))
      }
    }
    if !events.isEmpty {
      let family = operation.family ?? Operation.Family()
      for event in events { family.count += event.triggers.count }
      operation.family = family
    }
    commits += 1
    if commits % 256 == 0 { state.reclaim(horizon: state.seq) }
    return true
  }

  private func collectEmits() {
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes[index]
      guard case .emit = write.action else { continue }
      let name = String(decoding: write.keyBytes, as: UTF8.self)
      events.append(
        Event(
          kind: .event, name: name, payload: Array(write.operand), triggers: router.route(.event, name)))
    }
  }
}
