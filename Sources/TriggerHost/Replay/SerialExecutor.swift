import TriggerCore
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
  private let configuration: EngineConfiguration
  private let runner: ScriptRunner
  private var commits = 0
  private let scratch = CBORBuffer(capacity: 1 << 12)

  init(
    _ state: ReplayState, configuration: EngineConfiguration, router: Router = Router(triggers: []),
    guardian: AttemptGuard = AttemptGuard()
  ) {
    self.state = state
    self.configuration = configuration
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
  /// - Returns: whether it is committed; the reason is in `attempt.error` when not.
  func commit(_ operation: Operation, seq: Int64) -> Bool {
    events.removeAll(keepingCapacity: true)
    guard attempt.status == .succeeded else { return false }
    let hearsOfCommits = !router.commitTriggers.isEmpty
    if let refusal = EmitRules(configuration).refusal(of: operation, attempt, hearsOfCommits: hearsOfCommits)
    {
      attempt.error = refusal
      return false
    }
    let changed: [Committer.ChangedKey]
    do throws(Committer.Failure) { changed = try state.commit(attempt.writes, seq: seq) } catch {
      attempt.error = error.message
      return false
    }
    if attempt.writes.emits > 0 { collectEmits() }
    if hearsOfCommits, !changed.isEmpty { collectCommitEvents(changed, operation, seq) }
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
    for index in 0..<attempt.writes.count where attempt.writes.writes[index].table == nil {
      let write = attempt.writes.writes[index]
      let name = String(decoding: write.keyBytes, as: UTF8.self)
      events.append(
        Event(
          kind: .event, name: name, payload: Array(write.operand), triggers: router.route(.event, name)))
    }
  }

  /// One event per trigger bound to `commit`, listing the keys.
  private func collectCommitEvents(_ changed: [Committer.ChangedKey], _ operation: Operation, _ seq: Int64) {
    let names = changed.map { change in
      let store = change.table._withUnsafeGuaranteedRef { $0.name }
      return "\(store)/\(String(decoding: change.key, as: UTF8.self))"
    }
    for trigger in router.commitTriggers {
      let patterns = trigger.options.on.filter { $0.kind == .commit }
      var (keys, seen) = ([Value](), Set<String>())
      for name in names where patterns.contains(where: { $0.matches(name) }) && seen.insert(name).inserted {
        keys.append(.string(name))
      }
      if keys.isEmpty { continue }
      let event = Value.map([
        "keys": .array(keys), "seq": .int(seq), "trigger": .string(operation.trigger.name),
      ])
      events.append(
        Event(
          kind: .commit, name: "commit", payload: CanonicalEncoding.encode(event), triggers: [trigger]))
    }
  }
}

/// How much a commit may emit: the engine's rules.
struct EmitRules {
  private let configuration: EngineConfiguration
  init(_ configuration: EngineConfiguration) { self.configuration = configuration }

  /// Why the operation may not emit what it wants to emit, nil when it may.
  ///
  /// - Parameter hearsOfCommits: some trigger is bound to commits.
  func refusal(of operation: Operation, _ attempt: Attempt, hearsOfCommits: Bool) -> String? {
    let (emits, name) = (attempt.writes.emits, operation.trigger.name)
    if operation.hops > configuration.maximumHops {
      return "loop: \(name) is more than \(configuration.maximumHops) hops from its cause"
    }
    if emits > 0, operation.hops >= configuration.maximumHops {
      return "loop: \(name) emits after \(configuration.maximumHops) hops from one cause"
    }
    if emits > configuration.maximumEmits {
      return
        "\(name) emits \(emits) events in one commit; at most \(configuration.maximumEmits) are allowed (limits.emits)"
    }
    let mayAdd = emits > 0 || operation.kind == .commit && attempt.writes.count > 0 && hearsOfCommits
    if mayAdd, let family = operation.family, family.count >= configuration.maximumOffspring {
      return
        "loop: \(name) would add to the \(family.count) operations that came of one cause already \(Self.offspring)"
    }
    return nil
  }

  private static let offspring = "(limits.offspring)"

  /// Whether an error tells of something that is not in the record that it failed: how much else has come of
  /// the same cause.
  static func dependsOnOthers(_ error: String?) -> Bool {
    error?.hasPrefix("loop: ") == true && error?.hasSuffix(offspring) == true
  }
}
