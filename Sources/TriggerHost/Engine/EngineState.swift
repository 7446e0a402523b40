import DequeModule
import HeapModule
import Synchronization
import TriggerCore

/// Everything the engine lock guards: the queue, the order, what is parked, the records. It decides; the
/// workers run attempts and bring their results here.
///
///     admitted ─▶ lanes ─▶ order.assign ─▶ [worker runs] ─▶ complete ─▶ order.step ─▶ check ─▶ apply
///                                 ▲                                        │ conflict
///                                 └── reruns ◀─────────────────────────────┘
struct EngineState: ~Copyable {  // a copy would count references under the lock, and make parts be copied
  let configuration: EngineConfiguration
  let registry: SnapshotRegistry
  let reclaimer = Reclaimer()
  let committer: Committer
  let stores: StoreDirectory
  let emitRules: EmitRules
  /// Nil when there is no log.
  let recorder: LogRecorder?
  let backends: BackendFeed
  let effects = EffectWatch()
  /// Who waits for a seq.
  let seqs: SeqWatch

  var lanes = PriorityLanes<Operation>()
  var order: CommitOrder<Operation>
  var parking = Parking<Operation>()
  /// Operations that have been dequeued and must run before anything new: conflicts, and what was taken
  /// back from a worker that is stuck.
  var reruns: Deque<Operation> = []
  /// The engine is about to stop: nothing new is begun. Set without the lock, which may be wanted by many.
  let draining = Draining()
  var isDraining: Bool { draining.isOn.load(ordering: .relaxed) }

  final class Draining: Sendable {
    let isOn = Atomic<Bool>(false)
  }
  /// The engine stops: attempts are being cancelled, which is no outcome. Nothing is decided any more.
  var isStopping = false
  var records: RecordRing
  var stats = EngineStats()
  /// By index of the loaded trigger.
  var triggerStats: [TriggerStats] = []
  var latency = [LatencyHistogram](repeating: LatencyHistogram(), count: Priority.allCases.count)
  /// Queued operations that may absorb newer events, by coalesce key.
  var coalescing: [UInt64: Operation] = [:]

  var freeAttempts: [Attempt] = []
  var commitsSinceReclaim = 0
  /// Versions that waited to be freed when that was done last.
  var leftByReclaim = 0
  /// The last read set of the reservation's holder; writers of these keys are deferred behind it.
  var reserved: Attempt?
  var stuck = Stuck()
  /// When `giveUpDetached` looked last.
  var lookedForDetached = MonotonicTime(nanoseconds: 0)
  /// Who ended each deferred seq that the frontier has not passed yet.
  var deferredSeqs: [Int64: Operation] = [:]
  /// Most undecided seqs while the frontier moves.
  private var pace: Pace
  /// The attempt at the frontier proves to be slow: others run ahead up to the whole window.
  var isBlocked = false
  var runAhead: Int { isBlocked ? configuration.window : pace.window }
  var sets = TriggerSets()
  /// Put in force since last asked: the intake must follow.
  var justPut: TriggerSet?
  /// Which triggers the events of commits reach: the newest set's.
  var router = Router(triggers: [])
  /// True when some trigger is bound to `commit`.
  var wantsChangedKeys: Bool { !router.commitTriggers.isEmpty }
  var commitBindings: CommitBindings? { wantsChangedKeys ? router.commitBindings : nil }
  /// Operations that came to the front of their lanes while an earlier one of their order key is parked, or another has
  /// the turn: back there when the last of those has its seq, or it is theirs.
  private(set) var held: [UInt64: Deque<(operation: Operation, lane: Int)>] = [:]
  private(set) var heldCount = 0
  /// Taken from the intake; those before `nextArrived` have been admitted.
  var arrived: [Operation] = []
  var nextArrived = 0
  /// The frontier may move on: others had their turn meanwhile.
  var isCut = false
  /// Some of what `nextWork` dequeued was decided without a worker.
  var hasRefused = false
  /// Work is left that was put off, so that the lock was not held for long.
  var hasMore: Bool { isCut || nextArrived < arrived.count || !emissions.isEmpty }
  /// What stands before the queue for triggers that limit their own runs.
  var gates = Gates<Operation>()
  /// What the wall clock shows, without a look at it for each operation.
  var clock: ClockWatch
  /// How often somebody has set it.
  var clockSteps = 0
  /// Retries whose time has not come.
  var delayed = Heap<Delayed>()
  /// Failed operations that keep their place at a gate until their retry has come, by seq.
  var keptAtGate: [Int64: Operation] = [:]
  /// Failed operations that are to be tried again, to be routed.
  var retries: [(failed: Operation, seq: Int64, at: Int64, due: MonotonicTime)] = []
  /// Operations that ended without a seq since last asked: absorbed by others, or dropped at a gate.
  private var absorbedSinceTaken = 0
  /// Of those dequeued since last asked, the ones that had been superseded in the queue.
  private var supersededSinceTaken = 0
  /// Outcomes to tell once the lock is released.
  var announcements: [Announcement] = []
  /// Commits whose events must be routed once applied, in seq order.
  var emissions: Deque<Emission> = []
  /// Operations that commits have made since last asked; some are still to be admitted.
  private var emittedSinceTaken = 0

