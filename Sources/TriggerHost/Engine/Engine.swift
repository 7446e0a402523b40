import Synchronization
import TriggerCore

/// The shell around `EngineState`: the intake that sources fill, the workers, the watchdog.
///
/// Locks, in the order they may be taken: engine lock, then intake lock. No user code runs under either.
final class Engine: @unchecked Sendable {  // each field says what guards it
  let configuration: EngineConfiguration
  let clock: EngineClock
  let registry: SnapshotRegistry
  let stores: StoreDirectory

  private let lock = EngineLock()
  private var state: EngineState  // engine lock

  private let intakeLock = EngineLock()
  private var incoming: [Operation] = []  // intake lock
  private var router = Router(triggers: [])  // intake lock
  private var triggers: [LoadedTrigger] = []  // intake lock; everything ever installed
  private var triggerNames: [String] = []  // intake lock; of everything ever loaded, by index
  private var adopted: [String: Int] = [:]  // intake lock; index of adopted triggers by name
  private var trees: [LoadedTree] = []  // intake lock
  private var waitingForRoom: [CheckedContinuation<Void, Never>] = []  // intake lock
  private var waitingForIdle: [CheckedContinuation<Void, Never>] = []  // intake lock
  /// Admitted and not yet dequeued.
  private let queued = Atomic<Int>(0)
  /// Admitted and not yet decided.
  private let unfinished = Atomic<Int>(0)

  private var workers: [Worker] = []  // from start to stop
  private var watchdog: Watchdog?  // from start to stop
  let watchdogWakeUp = WakeUp()
  private let isWatchdogAsleep = Atomic<Bool>(false)
  private let idle = Mutex<[Worker]>([])
  private let idleCount = Atomic<Int>(0)
  let isStopping = Atomic<Bool>(false)
  private let isStarted = Atomic<Bool>(false)

  /// Sees every announcement (errors, logs of decided attempts), on a worker's thread.
  private let observer: Mutex<(@Sendable (DecidedOperation) -> Void)?> = Mutex(nil)

  private let log: (any CommitLog)?
  private let outbox = Outbox()
  private let stopWatches = Mutex<(newest: Int, bodies: [Int: @Sendable () -> Void])>((0, [:]))
  private var recovered: [LogRecord] = []  // set before start

  func setObserver(_ new: (@Sendable (DecidedOperation) -> Void)?) { observer.withLock { $0 = new } }

  init(configuration: EngineConfiguration, clock: EngineClock, log: (any CommitLog)?) {
    self.configuration = configuration
    self.clock = clock
    registry = SnapshotRegistry(capacity: 256)
    stores = StoreDirectory(isStrict: configuration.strictStores, limit: configuration.maximumStores)
    state = EngineState(configuration: configuration, registry: registry, log: log)
    self.log = log
    log?.whenDurable { [weak self] in self?.tellDurable($0) }
  }

  // MARK: Recovery

  /// Rebuilds the state from a log. Once, before `start`.
  func recover(_ body: (Recovery) throws -> Void) throws {
    let recovery = Recovery(self)
    try body(recovery)
    recovered = recovery.unfinished
    withState { $0.resume(after: recovery.lastSeq) }
  }

  /// Index for records of triggers that are not in force.
  func index(ofName name: String) -> Int {
    intakeLock.withLock { indexOfAdopted(name) }
  }

  /// Operations that were admitted before the last stop go on where they were. One whose trigger is gone
  /// ends `skipped`.
  private func admitRecovered() {
    for record in recovered {
      let trigger =
        installed(record.trigger)
        ?? adopt(name: record.trigger, body: .missing, options: TriggerOptions())
      var arrival = Arrival(
        kind: record.kind, name: record.event, source: record.source, priority: record.priority,
        hops: UInt8(clamping: record.hops), isInternal: true)
      arrival.cause = record.cause
      arrival.identity = record.identity
      arrival.admitted = record.identity != 0 ? record.admitted : nil
      record.payload.withUnsafeBufferPointer { _ = admit(to: trigger, arrival, payload: $0) }
    }
    recovered = []
  }

  // MARK: Life

  func start() {
    guard !isStarted.exchange(true, ordering: .acquiringAndReleasing) else { return }
    workers = (0..<configuration.workers).map { Worker(engine: self, name: "worker-\($0)", atLeast: .low) }
    for priority in [Priority.critical, .high, .normal] {
      workers.append(Worker(engine: self, name: "reserve-\(priority)", atLeast: priority))
    }
    let watchdog = Watchdog(engine: self, workers: workers)
    self.watchdog = watchdog
    for worker in workers { worker.start() }
    watchdog.start()
    admitRecovered()
  }

