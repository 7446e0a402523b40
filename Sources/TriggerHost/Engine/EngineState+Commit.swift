import TriggerCore

/// Results come in, the frontier moves. Engine lock.
extension EngineState {
  /// A worker finished an attempt of the operation.
  mutating func complete(_ operation: Operation, at now: MonotonicTime) {
    operation.isRunning = false
    if let attempt = operation.attempt, attempt.isExpired, attempt.context != nil { attempt.forgetKeys() }
    guard operation.isParked else { return order.finish(operation.seq, at: now) }
    parking.finish(operation)
    if parking.isBlocked(operation, orderKey: operation.orderKey) { letGoOfReads(operation) }
  }

  /// Decides whatever the frontier allows. Returns true when it moved.
  mutating func advance(at now: MonotonicTime) -> Bool {
    if isStopping { return false }
    let before = order.frontier
    var steps = 0
    loop: while recorder?.isFull != true, steps < HoldBounds.decisions {
      if !parking.isEmpty { seatParked(at: now) }
      switch order.step() {
      case .wait: break loop
      case .passedDeferred(let seq):
        steps += 10
        passDeferred(seq, at: now)
      case .decide(let operation):
        let attempt = operation.attempt!
        steps += HoldBounds.decision(of: attempt)
        if !decide(operation, attempt, at: now) { break loop }
      }
    }
    isCut = steps >= HoldBounds.decisions
    let moved = order.frontier - before
    if moved > 0 {
      publish(moved)
      speedUp(by: Int(moved))
    }
    return moved > 0
  }

  /// Defers whatever holds up finished operations for too long. Returns true when anything was.
  mutating func deferOverdue(at now: MonotonicTime) -> Bool {
    let overdue = order.overdue(at: now) { Self.work(of: $0, at: now) }
    guard let first = overdue.first else { return false }
    // One look at what comes behind, however many are overdue: each takes those of its order key along.
    let late = Set(overdue)
    var keys: Set<UInt64> = []
    for seq in first..<order.next {
      guard let operation = order.undecidedOperation(seq), operation.seq == seq else { continue }
      if late.contains(seq) { keys.insert(operation.orderKey) }
      if keys.contains(operation.orderKey) { park(operation) }
    }
    return true
  }

  /// How long the attempt has been at work. A script that merely waits for a core would be no quicker under another seq.
  /// A Swift trigger may wait for something outside: its wall time counts.
  private static func work(of operation: Operation, at now: MonotonicTime) -> Int64 {
    let wall = now - operation.begun
    if operation.trigger.kind == .swift { return wall }
    return WorkTime.of(cpu: operation.cpuTaken, wall: wall)
  }

  /// The process stood still for so long, in nanoseconds, until just now: nobody was at work then.
  mutating func leaveOut(_ pause: Int64, at now: MonotonicTime) {
    func shift(_ operation: Operation) {
      if operation.isRunning { operation.begun = min(now, operation.begun + pause) }
    }
    order.forEachUndecided { _, operation, _ in shift(operation) }
    parking.visit { operation, _ in shift(operation) }
  }

  /// Called once per tick of the watchdog: others may run ahead up to the whole window while the attempt at
  /// the frontier proves to be slow. For a script that waits for a core nobody should: they would take the
  /// core from it, for attempts that conflict with it.
  mutating func adaptRunAhead(at now: MonotonicTime) {
    let seq = order.frontier + 1
    let first = order.isUndecided(seq) ? order.running(seq) : nil
    isBlocked =
      first.map { ($0.trigger.kind == .swift ? now - $0.begun : $0.cpuTaken) >= order.limits.grace } ?? false
  }

  // MARK: One seq