  struct Emission {
    var seq: Int64
    var source: LoadedTrigger
    var hops: UInt8
    var family: Operation.Family?
    var events: [EmittedEvent]
    /// The next to be admitted: which event, for which of its triggers.
    var nextEvent = 0
    var nextTrigger = 0
  }

  init(
    configuration: EngineConfiguration, registry: SnapshotRegistry, stores: StoreDirectory,
    log: (any CommitLog)?, backends: BackendFeed, clock: ClockReading
  ) {
    self.clock = ClockWatch(clock)
    self.configuration = configuration
    self.registry = registry
    seqs = SeqWatch(registry)
    self.backends = backends
    recorder = log.map { LogRecorder($0, stores: stores, digestInterval: configuration.digestInterval) }
    emitRules = EmitRules(configuration)
    committer = Committer(reclaimer: reclaimer, limits: configuration.valueLimits, stores: stores)
    self.stores = stores
    pace = Pace(limit: configuration.runAhead)
    order = CommitOrder(window: configuration.window, limits: configuration.orderLimits)
    records = RecordRing(capacity: configuration.recordsKept)
  }

  // MARK: Queue

  /// Puts an admitted operation into its lane, or lets a queued one absorb it.
  mutating func admit(_ operation: Operation, at now: MonotonicTime) {
    // One that had a seq before the host's last stop is not queued for the first time.
    // Nor is one that keeps its place.
    if operation.coalesceKey != 0, operation.identity == 0, operation.turnKey == 0 {
      // The record of one that stands for many names them all.
      if let waiting = coalescing[operation.coalesceKey], waiting.absorbed.count < configuration.mostAbsorbed
      {
        // A retry is as old as its first try: it takes no newer one's place.
        if operation.isOlder(than: waiting) {
          waiting.absorb(operation)
        } else {
          waiting.giveWay(to: operation)
        }
        if operation.priority > waiting.priority {
          waiting.priority = operation.priority
          lanes.raise(where: { $0 === waiting }, to: operation.priority)
        }
        stats.coalesced += 1
        absorbedSinceTaken += 1
        if operation.gateKey != 0 { mergeGated(operation, into: waiting, at: now) }
        return
      }
      coalescing[operation.coalesceKey] = operation
    }
    join(operation)
  }

  mutating func join(_ operation: Operation) {
    lanes.join(
      operation, priority: operation.priority, orderKey: operation.orderKey,
      usual: operation.trigger.options.priority)
  }

  /// The next operations for a worker: what must run again first, then new ones from the queue, as many as
  /// are cheap enough to be taken together. When a set was put in force (`justPut`) there may be more.
  mutating func nextWork(
    atLeast: Priority, share: Int, at now: MonotonicTime, into batch: inout [Operation]
  ) {
    while batch.count < configuration.batch, let operation = takeRerun(atLeast: atLeast) {
      begin(operation, at: now)
      if stuck.hasQuarantined, let quarantine = stuck.quarantine(of: operation.trigger) {
        refuse(operation, quarantine, at: now)
        continue
      }
      batch.append(operation)
    }
    // Others wait for these: nothing new before they are handed in.
    if !batch.isEmpty || isLogBehind || isDraining { return }
    var budget = configuration.batchNanoseconds
    while batch.count < share, order.undecided < runAhead, let operation = lanes.dequeue(atLeast: atLeast) {
      if !parking.isEmpty, !operation.isDropped, parking.holds(operation, orderKey: operation.orderKey) {
        lanes.keepPlace(orderKey: operation.orderKey)
        held[operation.orderKey, default: []].append((operation, lanes.lane))
        heldCount += 1
        continue
      }
      forgetCoalescing(operation)
      if operation.isSuperseded {
        supersededSinceTaken += 1
        continue
      }
      operation.seq = order.assign(operation, priority: operation.priority, orderKey: operation.orderKey)
      // One that was deferred before the host's last stop has its identity already.
      if operation.identity == 0 { operation.identity = operation.seq }
      begin(operation, at: now)
      if operation.trigger.kind == .install, case .install(let set) = operation.trigger.body {
        put(set)
        // It is in force from this seq on, so it must not wait for a worker, and be deferred because of that.
        return complete(operation, at: now)
      }
      if stuck.hasQuarantined, !operation.isDropped, let quarantine = stuck.quarantine(of: operation.trigger)
      {
        refuse(operation, quarantine, at: now)
        continue
      }
      batch.append(operation)
      budget -= operation.trigger.meanCost.load(ordering: .relaxed)
      if budget <= 0 { return }
    }
  }

