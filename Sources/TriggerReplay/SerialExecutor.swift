import TriggerCore
import TriggerHost
import TriggerLua

/// Executes operations one after another on a state, and commits them there: the rules of the engine's
/// commits without its queue, its snapshots and its conflicts. One thread.
final class SerialExecutor {
  let state: ReplayState
  /// Who hears of what is emitted and committed.
  let router: Router
  /// The last execution; its intents are there until `commit`.
  let attempt = Attempt()
  /// What the last commit admitted.
  private(set) var events: [EmittedEvent] = []
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
  func applyIntents(of record: RecordView) throws {
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
    events = router.events(of: attempt, changed: changed, seq: seq, trigger: operation.trigger)
    if !events.isEmpty { _ = operation.addOffspring(events) }
    commits += 1
    if commits % 256 == 0 { state.reclaim(horizon: state.seq) }
    return true
  }
}
