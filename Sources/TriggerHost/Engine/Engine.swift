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
  let backends: BackendFeed

  private let lock = EngineLock()
  private var state: EngineState  // engine lock

  private let intakeLock = EngineLock()
  private var incoming: [Operation] = []  // intake lock
  private var router = Router(triggers: [])  // intake lock
  private var inForce = TriggerSet(number: 0, triggers: [], tree: nil)  // intake lock
  private var setCount = 0  // intake lock
  private var triggerNames: [String] = []  // intake lock; of all triggers there ever were, by index
  private var triggerIndices: [String: Int] = [:]  // intake lock
  private var waitingForRoom: [CheckedContinuation<Void, Never>] = []  // intake lock
  private var waitingForIdle: [CheckedContinuation<Void, Never>] = []  // intake lock
  /// Admitted and not yet dequeued.
  private let queued = Atomic<Int>(0)
  /// Admitted and not yet decided.
  let unfinished = Atomic<Int>(0)

  var workers: [Worker] = []  // engine lock; from start to stop
  private var watchdog: Watchdog?  // from start to stop
  let watchdogWakeUp = WakeUp()
  private let isWatchdogAsleep = Atomic<Bool>(false)
  private let idle = Mutex<[Worker]>([])
  private let idleCount = Atomic<Int>(0)
  let isStopping = Atomic<Bool>(false)
  private let isStarted = Atomic<Bool>(false)
  var hasStarted: Bool { isStarted.load(ordering: .acquiring) }

  /// Sees every announcement (errors, logs of decided attempts), on a worker's thread.
  private let observer = Listener<DecidedOperation>()

  private let log: (any CommitLog)?
  private let outbox = Outbox()
  private let stopWatches = Mutex<(newest: Int, bodies: [Int: @Sendable () -> Void])>((0, [:]))
  private var recovered = LogFold()  // set before start
  private var accepted: Set<EventID> = []  // set before start: recovered events that the log still keeps
  private var scriptsOfTree: (Int) throws -> ScriptTree? = { _ in nil }  // set before start
  private let keys = IdempotencyKeys()
  /// The epoch of ids that leave the host; set before start.
  private let epoch = Atomic<Int64>(1)
  private let eventNumber = Atomic<Int64>(0)
  /// Why the log takes no more records; nil while it does.
  private let failure = Mutex<String?>(nil)
  private let hasFailed = Atomic<Bool>(false)
  private let failureObserver = Listener<String>()

  func setObserver(_ new: (@Sendable (DecidedOperation) -> Void)?) { observer.set(new) }

  init(configuration: EngineConfiguration, clock: EngineClock, log: (any CommitLog)?) {
    self.configuration = configuration
    self.clock = clock
    registry = SnapshotRegistry(capacity: 256)
    stores = StoreDirectory(
      isStrict: configuration.strictStores, limit: configuration.maximumStores, rules: configuration.rules)
    backends = BackendFeed(registry)
    state = EngineState(configuration: configuration, registry: registry, log: log, backends: backends)
    self.log = log
    log?.whenDurable { [weak self] in self?.tellDurable($0) }
    log?.whenFailed { [weak self] in self?.fail($0) }
  }

  // MARK: Recovery

  /// Rebuilds the state from a log. Once, before `start`.
  ///
  /// - Parameter scripts: a tree of an earlier run by its number, for operations that were dequeued under it.
  func recover(
    scripts: @escaping (_ tree: Int) throws -> ScriptTree?, _ body: (Recovery) throws -> Void
  ) throws -> Recovery {
    let recovery = Recovery(self)
    try body(recovery)
    scriptsOfTree = scripts
    recovered = recovery.fold
    accepted = recovery.accepted
    keys.restore(recovered.keys)
    withState { $0.resume(after: recovery.lastSeq) }
    return recovery
  }

  /// Ids of events begin with it. Before `start`.
  func open(epoch number: Int64) { epoch.store(number, ordering: .relaxed) }

  /// Index for records of triggers that are not in force.
  func index(ofName name: String) -> Int {
    intakeLock.withLock { indexOf(name) }
  }

  /// Operations that were admitted before the last stop go on where they were. One whose trigger is gone
  /// ends `skipped`.
  func admitRecovered() {
    let records = recovered.unfinished
    recovered = LogFold()
    let events = Self.outsideEvents(of: records, accepted: accepted)
    let earlier = earlierSets(records)
    for record in records {
      let trigger =
        (record.identity != 0 ? earlier[record.tree]?[record.trigger] : nil) ?? installed(record.trigger)
        ?? adopt(name: record.trigger, body: .missing, options: TriggerOptions())
      var arrival = Arrival(
        kind: record.kind, name: record.event, source: record.source, priority: Self.priority(of: record),
        hops: UInt8(clamping: record.hops), isInternal: true)
      arrival.cause = record.cause
      arrival.identity = record.identity
      arrival.admitted = record.cause == nil || record.identity != 0 ? record.admitted : nil
      arrival.retryOf = record.retryOf
      arrival.tries = record.tries
      arrival.due = record.retryAt ?? 0
      arrival.outside = record.outside.flatMap { events[$0.id] }
      arrival.absorbed = record.absorbed.map { item in
        switch item {
        case .event(let event):
          let event = events[event.id]!
          return Operation.Absorbed(completion: completion(for: event), origin: .event(event))
        case .commit(let cause): return Operation.Absorbed(origin: .commit(cause))
        case .retry(let seq): return Operation.Absorbed(origin: .retry(of: seq))
        }
      }
      record.payload.withUnsafeBufferPointer {
        _ = admit(to: trigger, arrival, payload: $0, completion: completion(for: arrival.outside))
      }
    }
  }

  /// One that had no seq yet has what its event brought or, with nil, what its trigger declares: the record
  /// is of whatever came before it.
  private static func priority(of record: LogRecord) -> Priority? {
    if record.identity != 0 || record.retryOf != nil { return record.priority }
    return record.outside?.priority
  }

  /// Trees of operations that were dequeued before the last stop: they go on with what they had.
  private func earlierSets(_ records: [LogRecord]) -> [Int: TriggerSet] {
    let current = triggersInForce.tree?.identity.number
    var sets: [Int: TriggerSet] = [:]
    for number in Set(records.filter { $0.identity != 0 }.map(\.tree)) where number > 0 && number != current {
      // One that cannot be had any more is replaced by the newest.
      guard let scripts = try? scriptsOfTree(number), let identity = scripts.identity else { continue }
      let tree = LoadedTree(identity, scripts.contents)
      sets[number] = makeSet(
        scripts.triggers.map { ($0.name, .lua(tree: tree, path: $0.path), $0.options) }, tree: tree)
    }
    return sets
  }

  /// The events that operations of an earlier run share, each with as many operations as are left.
  private static func outsideEvents(
    of records: [LogRecord], accepted: Set<EventID>
  ) -> [EventID: OutsideEvent] {
    var events: [EventID: OutsideEvent] = [:]
    for record in records {
      let absorbed = record.absorbed.compactMap { item -> LogRecord.Outside? in
        if case .event(let event) = item { event } else { nil }
      }
      for event in [record.outside].compactMap({ $0 }) + absorbed {
        let known =
          events[event.id]
          ?? OutsideEvent(
            id: event.id, key: event.key, isAccepted: accepted.contains(event.id), triggers: event.triggers,
            priority: event.priority, left: 0)
        known.left += 1
        events[event.id] = known
      }
    }
    return events
  }

  /// Hands an operation's result to whoever sends its key again.
  private func completion(for event: OutsideEvent?) -> (@Sendable (OperationResult) -> Void)? {
    guard case .client(let scope, let key, _)? = event?.key else { return nil }
    return { [weak self] in self?.keys.add($0, to: LogFold.ClientKey(scope: scope, key: key)) }
  }

  // MARK: Life

  func start() {
    guard !isStarted.exchange(true, ordering: .acquiringAndReleasing) else { return }
    var workers = (0..<configuration.workers).map {
      Worker(engine: self, name: "worker-\($0)", atLeast: .low)
    }
    for priority in [Priority.critical, .high, .normal] {
      workers.append(Worker(engine: self, name: "reserve-\(priority)", atLeast: priority))
    }
    lock.withLock { self.workers = workers }
    backends.start(after: withState { $0.order.frontier })
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
    let workers = withState { state in
      state.isStopping = true
      return self.workers
    }
    for worker in workers {
      worker.cancel()
      worker.wakeUp.wake()
    }
    for worker in workers { worker.join() }
    watchdog?.stop()
    watchdog = nil
    lock.withLock { self.workers = [] }
    log?.flush()
    registry.visible.max(min(withState { $0.order.frontier }, log?.durable ?? .max), ordering: .releasing)
    backends.stop()
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

  // MARK: A log that fails

  /// Nothing becomes durable any more: intake ends, those who wait for room or an outcome learn why, and the
  /// engine stops. What was acknowledged is in the log.
  private func fail(_ message: String) {
    failure.withLock { $0 = message }
    hasFailed.store(true, ordering: .releasing)
    resumeWaitingForRoom()
    failureObserver(message)
    Thread.detach(name: "stop") { self.stop() }
  }

  /// Why the engine takes no more events; nil while it does.
  var failureMessage: String? { hasFailed.load(ordering: .acquiring) ? failure.withLock { $0 } : nil }

  /// - Parameter body: called once, when the log fails, on the log's thread.
  func setFailureObserver(_ body: (@Sendable (String) -> Void)?) { failureObserver.set(body) }

  // MARK: Triggers

  /// Makes a set of triggers; nothing uses it yet.
  func makeSet(
    _ items: [(name: String, body: LoadedTrigger.Body, options: TriggerOptions)], tree: LoadedTree?
  ) -> TriggerSet {
    intakeLock.withLock {
      setCount += 1
      let triggers = items.enumerated().map { position, item in
        LoadedTrigger(
          index: indexOf(item.name), name: item.name, body: item.body, options: item.options,
          set: setCount, position: position)
      }
      // What an attempt has cost so far is the best guess of what it will.
      for trigger in triggers {
        guard let old = inForce[trigger.name] else { continue }
        trigger.meanCost.store(old.meanCost.load(ordering: .relaxed), ordering: .relaxed)
      }
      return TriggerSet(number: setCount, triggers: triggers, tree: tree)
    }
  }

  /// Puts a set in force at once. Queued operations of triggers that it lacks end `skipped`.
  func install(_ set: TriggerSet) {
    lock.withLock {
      state.put(set)
      followSet(&state)
    }
  }

  /// The intake and the workers learn of a set that was put in force. Engine lock; takes the intake lock.
  private func followSet(_ state: inout EngineState) {
    guard let set = state.justPut else { return }
    state.justPut = nil
    intakeLock.lock()
    inForce = set
    router = Router(triggers: set.triggers, after: router)
    for operation in incoming { set.adopt(operation) }
    intakeLock.unlock()
    for worker in workers { worker.keep(sets: state.sets.numbers) }
  }

  var triggersInForce: TriggerSet { intakeLock.withLock { inForce } }
  func installed(_ name: String) -> LoadedTrigger? { triggersInForce[name] }

  /// Adds one trigger to those in force (Swift triggers enqueued directly).
  ///
  /// The operation keeps it; records find its name by the index, which all of one name share.
  func adopt(name: String, body: LoadedTrigger.Body, options: TriggerOptions) -> LoadedTrigger {
    intakeLock.withLock {
      LoadedTrigger(index: indexOf(name), name: name, body: body, options: options, isAdopted: true)
    }
  }

  /// Intake lock.
  private func indexOf(_ name: String) -> Int {
    if let known = triggerIndices[name] { return known }
    triggerIndices[name] = triggerNames.count
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
    var family: Operation.Family?
    /// Given before the host's last stop; 0: none yet.
    var identity: Int64 = 0
    /// Nil: now.
    var admitted: Int64?
    /// What the event is known by outside; nil: nobody asks.
    var id: EventID?
    var key: EventKey?
    /// The log keeps it until its operations are decided; then `whenKept` is called.
    var isKept = false
    var whenKept: (@Sendable () -> Void)?
    /// The failed seq that this tries again, after how many tries, and when.
    var retryOf: Int64?
    var tries = 0
    var due: Int64 = 0
    /// Of an operation of an earlier run.
    var outside: OutsideEvent?
    var absorbed: [Operation.Absorbed] = []
  }

  /// True when the queue has room for an event from outside.
  var hasRoom: Bool {
    queued.load(ordering: .relaxed) < configuration.queueCapacity && !hasFailed.load(ordering: .relaxed)
  }

  /// An id for an event to come.
  func makeEventID() -> EventID {
    EventID(
      epoch: epoch.load(ordering: .relaxed),
      number: eventNumber.wrappingAdd(1, ordering: .relaxed).newValue)
  }

  /// What of an event from outside its operations have in common; nil when that is nothing, as for an event
  /// of one operation that nobody has a name for. Intake lock: before any of the operations can be decided.
  private func outsideEvent(
    _ arrival: Arrival, _ matching: [LoadedTrigger], payload: UnsafeBufferPointer<UInt8>, now: Int64
  ) -> OutsideEvent? {
    if let known = arrival.outside { return known }
    guard arrival.cause == nil, arrival.retryOf == nil, !matching.isEmpty,
      arrival.id != nil || arrival.key != nil || arrival.isKept || matching.count > 1
    else { return nil }
    let event = OutsideEvent(
      id: arrival.id ?? makeEventID(), key: arrival.key,
      // Part of the event may end in another one: what is left then is in no record.
      isAccepted: arrival.isKept
        || matching.count > 1 && matching.contains { $0.options.isGated || $0.options.coalesce != nil },
      triggers: matching.map(\.name), priority: arrival.priority)
    if event.isAccepted {
      log?.accept(
        AcceptedEvent(
          id: event.id, key: event.key, kind: arrival.kind, name: arrival.name, payload: Array(payload),
          priority: arrival.priority, source: arrival.source, admitted: now, triggers: event.triggers),
        whenKept: arrival.whenKept ?? {})
    }
    return event
  }

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
    let outside = outsideEvent(arrival, matching, payload: payload, now: now)
    name.withUTF8 { name in
      for trigger in matching {
        incoming.append(
          makeOperation(
            trigger, arrival, outside, name: name, payload: payload, now: now, completion: completion))
      }
    }
    _ = queued.wrappingAdd(matching.count, ordering: .relaxed)
    _ = unfinished.wrappingAdd(matching.count, ordering: .sequentiallyConsistent)
    intakeLock.unlock()
    rouseWatchdog()
    if !matching.isEmpty { wakeWorker() }
    if outside?.isAccepted != true || log == nil { arrival.whenKept?() }
    return matching.count
  }

  /// Admits an operation for one trigger, whatever it is bound to. False when the queue is full.
  func admit(
    to trigger: LoadedTrigger, _ arrival: Arrival, payload: UnsafeBufferPointer<UInt8>,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) -> Bool {
    if !arrival.isInternal, !hasRoom { return false }
    var name = arrival.name
    let now = clock.now()
    intakeLock.lock()
    let outside = outsideEvent(arrival, [trigger], payload: payload, now: now)
    name.withUTF8 {
      let operation = makeOperation(
        trigger, arrival, outside, name: $0, payload: payload, now: now, completion: completion)
      // A newer set may have come since the caller looked the trigger up.
      inForce.adopt(operation)
      if trigger.kind == .missing { operation.loseTrigger() }
      incoming.append(operation)
    }
    _ = queued.wrappingAdd(1, ordering: .relaxed)
    _ = unfinished.wrappingAdd(1, ordering: .sequentiallyConsistent)
    intakeLock.unlock()
    rouseWatchdog()
    wakeWorker()
    return true
  }

  private func makeOperation(
    _ trigger: LoadedTrigger, _ arrival: Arrival, _ outside: OutsideEvent?,
    name: UnsafeBufferPointer<UInt8>, payload: UnsafeBufferPointer<UInt8>, now: Int64,
    completion: (@Sendable (OperationResult) -> Void)?
  ) -> Operation {
    let keys = OperationKeys(trigger: trigger, source: arrival.source, payload: payload)
    let operation = Operation(
      trigger: trigger, priority: arrival.priority ?? trigger.options.priority, hops: arrival.hops,
      orderKey: keys.order, admitted: arrival.admitted ?? now, kind: arrival.kind, source: arrival.source,
      cause: arrival.cause, outside: outside, retryOf: arrival.retryOf, tries: arrival.tries,
      due: arrival.due, identity: arrival.identity, name: name, payload: payload,
      coalesceKey: keys.coalesce, gateKey: keys.gate, completion: completion,
      // A trigger that restarts cancels its own runs.
      cancellation: arrival.cancellation ?? (trigger.options.mode == .restart ? Cancellation() : nil))
    operation.absorbed = arrival.absorbed
    operation.family = arrival.family
    return operation
  }

  /// What becomes of an event that came with a key of its sender's.
  enum KeyedAdmission {
    /// Results come, of this event or of the first one with its key, whose id it is.
    case taken(EventID)
    case full
    /// The key was used with another event.
    case reused
  }

  /// Admits an event unless its key has come before.
  ///
  /// - Parameters:
  ///   - results: called once, with the results of all operations.
  ///   - whenKept: called once, when the event is kept; for a repeated one, when it is decided.
  func admit(
    _ arrival: Arrival, scope: String, key: String, payload: UnsafeBufferPointer<UInt8>,
    results: @escaping IdempotencyKeys.Results, whenKept: (@Sendable (EventID) -> Void)?
  ) -> KeyedAdmission {
    let place = LogFold.ClientKey(scope: scope, key: key)
    let digest = XXH64.of(UnsafeRawBufferPointer(payload)) ^ StableHash.of(arrival.name)
    let id = arrival.id ?? makeEventID()
    switch keys.take(place, id: id, digest: digest, now: clock.now(), then: results) {
    case .reused: return .reused
    case .repeated(let first):
      if let whenKept { keys.wait(for: place) { id, _ in whenKept(id) } }
      return .taken(first)
    case .first: break
    }
    var arrival = arrival
    arrival.id = id
    if let whenKept { arrival.whenKept = { whenKept(id) } }
    arrival.key = .client(scope: scope, key: key, digest: digest)
    guard let count = admit(arrival, payload: payload, completion: { self.keys.add($0, to: place) }) else {
      keys.withdraw(place)
      return .full
    }
    keys.expect(count, of: place)
    return .taken(id)
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
  ///
  /// - Returns: false when the worker was given up meanwhile: its thread ends.
  @discardableResult
  func exchange(_ worker: Worker) -> Bool {
    lock.lock()
    if worker.isAbandoned.load(ordering: .relaxed) {
      state.abandoned.removeAll { $0 === worker.abandonedAttempt }
      lock.unlock()
      return false
    }
    let now = clock.now()
    worker.handIn(to: &state, at: now)
    let undecidedBefore = stats(decided: state)
    let moved = state.advance(at: now)
    if moved { route(&state) }
    takeIncoming(&state, at: now)
    let share = max(
      1, min(configuration.batch, (state.lanes.count + configuration.workers - 1) / configuration.workers))
    worker.clearBatch()
    var taken = 0
    repeat {
      let before = state.lanes.count + state.heldCount
      state.nextWork(atLeast: worker.atLeast, share: share, at: now, into: &worker.batch)
      taken += before - state.lanes.count - state.heldCount
      if state.justPut == nil { break }
      followSet(&state)
      if state.advance(at: now) { route(&state) }
    } while worker.batch.isEmpty
    let coalesced = state.takeAbsorbed()
    let decided = stats(decided: state) - undecidedBefore
    let announcements = ready(state.takeAnnouncements())
    let mightFeedAnother = state.hasWork
    lock.unlock()
    // Outcomes first: who waits for the engine to be idle has heard of all of them.
    announce(announcements)
    settle(taken: taken + coalesced, decided: decided + coalesced)
    if mightFeedAnother { wakeWorker() }
    return true
  }

  private func stats(decided state: EngineState) -> Int {
    state.stats.committed &+ state.stats.failed &+ state.stats.skipped
  }

  private func takeIncoming(_ state: inout EngineState, at now: Int64) {
    intakeLock.lock()
    swap(&incoming, &state.arrived)
    intakeLock.unlock()
    // First what was held until now: nothing that has just come overtakes it.
    if !state.gates.isEmpty { state.openGates(at: now) }
    let delayed = state.delayed.count
    if delayed > 0 { state.openDelayed(at: now) }
    for operation in state.arrived { state.arrive(operation, at: now) }
    // What waits for its time is not in the queue.
    let waiting = state.delayed.count - delayed
    if waiting != 0 { queued.wrappingSubtract(waiting, ordering: .relaxed) }
    state.arrived.removeAll(keepingCapacity: true)
  }

  /// Events of the commits just applied become operations. Engine lock held; takes the intake lock.
  private func route(_ state: inout EngineState) {
    if !state.retries.isEmpty { admitRetries(&state) }
    guard !state.emissions.isEmpty else { return }
    for emission in state.emissions {
      for (index, event) in emission.events.enumerated() {
        state.stats.emitted += 1
        // Triggers bound to commits see one another's in order; so do those of one emitter.
        let source = event.kind == .commit ? 1 << 62 : emission.source.nameHash | 1 << 63
        let arrival = Arrival(
          kind: event.kind, name: String(decoding: event.name, as: UTF8.self), source: source,
          hops: emission.hops + 1, isInternal: true, cause: LogRecord.Cause(seq: emission.seq, index: index),
          family: emission.family)
        event.payload.withUnsafeBufferPointer { payload in
          for trigger in event.triggers { _ = admit(to: trigger, arrival, payload: payload) }
        }
      }
    }
    state.emissions.removeAll(keepingCapacity: true)
  }

  /// Failed operations go round again, each as a new one, with the newest script of their trigger.
  private func admitRetries(_ state: inout EngineState) {
    for (failed, seq, time) in state.retries {
      var arrival = Arrival(
        kind: failed.kind, name: String(decoding: failed.name, as: UTF8.self), source: failed.source,
        priority: failed.priority, hops: failed.hops, isInternal: true)
      arrival.cancellation = failed.cancellation
      arrival.family = failed.family
      arrival.admitted = time
      arrival.retryOf = seq
      arrival.tries = failed.tries + 1
      arrival.due = time
      let trigger =
        failed.trigger.isAdopted ? failed.trigger : installed(failed.trigger.name) ?? failed.trigger
      _ = admit(to: trigger, arrival, payload: failed.payload)
    }
    state.retries.removeAll(keepingCapacity: true)
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
    backends.wake()
    announce(outbox.take(upTo: seq))
    outbox.release(upTo: seq)
  }

  private func announce(_ announcements: [EngineState.Announcement]) {
    guard !announcements.isEmpty else { return }
    let observer = observer.body
    for item in announcements {
      let result = OperationResult(
        trigger: item.trigger, identity: item.operation.identity, seq: item.seq,
        outcome: item.outcome, error: item.error, retryAt: item.retryAt > 0 ? item.retryAt : nil)
      item.operation.completion?(result)
      for other in item.operation.absorbed { other.completion?(result) }
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
    let gateDue = [state.gates.nextDue, state.delayed.min?.due].compactMap { $0 }.min()
    lock.unlock()
    announce(announcements)
    settle(taken: coalesced, decided: decided + coalesced)
    if hasWork { wakeWorker() }
    return Turn(waiting: waiting, isActive: isActive, gateDue: gateDue)
  }

  /// The last resort for a script that does not end when asked: its worker is stuck in C, which is a defect of
  /// ours. The attempt fails, and a new worker takes the place; the thread is left to itself.
  ///
  /// - Returns: the new worker; nil when there is none, as the attempt has ended or the engine stops.
  func replace(_ worker: Worker, stuckIn attempt: UInt64) -> Worker? {
    let fresh = Worker(engine: self, name: worker.name, atLeast: worker.atLeast)
    let isReplaced = withState { state in
      guard worker.abandon(attempt, in: &state, at: clock.now()) else { return false }
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
