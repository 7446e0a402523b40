import Synchronization
import TriggerCore

/// The shell around `EngineState`: the intake that sources fill, the workers, the watchdog.
///
/// Locks, in the order they may be taken: engine lock, then intake lock. No user code runs under either.
final class Engine: @unchecked Sendable {  // each field says what guards it
  let configuration: EngineConfiguration
  let clock: any EngineClock
  let registry: SnapshotRegistry
  let stores: StoreDirectory
  /// Tables of stores that were registered.
  let registered = Mutex<Set<ObjectIdentifier>>([])
  let backends: BackendFeed

  let lock: EngineLock
  var state: EngineState  // engine lock

  let intakeLock = EngineLock()
  var incoming: [Operation] = []  // intake lock
  var router = Router(triggers: [])  // intake lock
  var inForce = TriggerSet(number: 0, triggers: [], tree: nil)  // intake lock
  var setCount = 0  // intake lock
  var triggerNames: [String] = []  // intake lock; of all triggers there ever were, by index
  var triggerIndices: [String: Int] = [:]  // intake lock
  var waitingForRoom: [CheckedContinuation<Void, Never>] = []  // intake lock
  var waitingForIdle: [CheckedContinuation<Void, Never>] = []  // intake lock
  var waitingForQuiet: [CheckedContinuation<Void, Never>] = []  // intake lock
  var waitingForStats:
    [(holds: @Sendable (EngineStats) -> Bool, continuation: CheckedContinuation<Void, Never>)] =
      []  // intake lock
  /// Somebody waits for quiet or for statistics.
  let isWatched = Atomic<Bool>(false)
  /// Admitted and not yet dequeued.
  let queued = Atomic<Int>(0)
  /// Admitted and not yet decided.
  let unfinished = Atomic<Int>(0)

  var workers: [Worker] = []  // engine lock; from start to stop
  var watchdog: Watchdog?  // from start to stop
  let watchdogWakeUp = WakeUp()
  let isWatchdogAsleep = Atomic<Bool>(false)
  let idle = IdleWorkers<Worker>()
  /// No event is taken any more and nothing is begun: it drains, or stops.
  let draining: EngineState.Draining
  var isEnding: Bool { draining.isOn.load(ordering: .acquiring) }
  let isStopping = Atomic<Bool>(false)
  let drained = WakeUp()
  let isStarted = Atomic<Bool>(false)
  var hasStarted: Bool { isStarted.load(ordering: .acquiring) }

  /// See every announcement (errors, logs of decided attempts).
  let observers = Observers<DecidedOperation>()
  let lineMemory = LineMemory()
  /// Calls what users gave to be called.
  let receivers = Receivers()
  /// Announcements that observers were not told of, as too many waited for them.
  let untold = Atomic<Int>(0)

  let log: (any CommitLog)?
  let outbox: Outbox
  let effects: EffectWatch
  let seqs: SeqWatch
  /// The engine is over: it has stopped, or does not start any more. And who is called then.
  let ends = Mutex<(isOver: Bool, bodies: [@Sendable () -> Void])>((false, []))
  let stopWatches = Mutex<(newest: Int, bodies: [Int: @Sendable () -> Void])>((0, [:]))
  var recovered = LogFold()  // set before start
  var accepted: Set<EventID> = []  // set before start: recovered events that the log still keeps
  var scriptsOfTree: (Int) throws -> ScriptTree? = { _ in nil }  // set before start
  let keys: IdempotencyKeys
  private let started: ClockReading
  /// What keys of senders are forgotten by: wall time at the start and what has passed since. Somebody may set the wall
  /// clock two days ahead and back, and no key has grown older.
  var keyTime: Int64 { started.wall &+ (clock.monotonic() - started.monotonic) }
  /// The epoch of ids that leave the host; set before start.
  let epoch = Atomic<Int64>(1)
  let eventNumber = Atomic<Int64>(0)
  /// Why the log takes no more records; nil while it does.
  let failure = Mutex<LogFailure?>(nil)
  let hasFailed = Atomic<Bool>(false)
  let failureObserver = Listener<LogFailure>()
  /// How often the wall clock was seen to be set.
  let clockSteps = Atomic<Int>(0)
  let clockObservers = Observers<ClockStep>()
  let stuckObservers = Observers<StuckNotice>()
  let unheardObservers = Observers<(kind: EventKind, name: String)>()
  var restartAsked: MonotonicTime?  // the watchdog's thread
  let unheard: UnheardEvents