  /// Checks and decides the finished operation at the frontier. False when it must run again first.
  private mutating func decide(_ operation: Operation, _ attempt: Attempt, at now: MonotonicTime) -> Bool {
    if !attempt.standIns.isEmpty { attempt.findStores(in: stores) }
    if attempt.snapshot < order.frontier, !holds(operation, attempt) {
      restart(operation, at: now)
      restartStale(after: operation.seq, at: now)
      return false
    }
    if runsIntoReservation(operation, attempt) {
      putOff(operation, waitsForHolder: true)
      return true
    }
    var outcome = Outcome.committed
    if operation.isDropped {
      outcome = .skipped
      attempt.failure = Self.reasonOfDrop(operation)
    } else if operation.isGone || operation.isCancelled {
      outcome = .skipped
    } else if attempt.isExpired {
      outcome = .failed
      attempt.failure = Failure(
        .snapshotTooOld,
        "\(operation.trigger.name): snapshot_too_old: it ran for so long, twice, that more than "
          + "\(configuration.retainedVersions) versions had to be kept for it")
    } else if attempt.status != .succeeded {
      outcome = .failed
    } else if let loop = emitRules.refusal(of: operation, attempt, hearsOfCommits: wantsChangedKeys) {
      outcome = .failed
      attempt.failure = loop
    } else {
      // Applying hands the values over to the stores, so the log takes the intents first.
      recorder?.encodeIntents(of: attempt)
      do throws(Failure) {
        let changed = try committer.apply(
          attempt.writes, seq: operation.seq, tellsKeys: wantsChangedKeys, isNew: true)
        if attempt.writes.emits > 0 || !changed.isEmpty { collectEmission(of: operation, attempt, changed) }
      } catch {
        outcome = .failed
        attempt.failure = error
      }
    }
    // Before the log has it: from then on it may be durable at any time.
    if attempt.writes.effects > 0, outcome == .committed { effects.note(operation.seq) }
    let pause = outcome == .failed ? pause(before: operation) : nil
    let retryAt = pause.map { clock.wall(at: now + $0) } ?? 0
    recorder?.append(
      operation, seq: operation.seq, outcome: outcome, attempt: attempt,
      emissions: emissions.last?.seq == operation.seq ? emissions[emissions.count - 1].events : [],
      retryAt: retryAt, pause: pause ?? 0, settling: settled(by: operation))
    order.decided()
    if let pause {
      retries.append((operation, operation.seq, retryAt, now + pause))
      keepPlace(of: operation)
    }
    conclude(operation, attempt, outcome, retryAt: retryAt, at: now)
    return true
  }

  /// How long until the failed operation is tried again, in nanoseconds; nil: it is not. A loop would only go round
  /// again.
  private func pause(before operation: Operation) -> Int64? {
    // Nor does one in quarantine run any sooner.
    guard let retry = operation.trigger.options.retry, stuck.quarantine(of: operation.trigger) == nil,
      operation.tries + 1 < retry.attempts,
      operation.hops < configuration.maximumHops,
      operation.family.map({ $0.count < configuration.maximumOffspring }) ?? true
    else { return nil }
    return retry.delay(before: operation.tries + 1, identity: operation.identity).nanoseconds
  }

  /// The failed operation is tried again: unless its trigger says otherwise, what comes after it with its order key
  /// waits until that is decided.
  private mutating func keepPlace(of operation: Operation) {
    let key = operation.turnKey == 0 ? operation.orderKey : operation.turnKey
    guard operation.trigger.options.retry?.order == .keep, parking.keepTurn(of: key, after: operation) else {
      return
    }
    operation.turnKey = key
    if operation.gateKey != 0 { keptAtGate[operation.seq] = operation }
    // One that is to wait so long must not make others wait for it.
    if let holder = parking.holder, holder.orderKey == key { endReservation(of: holder) }
    for follower in order.followers(of: key, after: operation.seq) {
      park(order.undecidedOperation(follower)!)
    }
  }

  /// Parked behind the turn of a retry, for minutes perhaps: its attempt must hold no snapshot. It runs again then.
  private mutating func letGoOfReads(_ operation: Operation) {
    operation.isStale = true
    operation.attempt?.reset()
    operation.attempt?.snapshot = .max
  }

