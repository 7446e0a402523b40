import Synchronization
import TriggerCore

/// What workers and the watchdog do under the engine lock, and who is woken afterwards.
extension Engine {
  /// Hands in what a worker finished, moves the frontier, and takes the next batch. One lock for all of it.
  ///
  /// - Returns: false when the worker was given up meanwhile: its thread ends.
  @discardableResult
  func exchange(_ worker: Worker) -> Bool {
    lock.lock()
    if worker.isAbandoned.load(ordering: .relaxed) {
      state.stuck.attempts.removeAll { $0 === worker.abandonedAttempt }
      lock.unlock()
      return false
    }
    let now = clock.monotonic()
    worker.handIn(to: &state, at: now)
    let undecidedBefore = state.stats.decided
    let moved = state.advance(at: now)
    if moved || !state.emissions.isEmpty { route(&state) }
    admitIncoming(&state, at: now)
    let share = max(
      1, min(configuration.batch, (state.lanes.count + configuration.workers - 1) / configuration.workers))
    worker.clearBatch()
    var taken = 0
    var rounds = 0
    repeat {
      let before = state.lanes.count + state.heldCount
      state.nextWork(atLeast: worker.atLeast, share: share, at: now, into: &worker.batch)
      taken += before - state.lanes.count - state.heldCount
      if state.justPut == nil, !state.hasRefused { break }
      state.hasRefused = false
      publishSet(&state)
      if state.advance(at: now) { route(&state) }
      rounds += 1
    } while worker.batch.isEmpty && rounds < 8
    let coalesced = state.takeAbsorbed()
    let decided = state.stats.decided - undecidedBefore + state.takeSuperseded()
    let durable = post(&state)
    let mightFeedAnother = state.hasWork
    let isDrained = state.isDraining && state.isQuiet
    worker.hasMore = state.hasMore
    let mightGoOn = state.hasMore
    lock.unlock()
    if let durable { outbox.tell(upTo: durable, announce) }
    count(taken: taken + coalesced, decided: decided + coalesced)
    if mightFeedAnother || mightGoOn { wakeWorker() }
    if isDrained { drained.wake() }
    return true
  }

  private func admitIncoming(_ state: inout EngineState, at now: MonotonicTime) {
    if state.nextArrived == state.arrived.count {
      state.arrived.removeAll(keepingCapacity: true)
      state.nextArrived = 0
      intakeLock.lock()
      swap(&incoming, &state.arrived)
      intakeLock.unlock()
    }
    // First what was held until now: nothing that has just come overtakes it.
    if !state.gates.isEmpty { state.openGates(at: now) }
    let delayed = state.delayed.count
    if delayed > 0 { state.openDelayed(at: now) }
    admitArrived(&state, at: now)
    // What waits for its time is not in the queue.
    let waiting = state.delayed.count - delayed
    if waiting != 0 { queued.wrappingSubtract(waiting, ordering: .relaxed) }
  }

  /// As many as may be admitted at a time.
  private func admitArrived(_ state: inout EngineState, at now: MonotonicTime) {
    let end = min(state.arrived.count, state.nextArrived + HoldBounds.arrivals)
    let last = state.lanes.steps + HoldBounds.queueSteps
    while state.nextArrived < end, state.lanes.steps < last {
      let operation = state.arrived[state.nextArrived]
      state.nextArrived += 1
      state.arrive(operation, at: now)
    }
  }

  /// Events of the commits just applied become operations, as many as may be at a time. Engine lock; takes the intake
  /// lock.
  private func route(_ state: inout EngineState) {
    if !state.retries.isEmpty { admitRetries(&state) }
    // Counted before any of them can be decided, and before the commit that made them is.
    let emitted = state.takeEmitted()
    if emitted > 0 { _ = unfinished.wrappingAdd(emitted, ordering: .sequentiallyConsistent) }
    var (operations, bytes) = (0, 0)
    while let emission = state.emissions.first {
      guard emission.nextEvent < emission.events.count else {
        state.emissions.removeFirst()
        continue
      }
      if operations >= HoldBounds.arrivals || bytes >= HoldBounds.emittedBytes { return }
      let event = emission.events[emission.nextEvent]
      if emission.nextTrigger == 0 { state.stats.emitted += 1 }
      if emission.nextTrigger < event.triggers.count {
        admit(event, of: emission)
        operations += 1
        bytes += event.payload.count
        state.emissions[0].nextTrigger += 1
      }
      if state.emissions[0].nextTrigger == event.triggers.count {
        state.emissions[0].nextEvent += 1
        state.emissions[0].nextTrigger = 0
      }
    }
  }