  /// Ends all threads; what is queued stays undone. Running attempts are cancelled.
  func stop() {
    guard isStarted.load(ordering: .acquiring),
      !isStopping.exchange(true, ordering: .acquiringAndReleasing)
    else { return }
    withState { $0.isStopping = true }
    for worker in workers {
      worker.cancel()
      worker.wakeUp.wake()
    }
    for worker in workers { worker.join() }
    watchdog?.stop()
    watchdog = nil
    workers = []
    log?.flush()
    withState { $0.backends }.drain()
    let (room, idle) = intakeLock.withLock {
      let result = (waitingForRoom, waitingForIdle)
      waitingForRoom = []
      waitingForIdle = []
      return result
    }
    for continuation in room + idle { continuation.resume() }
    let watches = stopWatches.withLock { watches in
      defer { watches.bodies = [:] }
      return Array(watches.bodies.values)
    }
    for body in watches { body() }
  }

  /// Calls `body` when the engine stops, at once when it has. Returns what `forget` wants.
  func whenStopped(_ body: @escaping @Sendable () -> Void) -> Int {
    let (id, hasStopped) = stopWatches.withLock { watches in
      watches.newest += 1
      if !isStopping.load(ordering: .acquiring) { watches.bodies[watches.newest] = body }
      return (watches.newest, watches.bodies[watches.newest] == nil)
    }
    if hasStopped { body() }
    return id
  }

  func forget(_ watch: Int) { stopWatches.withLock { _ = $0.bodies.removeValue(forKey: watch) } }

  // MARK: Triggers

  /// Puts a set of triggers in force. Triggers of the set before that are missing now end `skipped`.
  func install(_ set: [(name: String, body: LoadedTrigger.Body, options: TriggerOptions)], tree: LoadedTree?)
  {
    intakeLock.lock()
    if let tree { trees.append(tree) }
    let loaded = set.map { item in
      let trigger = LoadedTrigger(
        index: triggerNames.count, name: item.name, body: item.body, options: item.options)
      triggerNames.append(item.name)
      triggers.append(trigger)
      return trigger
    }
    let names = Set(loaded.map(\.name))
    for old in router.triggers where !names.contains(old.name) { old.isLive.store(false, ordering: .relaxed) }
    router = Router(triggers: loaded.sorted { $0.name < $1.name })
    // A router of its own: each is guarded by one lock.
    let inForce = router.triggers
    intakeLock.unlock()
    lock.withLock { state.router = Router(triggers: inForce) }
  }

  var treeCount: Int { intakeLock.withLock { trees.count } }
  var installed: [LoadedTrigger] { intakeLock.withLock { router.triggers } }
  func installed(_ name: String) -> LoadedTrigger? {
    intakeLock.withLock { router.triggers.first { $0.name == name } }
  }

  /// Adds one trigger to those in force (Swift triggers enqueued directly).
  ///
  /// The operation keeps it; records find its name by the index, which all of one name share.
  func adopt(name: String, body: LoadedTrigger.Body, options: TriggerOptions) -> LoadedTrigger {
    intakeLock.withLock {
      return LoadedTrigger(
        index: indexOfAdopted(name), name: name, body: body, options: options, isAdopted: true)
    }
  }

  /// Intake lock.
  private func indexOfAdopted(_ name: String) -> Int {
    if let known = adopted[name] { return known }
    adopted[name] = triggerNames.count
    triggerNames.append(name)
    return triggerNames.count - 1
  }

  // MARK: Intake

  struct Arrival {
    var kind = EventKind.event
    var name: String
    var source: UInt64 = 0
    var priority: Priority?
    var hops: UInt8 = 0
    /// Bypasses the bound: emitted by a commit.
    var isInternal = false
    var cancellation: Cancellation?
    var cause: LogRecord.Cause?
    /// Given before the host's last stop; 0: none yet.
    var identity: Int64 = 0
    /// Nil: now.
    var admitted: Int64?
  }

  /// True when the queue has room for an event from outside.
  var hasRoom: Bool { queued.load(ordering: .relaxed) < configuration.queueCapacity }