  /// The operation is decided, and with it what it had absorbed. Accepted events that this was the last
  /// operation of.
  func settled(by operation: Operation) -> [EventID] {
    if operation.outside == nil, operation.absorbed.isEmpty { return [] }
    var settled: [EventID] = []
    for event in [operation.outside].compactMap({ $0 }) + operation.absorbed.compactMap(\.outside) {
      event.left -= 1
      if event.left == 0, event.isAccepted { settled.append(event.named.id) }
    }
    return settled
  }

  private mutating func conclude(
    _ operation: Operation, _ attempt: Attempt, _ outcome: Outcome, retryAt: Int64, at now: MonotonicTime
  ) {
    switch outcome {
    case .committed: stats.committed &+= 1
    case .failed:
      stats.failed &+= 1
      if let code = attempt.failure?.code { stats.failures[code, default: 0] += 1 }
    case .skipped: stats.skipped &+= 1
    case .deferred: break
    }
    countByTrigger(operation) { $0.count(outcome) }
    let decided = clock.wall(at: now)
    // Of one that saw the clock being set nobody can tell.
    if operation.clockSteps == clockSteps {
      latency[Int(operation.priority.rawValue)].add(nanoseconds: decided &- operation.admitted)
    }
    records.store(
      RecordRing.Item(
        seq: operation.seq, identity: operation.identity, admitted: operation.admitted, decided: decided,
        trigger: Int32(operation.trigger.index), attempts: operation.attempts, conflicts: operation.conflicts,
        outcome: outcome))
    if let failure = attempt.failure { records.store(failure, for: operation.seq) }
    if operation.completion != nil || !operation.absorbed.isEmpty || attempt.failure != nil
      || attempt.logs != nil
    {
      announcements.append(
        Announcement(
          operation: operation, trigger: operation.trigger.name, seq: operation.seq, outcome: outcome,
          failure: attempt.failure, retryAt: retryAt, logs: attempt.logs))
    }
    if parking.holder === operation { endReservation(of: operation) }
    operation.attempt = nil
    recycle(attempt)
    if operation.gateKey != 0, keptAtGate.isEmpty || keptAtGate[operation.seq] !== operation {
      endGated(operation, at: now)
    }
    if operation.turnKey != 0, retryAt == 0 || operation.trigger.options.retry?.order != .keep {
      let key = operation.turnKey
      operation.turnKey = 0
      passTurn(of: key)
    }
  }

  private mutating func endReservation(of holder: Operation) {
    parking.release(holder)
    if let reserved { recycle(reserved) }
    reserved = nil
  }

  private mutating func recycle(_ attempt: Attempt) {
    attempt.reset()
    if freeAttempts.count < configuration.window { freeAttempts.append(attempt) }
  }

  /// The events that the commit admits become operations once it is published.
  private mutating func collectEmission(
    of operation: Operation, _ attempt: Attempt, _ changed: [Committer.ChangedKey]
  ) {
    let events = router.events(
      of: attempt, changed: changed, seq: operation.seq, trigger: operation.trigger)
    if events.isEmpty { return }
    countEmitted(operation.addOffspring(events))
    emissions.append(
      Emission(
        seq: operation.seq, source: operation.trigger, hops: operation.hops, family: operation.family,
        events: events))
  }

  // MARK: Conflicts, deferral, reservation

  private mutating func runAgain(_ operation: Operation) {
    operation.attempt!.reset()
    reruns.append(operation)
  }

  private mutating func restart(_ operation: Operation, at now: MonotonicTime) {
    countConflict(operation)
    order.restart(operation.seq, at: now)
    runAgain(operation)
  }