  /// The next operation of an emission.
  private func admit(_ event: EmittedEvent, of emission: EngineState.Emission) {
    let source = EmissionSource.emitted(event.kind, by: emission.source.nameHash)
    let arrival = Arrival(
      kind: event.kind, name: event.name, source: source,
      hops: emission.hops + 1,
      inside: Arrival.Inside(
        isCounted: true, cause: LogRecord.Cause(seq: emission.seq, index: emission.nextEvent),
        family: emission.family))
    event.payload.withUnsafeBufferPointer {
      _ = admit(to: event.triggers[emission.nextTrigger], arrival, payload: $0)
    }
  }

  /// Failed operations go round again, each as a new one, with the newest script of their trigger.
  private func admitRetries(_ state: inout EngineState) {
    for (failed, seq, time, due) in state.retries {
      let (past, retry) = (
        Operation.Past(), Operation.Retry(of: seq, tries: failed.tries + 1, sender: failed.senderOfEvent)
      )
      past.admitted = time
      past.retry = retry
      past.due = due
      past.turnKey = failed.turnKey
      let arrival = Arrival(
        kind: failed.kind, name: String(decoding: failed.name, as: UTF8.self), source: failed.source,
        priority: failed.priority, hops: failed.hops, cancellation: failed.cancellation,
        inside: Arrival.Inside(family: failed.family, past: past))
      let trigger =
        failed.trigger.isAdopted ? failed.trigger : installed(failed.trigger.name) ?? failed.trigger
      _ = admit(
        to: trigger, arrival, payload: failed.payload, completion: amendment(for: retry))
    }
    state.retries.removeAll(keepingCapacity: true)
  }

  private func count(taken: Int, decided: Int) {
    if taken > 0 {
      let left = queued.wrappingSubtract(taken, ordering: .relaxed).newValue
      if left <= configuration.queueCapacity / 2 { resumeWaitingForRoom() }
    }
    if decided > 0, unfinished.wrappingSubtract(decided, ordering: .acquiringAndReleasing).newValue == 0 {
      let waiting = intakeLock.withLock {
        let waiting = waitingForIdle
        waitingForIdle = []
        return waiting
      }
      for continuation in waiting { continuation.resume() }
    }
    if isWatched.load(ordering: .sequentiallyConsistent) { tellWatchers() }
  }

  func resumeWaitingForRoom() {
    intakeLock.lock()
    let waiting = waitingForRoom
    if !waiting.isEmpty { waitingForRoom = [] }
    intakeLock.unlock()
    for continuation in waiting { continuation.resume() }
  }

  /// Takes over what is to be told; how far it may be told, nil when nothing came. Engine lock.
  private func post(_ state: inout EngineState) -> Int64? {
    let announcements = state.takeAnnouncements()
    if announcements.isEmpty { return nil }
    outbox.add(announcements)
    // Who hears of an outcome sees what it did: the log may be further than it has told of.
    return state.showDurable()
  }

  /// The log has moved: everything up to `seq` may be seen.
  func tellDurable(_ seq: Int64) {
    registry.visible.max(seq, ordering: .releasing)
    seqs.tell()
    backends.wake()
    outbox.tell(upTo: seq, announce)
    effects.tell(upTo: seq)
  }

  /// Tells who waits for an outcome, and who observes. The outbox's turn: nothing of a user's is called here.
  private func announce(_ announcements: [Announcement]) {
    let observers = observers.all
    var seen: [DecidedOperation] = []
    for item in announcements {
      let result = OperationResult(
        trigger: item.trigger, identity: item.operation.identity, seq: item.seq,
        // One that is deferred goes on, and nothing is told.
        outcome: OperationOutcome(item.outcome)!, failure: item.failure,
        retryAt: item.retryAt > 0 ? item.retryAt : nil, attempts: Int(item.operation.attempts))
      item.operation.completion?(result)
      for other in item.operation.absorbed { other.completion?(result.asSuperseding) }
      if observers.isEmpty { continue }
      seen.append(DecidedOperation(result: result, logs: item.logs))
    }
    for observer in observers {
      untold.wrappingAdd(observer.tell(seen, through: lineOfObservers), ordering: .relaxed)
    }
  }

  /// Tells who observes. Not under the engine lock where it tells in place; whoever observes holds up nobody.
  func tell<Message>(_ messages: [Message], to observers: Observers<Message>) {
    observers.tell(messages, through: lineOfObservers)
  }

  /// Nil: they are told in place.
  private var lineOfObservers: Receivers? { configuration.tellsInPlace ? nil : receivers }

  // MARK: Waking

  @inline(__always)
  func wakeWorker() { idle.takeOne()?.wakeUp.wake() }

  /// Call after `unfinished` has grown: either this sees that the watchdog sleeps, or the watchdog sees that
  /// there is work before it does (both sides in sequentially consistent order).
  @inline(__always)
  func rouseWatchdog() {
    if isWatchdogAsleep.load(ordering: .sequentiallyConsistent) { watchdogWakeUp.wake() }
  }