  /// Admits an event: one operation for each trigger it matches. Returns how many; nil when the queue is
  /// full. Any thread; O(matching triggers).
  func admit(
    _ arrival: Arrival, payload: UnsafeBufferPointer<UInt8>,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) -> Int? {
    if !arrival.isInternal, !hasRoom { return nil }
    let now = clock.now()
    var name = arrival.name
    intakeLock.lock()
    let matching = router.route(arrival.kind, name)
    name.withUTF8 { name in
      for trigger in matching {
        incoming.append(
          makeOperation(trigger, arrival, name: name, payload: payload, now: now, completion: completion))
      }
    }
    _ = queued.wrappingAdd(matching.count, ordering: .relaxed)
    _ = unfinished.wrappingAdd(matching.count, ordering: .sequentiallyConsistent)
    intakeLock.unlock()
    rouseWatchdog()
    if !matching.isEmpty { wakeWorker() }
    return matching.count
  }

  /// Admits an operation for one trigger, whatever it is bound to. False when the queue is full.
  func admit(
    to trigger: LoadedTrigger, _ arrival: Arrival, payload: UnsafeBufferPointer<UInt8>,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) -> Bool {
    if !arrival.isInternal, !hasRoom { return false }
    var name = arrival.name
    let operation = name.withUTF8 {
      makeOperation(trigger, arrival, name: $0, payload: payload, now: clock.now(), completion: completion)
    }
    intakeLock.lock()
    incoming.append(operation)
    _ = queued.wrappingAdd(1, ordering: .relaxed)
    _ = unfinished.wrappingAdd(1, ordering: .sequentiallyConsistent)
    intakeLock.unlock()
    rouseWatchdog()
    wakeWorker()
    return true
  }

  private func makeOperation(
    _ trigger: LoadedTrigger, _ arrival: Arrival, name: UnsafeBufferPointer<UInt8>,
    payload: UnsafeBufferPointer<UInt8>, now: Int64, completion: (@Sendable (OperationResult) -> Void)?
  ) -> Operation {
    let keys = OperationKeys(trigger: trigger, source: arrival.source, payload: payload)
    return Operation(
      trigger: trigger, priority: arrival.priority ?? trigger.options.priority, hops: arrival.hops,
      orderKey: keys.order, admitted: arrival.admitted ?? now, kind: arrival.kind, source: arrival.source,
      cause: arrival.cause, identity: arrival.identity, name: name, payload: payload,
      coalesceKey: keys.coalesce, gateKey: keys.gate, completion: completion,
      // A trigger that restarts cancels its own runs.
      cancellation: arrival.cancellation ?? (trigger.options.mode == .restart ? Cancellation() : nil))
  }