  /// A conflict at the frontier makes everybody wait for one attempt: finished operations behind it that
  /// are stale already run again at the same time, not one after another.
  private mutating func restartStale(after seq: Int64, at now: MonotonicTime) {
    var steps = ReadSet.most
    for later in (seq + 1)..<min(order.next, seq + 1 + configuration.staleChecks)
    where order.isFinished(later) {
      guard let operation = order.undecidedOperation(later), let attempt = operation.attempt else { continue }
      steps -= attempt.reads.count
      // Nobody needs to know of the others yet.
      guard steps >= 0, let holds = holds(operation, attempt, steps: &steps) else { return }
      if !holds { restart(operation, at: now) }
    }
  }

  private mutating func countConflict(_ operation: Operation) {
    operation.conflicts &+= 1
    slowDown()
    stats.conflicts &+= 1
    countByTrigger(operation) { $0.conflicts &+= 1 }
    guard operation.deferrals > 0, operation.conflicts >= configuration.conflictsBeforeReservation,
      parking.holder == nil || parking.holder === operation
    else { return }
    if parking.holder == nil { stats.reservations += 1 }
    parking.reserve(for: operation)
    if let reserved { recycle(reserved) }
    reserved = operation.attempt
    operation.attempt = freeAttempts.popLast() ?? Attempt()
  }

  private func runsIntoReservation(_ operation: Operation, _ attempt: Attempt) -> Bool {
    guard let reserved, let holder = parking.holder, holder !== operation,
      holder.orderKey != operation.orderKey, order.limits.defers
    else { return false }
    return reserved.reads.covers(attempt.writes)
  }

  /// Ends the operation's seq as deferred, and those of the later ones with its order key: it runs on
  /// without a seq.
  mutating func putOff(_ operation: Operation, waitsForHolder: Bool = false) {
    let seq = operation.seq
    park(operation, waitsForHolder: waitsForHolder)
    for follower in order.followers(of: operation.orderKey, after: seq) {
      park(order.undecidedOperation(follower)!)
    }
  }

  mutating func park(_ operation: Operation, waitsForHolder: Bool = false) {
    let seq = operation.seq
    let isFinished = order.isFinished(seq)
    order.putOff(seq)
    deferredSeqs[seq] = operation
    operation.seq = 0
    operation.isParked = true
    operation.deferrals &+= 1
    stats.deferred &+= 1
    parking.park(
      operation, identity: operation.identity, orderKey: operation.orderKey, isFinished: isFinished,
      waitsForHolder: waitsForHolder)
    if isFinished, parking.isBlocked(operation, orderKey: operation.orderKey) { letGoOfReads(operation) }
  }

  /// Parked operations that are finished and behind nobody take a seq at the tail. One whose reads are
  /// stale already would only conflict there, so it runs again first.
  private mutating func seatParked(at now: MonotonicTime) {
    while !order.isFull, let operation = parking.nextReady() {
      let attempt = operation.attempt!
      guard !operation.isStale, holds(operation, attempt) else {
        parking.restart(operation)
        if !operation.isStale { countConflict(operation) }
        runAgain(operation)
        continue
      }
      let isLastOfKey = parking.leave(operation)
      operation.isParked = false
      operation.seq = order.assign(operation, priority: operation.priority, orderKey: operation.orderKey)
      order.finish(operation.seq, at: now)
      if isLastOfKey { letGo(orderKey: operation.orderKey) }
    }
  }

  private mutating func passDeferred(_ seq: Int64, at now: MonotonicTime) {
    guard let operation = deferredSeqs.removeValue(forKey: seq) else { return }
    records.store(
      RecordRing.Item(
        seq: seq, identity: operation.identity, admitted: operation.admitted, decided: clock.wall(at: now),
        trigger: Int32(operation.trigger.index), attempts: operation.attempts, conflicts: operation.conflicts,
        outcome: .deferred))
    recorder?.append(operation, seq: seq, outcome: .deferred, attempt: nil)
  }

  // MARK: Snapshots held for long

  /// Whether the attempt counts. One that lost its snapshot is a conflict the first time; the second time
  /// it is decided, as a failure.
  private func holds(_ operation: Operation, _ attempt: Attempt) -> Bool {
    var steps = ReadSet.most
    if let holds = holds(operation, attempt, steps: &steps) { return holds }
    // Nobody can wait until all the keys that it looked through are looked through again.
    attempt.reads.coarsen()
    return attempt.reads.holds(since: attempt.snapshot)
  }