  /// Nothing coalesces into it any more.
  @inline(__always)
  mutating func forgetCoalescing(_ operation: Operation) {
    if operation.coalesceKey != 0, coalescing[operation.coalesceKey] === operation {
      coalescing[operation.coalesceKey] = nil
    }
  }

  /// The disk does not keep up: what is queued waits, and what has been dequeued goes on.
  var isLogBehind: Bool { recorder?.isBehind == true }

  /// True when `nextWork` would give something.
  var hasWork: Bool {
    !reruns.isEmpty || (lanes.count > 0 && order.undecided < runAhead && !isLogBehind && !isDraining)
  }

  private mutating func takeRerun(atLeast: Priority) -> Operation? {
    if atLeast == .low { return reruns.popFirst() }
    guard let index = reruns.firstIndex(where: { $0.priority >= atLeast }) else { return nil }
    return reruns.remove(at: index)
  }

  @inline(__always)
  private mutating func begin(_ operation: Operation, at now: MonotonicTime) {
    operation.begun = now
    operation.cpuTaken = 0
    let attempt = operation.attempt ?? freeAttempts.popLast() ?? Attempt()
    attempt.snapshot = order.frontier
    operation.attempt = attempt
    operation.attempts &+= 1
    operation.isRunning = true
    operation.isStale = false
  }

  /// Nobody of the order key is parked any more.
  mutating func letGo(orderKey: UInt64) {
    guard let waiting = held.removeValue(forKey: orderKey) else { return }
    heldCount -= waiting.count
    for (operation, lane) in waiting.reversed() { lanes.putBack(operation, lane: lane, orderKey: orderKey) }
  }

  /// Whoever had the turn of an order key is decided: the next one goes on.
  mutating func passTurn(of orderKey: UInt64) {
    if let parked = parking.passTurn(of: orderKey) { return parked.turnKey = orderKey }
    guard let (operation, lane) = firstHeld(of: orderKey) else { return }
    // Behind it others may wait still: one by one, so that each failure puts off few.
    _ = parking.claimTurn(of: orderKey, for: operation)
    operation.turnKey = orderKey
    lanes.putBack(operation, lane: lane, orderKey: orderKey)
  }

  /// The next that has waited for its turn. What was superseded meanwhile would never pass the turn on.
  private mutating func firstHeld(of orderKey: UInt64) -> (operation: Operation, lane: Int)? {
    while let next = held[orderKey]?.popFirst() {
      if held[orderKey]!.isEmpty { held[orderKey] = nil }
      heldCount -= 1
      if !next.operation.isSuperseded { return next }
      supersededSinceTaken += 1
    }
    return nil
  }

  /// An operation that a worker had taken and not begun.
  mutating func putBack(_ operation: Operation) {
    operation.isRunning = false
    operation.attempts &-= 1
    reruns.append(operation)
  }

  mutating func takeAbsorbed() -> Int {
    defer { absorbedSinceTaken = 0 }
    return absorbedSinceTaken
  }

  mutating func takeEmitted() -> Int {
    defer { emittedSinceTaken = 0 }
    return emittedSinceTaken
  }

  mutating func countEmitted(_ count: Int) { emittedSinceTaken += count }

  mutating func countAbsorbed() { absorbedSinceTaken += 1 }

  mutating func takeSuperseded() -> Int {
    defer { supersededSinceTaken = 0 }
    return supersededSinceTaken
  }

  @inline(__always)
  mutating func countByTrigger(_ operation: Operation, _ change: (inout TriggerStats) -> Void) {
    let index = operation.trigger.index
    while triggerStats.count <= index { triggerStats.append(TriggerStats()) }
    change(&triggerStats[index])
  }

  /// Begins behind what a log holds. Before anything is admitted.
  mutating func resume(after seq: Int64) {
    precondition(order.undecided == 0, "recovery of an engine that runs")
    order = CommitOrder(
      window: configuration.window, frontier: seq, limits: configuration.orderLimits)
    registry.visible.max(seq, ordering: .releasing)
  }

  /// Everything that was begun is decided, or waits for the turn of a retry.
  var isQuiet: Bool { order.undecided == 0 && !parking.isMoving && reruns.isEmpty }

  /// What is admitted and not decided.
  func leftovers() -> Leftovers {
    var left = Leftovers(
      queued: lanes.count + heldCount + arrived.count - nextArrived, delayed: delayed.count)
    gates.forEach { _ in left.held += 1 }
    order.forEachUndecided { _, operation, _ in left.running.append(operation.trigger.name) }
    parking.visit { operation, _ in left.running.append(operation.trigger.name) }
    return left
  }

  mutating func takeAnnouncements() -> [Announcement] {
    if announcements.isEmpty { return [] }
    defer { announcements = [] }
    return announcements
  }

  mutating func slowDown() { pace.conflict() }
  mutating func speedUp(by commits: Int) { pace.commits(commits) }

}