  /// Suspends until the queue has room.
  func waitForRoom() async {
    await withCheckedContinuation { continuation in
      let mayGo = intakeLock.withLock {
        if hasRoom || isStopping.load(ordering: .acquiring) { return true }
        waitingForRoom.append(continuation)
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  /// Suspends until everything admitted so far, and all that came of it, is decided and durable.
  func waitUntilIdle() async {
    await waitUntilDecided()
    guard let log else { return }
    let seq = withState { $0.order.frontier }
    await outbox.wait(for: seq) { log.durable >= seq }
  }

  private func waitUntilDecided() async {
    await withCheckedContinuation { continuation in
      let isIdle = intakeLock.withLock {
        if unfinished.load(ordering: .acquiring) == 0 { return true }
        waitingForIdle.append(continuation)
        return false
      }
      if isIdle { continuation.resume() }
    }
  }

  // MARK: The workers' side

  /// Hands in what a worker finished, moves the frontier, and takes the next batch. One lock for all of it.
  func exchange(_ worker: Worker) {
    lock.lock()
    let now = clock.now()
    worker.handIn(to: &state, at: now)
    let undecidedBefore = stats(decided: state)
    let moved = state.advance(at: now)
    if moved { route(&state) }
    takeIncoming(&state, at: now)
    let share = max(
      1, min(configuration.batch, (state.lanes.count + configuration.workers - 1) / configuration.workers))
    worker.clearBatch()
    let before = state.lanes.count + state.heldCount
    state.nextWork(atLeast: worker.atLeast, share: share, at: now, into: &worker.batch)
    let taken = before - state.lanes.count - state.heldCount
    let coalesced = state.takeAbsorbed()
    let decided = stats(decided: state) - undecidedBefore
    let announcements = ready(state.takeAnnouncements())
    let mightFeedAnother = state.hasWork
    lock.unlock()
    // Outcomes first: who waits for the engine to be idle has heard of all of them.
    announce(announcements)
    settle(taken: taken + coalesced, decided: decided + coalesced)
    if mightFeedAnother { wakeWorker() }
  }

  private func stats(decided state: EngineState) -> Int {
    state.stats.committed &+ state.stats.failed &+ state.stats.skipped
  }

  private func takeIncoming(_ state: inout EngineState, at now: Int64) {
    intakeLock.lock()
    swap(&incoming, &state.arrived)
    intakeLock.unlock()
    for operation in state.arrived { state.arrive(operation, at: now) }
    if !state.gates.isEmpty { state.openGates(at: now) }
    state.arrived.removeAll(keepingCapacity: true)
  }

  /// Events of the commits just applied become operations. Engine lock held; takes the intake lock.
  private func route(_ state: inout EngineState) {
    guard !state.emissions.isEmpty else { return }
    for emission in state.emissions {
      for (index, event) in emission.events.enumerated() {
        state.stats.emitted += 1
        // Triggers bound to commits see one another's in order; so do those of one emitter.
        let source = event.kind == .commit ? 1 << 62 : UInt64(emission.source.index) | 1 << 63
        let arrival = Arrival(
          kind: event.kind, name: String(decoding: event.name, as: UTF8.self), source: source,
          hops: emission.hops + 1, isInternal: true, cause: LogRecord.Cause(seq: emission.seq, index: index))
        event.payload.withUnsafeBufferPointer { payload in
          for trigger in event.triggers { _ = admit(to: trigger, arrival, payload: payload) }
        }
      }
    }
    state.emissions.removeAll(keepingCapacity: true)
  }

  private func settle(taken: Int, decided: Int) {
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
  }

  private func resumeWaitingForRoom() {
    intakeLock.lock()
    let waiting = waitingForRoom
    if !waiting.isEmpty { waitingForRoom = [] }
    intakeLock.unlock()
    for continuation in waiting { continuation.resume() }
  }

  /// What may be told at once; the rest waits in the outbox. Engine lock.
  private func ready(_ announcements: [EngineState.Announcement]) -> [EngineState.Announcement] {
    guard let log else { return announcements }
    outbox.add(announcements)
    return outbox.take(upTo: log.durable)
  }

  /// The log has moved: everything up to `seq` may be seen.
  private func tellDurable(_ seq: Int64) {
    registry.visible.max(seq, ordering: .releasing)
    announce(outbox.take(upTo: seq))
    outbox.release(upTo: seq)
  }

  private func announce(_ announcements: [EngineState.Announcement]) {
    guard !announcements.isEmpty else { return }
    let observer = observer.withLock { $0 }
    for item in announcements {
      let result = OperationResult(
        trigger: item.operation.trigger.name, identity: item.operation.identity, seq: item.seq,
        outcome: item.outcome, error: item.error)
      item.operation.completion?(result)
      for completion in item.operation.absorbed { completion(result) }
      observer?(DecidedOperation(result: result, attempts: Int(item.operation.attempts), logs: item.logs))
    }
  }

  // MARK: Waking

  @inline(__always)
  private func wakeWorker() {
    if idleCount.load(ordering: .sequentiallyConsistent) > 0 { wakeOne() }
  }

  private func wakeOne() {
    let worker = idle.withLock { idle -> Worker? in
      guard let index = idle.lastIndex(where: { $0.atLeast == .low }) else { return nil }
      idleCount.wrappingSubtract(1, ordering: .sequentiallyConsistent)
      return idle.remove(at: index)
    }
    worker?.wakeUp.wake()
  }

  /// Call after `unfinished` has grown: either this sees that the watchdog sleeps, or the watchdog sees that
  /// there is work before it does (both sides in sequentially consistent order).
  @inline(__always)
  private func rouseWatchdog() {
    if isWatchdogAsleep.load(ordering: .sequentiallyConsistent) { watchdogWakeUp.wake() }
  }

  /// The watchdog has nothing to watch: returns when something is admitted.
  func sleepUntilAdmission() {
    isWatchdogAsleep.store(true, ordering: .sequentiallyConsistent)
    if unfinished.load(ordering: .sequentiallyConsistent) == 0 { watchdogWakeUp.sleep() }
    isWatchdogAsleep.store(false, ordering: .sequentiallyConsistent)
  }

  /// A worker without work goes to sleep, unless work came meanwhile.
  func rest(_ worker: Worker) {
    guard worker.atLeast == .low else { return worker.wakeUp.sleep() }
    idle.withLock {
      $0.append(worker)
      idleCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
    if intakeLock.withLock({ !incoming.isEmpty }) { wakeOne() }
    worker.wakeUp.sleep()
  }

  /// A Swift trigger's attempt ended, off the workers' threads.
  func finishDetached(_ operation: Operation) {
    lock.lock()
    state.complete(operation, at: clock.now())
    lock.unlock()
    nudge()
  }

  /// Makes some worker look at the frontier.
  private func nudge() { turn(defers: false) }

  // MARK: The watchdog's side

  /// Takes over what stuck workers hold, defers what holds up others, moves the frontier.
  @discardableResult
  func turn(defers: Bool, stuck: [(worker: Worker, cpuTaken: Int64)] = []) -> Turn {
    lock.lock()
    let now = clock.now()
    if defers { state.expireOldest() }
    for (worker, cpuTaken) in stuck { worker.giveUpBatch(to: &state, at: now, cpuTaken: cpuTaken) }
    takeIncoming(&state, at: now)
    let decidedBefore = stats(decided: state)
    var moved = state.advance(at: now)
    if defers { state.adaptRunAhead(at: now) }
    if defers, state.deferOverdue(at: now) { moved = state.advance(at: now) || moved }
    if moved { route(&state) }
    let decided = stats(decided: state) - decidedBefore
    let coalesced = state.takeAbsorbed()
    let announcements = ready(state.takeAnnouncements())
    let waiting = [state.lanes.mostUrgent, state.reruns.map(\.priority).max()].compactMap { $0 }.max()
    let hasWork = state.hasWork
    let isActive =
      state.order.undecided > 0 || state.lanes.count > 0 || state.heldCount > 0 || !state.parking.isEmpty
    let gateDue = state.gates.nextDue
    lock.unlock()
    announce(announcements)
    settle(taken: coalesced, decided: decided + coalesced)
    if hasWork { wakeWorker() }
    return Turn(waiting: waiting, isActive: isActive, gateDue: gateDue)
  }

  /// How things stand after a look of the watchdog.
  struct Turn {
    /// The most urgent priority that waits.
    var waiting: Priority?
    /// Something is queued or undecided.
    var isActive: Bool
    /// When a gate lets its held run pass, on the engine's clock.
    var gateDue: Int64?
  }

  // MARK: Looking in from outside

  func withState<Result>(_ body: (inout EngineState) throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&state)
  }

  func currentStats() -> EngineStats {
    let names = intakeLock.withLock { triggerNames }
    return lock.withLock {
      var stats = state.stats
      stats.currentSeq = state.order.frontier
      stats.pendingCommits = state.order.finished
      stats.undecided = state.order.undecided
      stats.parked = state.parking.count
      stats.queued = queued.load(ordering: .relaxed)
      stats.retainedVersions = state.reclaimer.waiting
      for (name, counts) in zip(names, state.triggerStats) {
        stats.triggers[name, default: TriggerStats()] += counts
      }
      for priority in Priority.allCases { stats.latency[priority] = state.latency[Int(priority.rawValue)] }
      return stats
    }
  }

  func executionRecord(for seq: Int64) -> ExecutionRecord? {
    lock.lock()
    defer { lock.unlock() }
    if let operation = state.order.isUndecided(seq) ? state.order.undecidedOperation(seq) : nil {
      let isFinished = state.order.isFinished(seq)
      return ExecutionRecord(
        seq: seq, identity: operation.identity, trigger: operation.trigger.name,
        state: isFinished ? .waiting : operation.attempts > 1 ? .rerunning : .running,
        attempts: Int(operation.attempts), conflicts: Int(operation.conflicts), admitted: operation.admitted,
        decided: nil, error: nil)
    }
    guard let item = state.records.item(for: seq) else { return nil }
    let name = intakeLock.withLock { triggerNames[Int(item.trigger)] }
    return ExecutionRecord(
      seq: seq, identity: item.identity, trigger: name, state: .decided(item.outcome),
      attempts: Int(item.attempts), conflicts: Int(item.conflicts), admitted: item.admitted,
      decided: item.decided, error: state.records.error(for: seq))
  }
}

/// A decided operation that had something to tell: an error, log lines, or a sender that waits.
struct DecidedOperation: Sendable {
  var result: OperationResult
  var attempts: Int
  var logs: [ExecutionLog]
}