  init(configuration: EngineConfiguration, clock: any EngineClock, log: (any CommitLog)?) {
    self.configuration = configuration
    lock = EngineLock(meter: configuration.lockMeter)
    self.clock = clock
    started = clock.read()
    registry = SnapshotRegistry(capacity: 256)
    stores = StoreDirectory(
      isStrict: configuration.strictStores, limit: configuration.maximumStores, rules: configuration.rules)
    backends = BackendFeed(registry)
    unheard = UnheardEvents(isObserved: { [unheardObservers] in !unheardObservers.all.isEmpty }) {
      [unheardObservers, receivers] in unheardObservers.tell([($0, $1)], through: receivers)
    }
    state = EngineState(
      configuration: configuration, registry: registry, stores: stores, log: log, backends: backends,
      clock: clock.read())
    draining = state.draining
    effects = state.effects
    seqs = state.seqs
    self.log = log
    keys = IdempotencyKeys { configuration.keys(areInLog: $0) }
    outbox = Outbox(durable: log == nil ? .max : 0)
    router.unheard = unheard
    state.router.unheard = unheard
    log?.whenDurable { [weak self] in self?.tellDurable($0) }
    log?.whenFailed { [weak self] in self?.fail($0) }
  }

  // MARK: Life

  func start() {
    guard !isEnding, !isStarted.exchange(true, ordering: .acquiringAndReleasing) else { return }
    var workers = (0..<configuration.workers).map {
      Worker(engine: self, name: "worker-\($0)", atLeast: .low)
    }
    for priority in [Priority.critical, .high, .normal] {
      workers.append(Worker(engine: self, name: "reserve-\(priority)", atLeast: priority))
    }
    lock.withLock {
      self.workers = workers
      for worker in workers { worker.keep(sets: state.sets.numbers, bindings: state.commitBindings) }
      // Now, and not while the first commit that brings a new path holds the lock.
      for table in stores.existing { FileNames(table: table).prepare() }
    }
    backends.start(after: withState { $0.order.frontier })
    let watchdog = Watchdog(engine: self, workers: workers)
    self.watchdog = watchdog
    // All of it before anybody takes any of it: what waited at a gate together is found there together.
    admitRecovered()
    for worker in workers { worker.start() }
    watchdog.start()
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

  // MARK: A log that fails

  /// Nothing becomes durable any more: intake ends, those who wait for room or an outcome learn why, and the
  /// engine stops. What was acknowledged is in the log.
  private func fail(_ reason: LogFailure) {
    failure.withLock { $0 = reason }
    hasFailed.store(true, ordering: .releasing)
    resumeWaitingForRoom()
    // Whatever the observer does, the engine ends.
    Thread.detach(name: "failed") { self.failureObserver(reason) }
    Thread.detach(name: "stop") { self.stop() }
  }

  /// Why the engine takes no more events; nil while it does.
  var logFailure: LogFailure? { hasFailed.load(ordering: .acquiring) ? failure.withLock { $0 } : nil }

  /// - Parameter body: called once, when the log fails, on a thread of its own.
  func setFailureObserver(_ body: (@Sendable (LogFailure) -> Void)?) { failureObserver.set(body) }

  // MARK: Looking in from outside

  func withState<Result>(_ body: (inout EngineState) throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&state)
  }

  func currentStats() -> EngineStats {
    let names = intakeLock.withLock { triggerNames }
    let backends = backends.stats
    return lock.withLock {
      var stats = state.stats
      stats.currentSeq = state.order.frontier
      stats.pendingCommits = state.order.finished
      stats.undecided = state.order.undecided
      stats.parked = state.parking.count
      stats.queued = queued.load(ordering: .relaxed)
      stats.retainedVersions = state.reclaimer.waiting
      stats.backends = backends
      stats.untold = untold.load(ordering: .relaxed)
      stats.isLogBehind = state.isLogBehind
      if let log { stats.logLag = max(0, stats.currentSeq - min(stats.currentSeq, log.durable)) }
      stats.stuck = state.stuck.count
      stats.quarantined = state.stuck.quarantined.mapValues(\.item)
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
        decided: nil, failure: nil)
    }
    guard let item = state.records.item(for: seq) else { return nil }
    let name = intakeLock.withLock { triggerNames[Int(item.trigger)] }
    return ExecutionRecord(
      seq: seq, identity: item.identity, trigger: name, state: .decided(item.outcome),
      attempts: Int(item.attempts), conflicts: Int(item.conflicts), admitted: item.admitted,
      decided: item.decided, failure: state.records.failure(for: seq))
  }
}
