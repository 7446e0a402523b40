import HeapModule
import TriggerCore

/// What happens before the queue to operations of triggers that limit their own runs. Engine lock.
extension EngineState {
  /// An operation from the intake: to its gate, or straight into the queue.
  mutating func arrive(_ operation: Operation, at now: MonotonicTime) {
    if operation.turnKey != 0 { claimTurn(operation, at: now) }
    let mayWait = operation.turnKey == 0 || !operation.isCancelled
    if let due = operation.due, due > now, mayWait {
      return delayed.insert(Delayed(due: due, operation: operation))
    }
    enter(operation, at: now)
  }

  /// It tries again what has kept its place, in the queue and at its gate.
  private mutating func claimTurn(_ operation: Operation, at now: MonotonicTime) {
    let failed = operation.retryOf.flatMap { keptAtGate.removeValue(forKey: $0) }
    if !parking.claimTurn(of: operation.turnKey, for: operation) { operation.turnKey = 0 }
    if let failed, failed.gateKey == operation.gateKey {
      gates.replace(failed, by: operation, key: operation.gateKey)
    } else {
      if let failed { endGated(failed, at: now) }
      guard operation.turnKey != 0, operation.gateKey != 0 else { return }
      gates.resume(operation, key: operation.gateKey, options: operation.trigger.options)
    }
  }

  /// Nothing will come of the run: whoever waits for it need not wait for its time.
  private mutating func hasten(_ operation: Operation, at now: MonotonicTime) {
    guard operation.turnKey != 0, let due = operation.due, due > now else { return }
    lanes.steps += delayed.count
    delayed = Heap(
      delayed.unordered.map {
        $0.operation === operation ? Delayed(due: now, operation: operation) : $0
      })
  }

  /// Lets those go on whose time has come.
  mutating func openDelayed(at now: MonotonicTime) {
    var left = HoldBounds.arrivals
    while left > 0, let first = delayed.min, first.due <= now {
      left -= 1
      delayed.removeMin()
      enter(first.operation, at: now)
    }
  }

  private mutating func enter(_ operation: Operation, at now: MonotonicTime) {
    // (One that keeps its place has passed its gate.)
    guard operation.gateKey != 0, operation.turnKey == 0 else { return admit(operation, at: now) }
    if operation.identity != 0 {
      // It had passed before the host's last stop.
      gates.resume(operation, key: operation.gateKey, options: operation.trigger.options)
      return admit(operation, at: now)
    }
    let (verdict, absorbed) = gates.arrive(
      operation, key: operation.gateKey, options: operation.trigger.options, at: now)
    if let absorbed { absorb(absorbed.older, into: absorbed.newer) }
    carryOut(verdict, for: operation, at: now)
  }

  /// Lets those pass whose time has come.
  mutating func openGates(at now: MonotonicTime) {
    for (operation, verdict) in gates.advance(to: now, most: HoldBounds.arrivals) {
      carryOut(verdict, for: operation, at: now)
    }
  }

  /// A gated operation is decided.
  mutating func endGated(_ operation: Operation, at now: MonotonicTime) {
    if let next = gates.end(operation, key: operation.gateKey, at: now) { admit(next, at: now) }
  }

  /// A gated operation goes on as part of one that is queued.
  mutating func mergeGated(_ operation: Operation, into waiting: Operation, at now: MonotonicTime) {
    if operation.gateKey != waiting.gateKey { return endGated(operation, at: now) }
    if let next = gates.merge(operation, into: waiting, key: operation.gateKey) { admit(next, at: now) }
  }

  private mutating func carryOut(
    _ verdict: TriggerGate<Operation>.Verdict, for operation: Operation, at now: MonotonicTime
  ) {
    switch verdict {
    case .pass: admit(operation, at: now)
    case .hold: break
    case .drop: drop(operation)
    case .replace(let old):
      replace(old, by: operation)
      hasten(old, at: now)
      admit(operation, at: now)
    }
  }

  /// One that has a seq ends under it, skipped. One that is still queued never gets any: it is superseded.
  private mutating func replace(_ old: Operation, by operation: Operation) {
    // One that is dropped gets a seq to say so, and one that has a turn to pass that on.
    guard old.identity == 0, old.turnKey == 0, !old.isDropped else {
      old.cancellation?.cancel()
      return
    }
    forgetCoalescing(old)
    old.isSuperseded = true
    operation.absorb(old)
    old.absorbed = []
    stats.coalesced += 1
  }

  private mutating func absorb(_ older: Operation, into newer: Operation) {
    newer.absorb(older)
    stats.coalesced += 1
    countAbsorbed()
  }

  /// The operation does not run; its sender learns why. When somebody has a name for it the log must tell, or
  /// it would come again after a restart: then it ends with a seq.
  private mutating func drop(_ operation: Operation) {
    stats.dropped += 1
    if recorder != nil, operation.origin != nil || operation.absorbed.contains(where: { $0.origin != nil }) {
      operation.isDropped = true
      return join(operation)
    }
    countAbsorbed()
    guard operation.completion != nil || !operation.absorbed.isEmpty else { return }
    announcements.append(
      Announcement(
        operation: operation, trigger: operation.trigger.name, seq: 0, outcome: .skipped,
        failure: Self.reasonOfDrop(operation), logs: nil))
  }

  static func reasonOfDrop(_ operation: Operation) -> Failure {
    Failure(.dropped, "dropped: max_instances operations of \(operation.trigger.name) are going on already")
  }
}

/// An operation that waits for its time outside the queue: a retry.
struct Delayed: Comparable {
  var due: MonotonicTime
  var operation: Operation

  static func < (left: Delayed, right: Delayed) -> Bool { left.due < right.due }
  static func == (left: Delayed, right: Delayed) -> Bool { left.operation === right.operation }
}
