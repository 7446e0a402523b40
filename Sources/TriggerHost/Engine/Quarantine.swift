import TriggerCore

/// Triggers in quarantine, and attempts that never ended. Engine lock.
struct Stuck {
  /// By name of the trigger: nobody but a changed script lets it run.
  private(set) var quarantined: [String: (item: Quarantine, trigger: LoadedTrigger)] = [:]
  /// What the threads of workers that were given up may still read as of.
  var attempts: [Attempt] = []
  /// Attempts of Swift triggers that were given up and have not returned.
  var detached = 0
  /// To be told of, once the lock is released.
  var notices: [StuckNotice] = []
  var count: Int { attempts.count + detached }

  /// False is the rule, and asks for no trigger: a reference to one costs as much as all the rest of the question.
  var hasQuarantined: Bool { !quarantined.isEmpty }

  func quarantine(of trigger: LoadedTrigger) -> Quarantine? { quarantined[trigger.name]?.item }

  mutating func add(_ operation: Operation, at time: Int64, isLowered: Bool) {
    let trigger = operation.trigger
    // Those under way beside the first one may get stuck as well.
    if quarantined[trigger.name] != nil { return }
    let item = Quarantine(
      trigger: trigger.name, seq: operation.identity, since: time, isScript: trigger.kind == .lua)
    quarantined[trigger.name] = (item, trigger)
    notices.append(.quarantined(item, isLowered: isLowered))
  }

  /// Other triggers come into force: those whose scripts have changed run again.
  mutating func lift(by set: TriggerSet) {
    for (name, entry) in quarantined where entry.trigger.differs(from: set[name]) {
      quarantined[name] = nil
      notices.append(.lifted(entry.item))
    }
  }
}

extension LoadedTrigger {
  /// Whether the script, or what it loads, is another one now. A Swift trigger changes with the program alone.
  fileprivate func differs(from other: LoadedTrigger?) -> Bool {
    guard case .lua(let tree, let path) = body else { return false }
    guard let other, case .lua(let newTree, let newPath) = other.body, newPath == path else { return true }
    let changed = Set(newTree.sources.files.changes(since: tree.sources.files).paths)
    return !changed.isDisjoint(with: tree.parts(of: path).union(newTree.parts(of: path)))
  }
}

// MARK: Giving up

extension EngineState {
  /// An operation that is dequeued while its trigger is in quarantine is decided without a worker.
  mutating func refuse(_ operation: Operation, _ quarantine: Quarantine, at now: MonotonicTime) {
    operation.attempt!.reset()
    // Ended from outside: no replay runs it.
    operation.attempt!.status = .killed
    operation.attempt!.failure = quarantine.failure
    hasRefused = true
    complete(operation, at: now)
  }

  /// An attempt of an operation has not ended, and nobody waits for it any more: it fails, and the trigger runs no
  /// more. What the attempt still does counts nothing.
  mutating func giveUp(_ operation: Operation, _ error: String, isLowered: Bool, at now: MonotonicTime) {
    let failed = Attempt()
    failed.snapshot = operation.attempt!.snapshot
    failed.status = .killed
    failed.failure = Failure(.stuck, error)
    operation.attempt = failed
    stats.abandoned += 1
    stuck.add(operation, at: clock.wall(at: now), isLowered: isLowered)
    complete(operation, at: now)
  }

  /// Gives up attempts of Swift triggers that take longer than any may. O(undecided), now and then.
  mutating func giveUpDetached(at now: MonotonicTime) {
    let limit = configuration.longestSwiftAttempt.nanoseconds
    guard now - lookedForDetached >= min(limit / 4, 1_000_000_000) else { return }
    lookedForDetached = now
    var late: [Operation] = []
    func look(_ operation: Operation) {
      guard operation.trigger.kind == .swift, operation.isRunning, now - operation.begun >= limit else {
        return
      }
      late.append(operation)
    }
    order.forEachUndecided { _, operation, _ in look(operation) }
    parking.visit { operation, _ in look(operation) }
    for operation in late.sorted(by: { $0.identity < $1.identity }) {
      // It may be in the middle of a read: another time, then.
      guard let context = operation.attempt?.context, context.expire() else { continue }
      stuck.detached += 1
      giveUp(
        operation,
        "stuck: \(operation.trigger.name) has not returned for \(configuration.longestSwiftAttempt): it was given up",
        isLowered: false, at: now)
    }
  }
}

extension Engine {
  /// Asks for a new start when too many are stuck; once a minute. The watchdog's thread.
  func askForRestart(stuck: Int, at now: MonotonicTime) {
    guard stuck > configuration.mostStuck else { return restartAsked = nil }
    if let restartAsked, now - restartAsked < 60_000_000_000 { return }
    restartAsked = now
    tell([.restartWanted(stuck: stuck, allowed: configuration.mostStuck)], to: stuckObservers)
  }

  /// Whether events should come here.
  var readiness: Readiness {
    var readiness = Readiness()
    if let logFailure { readiness.reasons.append("the log cannot be written: \(logFailure)") }
    if isEnding { readiness.reasons.append("it stops") }
    if !hasStarted { readiness.reasons.append("it has not started") }
    let stuck = withState { $0.stuck.count }
    if stuck > configuration.mostStuck {
      readiness.reasons.append("\(StuckNotice.restartWanted(stuck: stuck, allowed: configuration.mostStuck))")
    }
    return readiness
  }
}