  /// The watchdog has nothing to watch: returns when something is admitted, at the latest after so long.
  func sleepUntilAdmission(nanoseconds: Int64) {
    isWatchdogAsleep.store(true, ordering: .sequentiallyConsistent)
    if unfinished.load(ordering: .sequentiallyConsistent) == 0 {
      watchdogWakeUp.sleep(nanoseconds: nanoseconds)
    }
    isWatchdogAsleep.store(false, ordering: .sequentiallyConsistent)
  }

  /// A worker without work goes to sleep, unless work came meanwhile.
  func rest(_ worker: Worker) {
    // Those in reserve wait for the watchdog.
    if worker.atLeast == .low {
      idle.rest(worker) { intakeLock.withLock { !incoming.isEmpty } }?.wakeUp.wake()
    }
    worker.wakeUp.sleep()
  }

  /// A Swift trigger's attempt ended, off the workers' threads.
  ///
  /// - Parameter attempt: which: it may have been given up meanwhile.
  func finishDetached(_ operation: Operation, _ attempt: Attempt) {
    lock.lock()
    if operation.attempt === attempt {
      state.complete(operation, at: clock.monotonic())
    } else {
      state.stuck.detached -= 1
    }
    lock.unlock()
    nudge()
  }

  /// Makes some worker look at the frontier.
  private func nudge() { turn(defers: false) }

  // MARK: The watchdog's side

  /// Takes over what stuck workers hold, defers what holds up others, moves the frontier.
  @discardableResult
  func turn(defers: Bool, stuck: [(worker: Worker, cpuTaken: Int64)] = [], paused: Int64 = 0) -> Turn {
    lock.lock()
    let reading = clock.read()
    let now = reading.monotonic
    let step = state.clock.look(reading)
    if step != nil {
      state.clockSteps += 1
      clockSteps.store(state.clockSteps, ordering: .relaxed)
    }
    if paused > 0 { state.leaveOut(paused, at: now) }
    if defers {
      state.expireOldest()
      state.giveUpDetached(at: now)
    }
    for (worker, cpuTaken) in stuck { worker.giveUpBatch(to: &state, at: now, cpuTaken: cpuTaken) }
    admitIncoming(&state, at: now)
    let decidedBefore = state.stats.decided
    var moved = state.advance(at: now)
    if defers { state.adaptRunAhead(at: now) }
    if defers, state.deferOverdue(at: now) { moved = state.advance(at: now) || moved }
    if moved || !state.emissions.isEmpty { route(&state) }
    let decided = state.stats.decided - decidedBefore
    let coalesced = state.takeAbsorbed()
    let durable = post(&state)
    let waiting = [state.lanes.mostUrgent, state.reruns.map(\.priority).max()].compactMap { $0 }.max()
    let hasWork = state.hasWork || state.hasMore
    let isDrained = state.isDraining && state.isQuiet
    let isActive = state.isActive
    let gateDue = state.nextDue
    let (notices, stuckCount) = (state.stuck.notices, state.stuck.count)
    if !notices.isEmpty { state.stuck.notices = [] }
    lock.unlock()
    if !notices.isEmpty { tell(notices, to: stuckObservers) }
    if defers { askForRestart(stuck: stuckCount, at: now) }
    if let step {
      tell([ClockStep(by: .nanoseconds(step.by), to: Timestamp(nanoseconds: step.to))], to: clockObservers)
    }
    if let durable { outbox.tell(upTo: durable, announce) }
    count(taken: coalesced, decided: decided + coalesced)
    if hasWork { wakeWorker() }
    if isDrained { drained.wake() }
    return Turn(waiting: waiting, isActive: isActive, gateDue: gateDue)
  }

  /// The last resort for a script that does not end when asked: its worker is stuck in C, which is a defect of
  /// ours. The attempt fails, and a new worker takes the place; the thread is left to itself.
  ///
  /// - Returns: the new worker; nil when there is none, as the attempt has ended or the engine stops.
  func replace(_ worker: Worker, stuckIn attempt: UInt64) -> Worker? {
    let fresh = Worker(engine: self, name: worker.name, atLeast: worker.atLeast)
    let isReplaced = withState { state in
      guard worker.abandon(attempt, in: &state, at: clock.monotonic()) else { return false }
      guard !state.isStopping, let place = workers.firstIndex(where: { $0 === worker }) else { return false }
      workers[place] = fresh
      return true
    }
    guard isReplaced else { return nil }
    fresh.start()
    nudge()
    return fresh
  }

  /// How things stand after a look of the watchdog.
  struct Turn {
    /// The most urgent priority that waits.
    var waiting: Priority?
    /// Something is queued or undecided.
    var isActive: Bool
    /// When a gate lets its held run pass, or a failed operation is tried again.
    var gateDue: MonotonicTime?
  }
}