  /// - Parameter steps: see `ReadSet.holds`; nil when they were not enough.
  private func holds(_ operation: Operation, _ attempt: Attempt, steps: inout Int) -> Bool? {
    if !attempt.standIns.isEmpty { attempt.findStores(in: stores) }
    if attempt.isExpired { return operation.expiries > 1 }
    return attempt.reads.holds(since: attempt.snapshot, steps: &steps)
  }

  /// Takes the snapshot away from whoever holds the oldest, when too many versions are kept for it.
  mutating func expireOldest() {
    guard reclaimer.waiting > configuration.retainedVersions else { return }
    // What merely waits to be freed, or for the disk, or for one that is about to end, is nobody's fault.
    let (isDone, horizon) = reclaim()
    guard isDone, reclaimer.waiting > configuration.retainedVersions else { return }
    var oldest: Operation?
    func look(_ operation: Operation) {
      guard operation.isRunning, let attempt = operation.attempt, !attempt.isExpired,
        attempt.snapshot == horizon, horizon < order.frontier
      else { return }
      // The first of them, whatever the order they are visited in.
      if operation.identity < oldest?.identity ?? .max { oldest = operation }
    }
    order.forEachUndecided { _, operation, _ in look(operation) }
    parking.visit { operation, _ in look(operation) }
    guard let oldest, let attempt = oldest.attempt else { return }
    // One that reads right now keeps it until the next look: nobody waits for that here.
    if let context = attempt.context, !context.expire() { return }
    attempt.isExpired = true
    oldest.expiries += 1
    stats.expired += 1
  }

  // MARK: Visibility

  /// Lets readers see what is decided and durable; returns how far the log is.
  @discardableResult
  func showDurable() -> Int64 {
    let durable = recorder?.log.durable ?? .max
    registry.visible.max(min(order.frontier, durable), ordering: .releasing)
    return durable
  }

  private mutating func publish(_ moved: Int64) {
    showDurable()
    seqs.tell()
    backends.wake()
    commitsSinceReclaim += Int(moved)
    if commitsSinceReclaim >= configuration.commitsPerReclaim
      || reclaimer.waiting - leftByReclaim >= HoldBounds.freed
    {
      reclaim()
    }
  }

  /// Frees versions that nobody reads any more, as many as may be freed at a time.
  ///
  /// - Returns: whether these were all, and the oldest seq that somebody reads as of.
  @discardableResult
  private mutating func reclaim() -> (isDone: Bool, horizon: Int64) {
    commitsSinceReclaim = 0
    var lowest = order.frontier
    func look(_ attempt: Attempt?) {
      guard let attempt else { return }
      // An expired Swift attempt can read no more; an expired Lua attempt is about to be ended.
      if attempt.isExpired, attempt.context != nil { return }
      lowest = min(lowest, attempt.snapshot)
    }
    order.forEachUndecided { _, operation, _ in look(operation.attempt) }
    parking.visit { operation, _ in look(operation.attempt) }
    look(reserved)
    for attempt in stuck.attempts { look(attempt) }
    stats.oldestSnapshot = lowest
    let horizon = registry.advanceHorizon(undecided: lowest)
    let isDone = reclaimer.reclaim(horizon: horizon, frontier: order.frontier, most: HoldBounds.freed)
    leftByReclaim = reclaimer.waiting
    // The rest soon, and not now.
    if !isDone { commitsSinceReclaim = configuration.commitsPerReclaim }
    return (isDone, horizon)
  }
}

extension HoldBounds {
  /// What deciding an attempt takes.
  static func decision(of attempt: Attempt) -> Int {
    10 + attempt.reads.count + 4 * attempt.writes.count + 3 * (attempt.writes.bytes >> 10)
  }
}
