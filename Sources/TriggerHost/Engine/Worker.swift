import Glibc
import Synchronization
import TriggerCore
import TriggerLua

/// A dedicated thread that runs attempts, and the Lua state that belongs to it.
///
/// It takes a batch under the engine lock, runs it outside, and hands the results in when it takes the
/// next. Operations of a batch are claimed one by one, so that the watchdog can hand in what is done and
/// take back what has not begun when one of them takes long.
final class Worker: @unchecked Sendable {  // fields: see the comments
  let name: String
  /// The lowest priority this worker takes; above `low` for reserve workers.
  let atLeast: Priority
  let wakeUp = WakeUp()
  /// Written under the engine lock; read by this worker's thread.
  var batch: [Operation] = []
  /// There was more to do than may be done at a time. As `batch`.
  var hasMore = false
  private var handedIn = 0  // engine lock: results of `batch` already handed in
  private var kept = Int.max  // engine lock: so many of `batch` were not given back
  private let claimed = Atomic<Int>(0)
  private let done = Atomic<Int>(0)
  /// Timeout in nanoseconds of the attempt now running.
  let timeout = Atomic<Int64>(0)
  let isAsleep = Atomic<Bool>(false)
  /// The attempt whose end was asked for last.
  let endAsked = Atomic<UInt64>(0)
  /// Stuck in C: another worker has its place, and what its thread still does counts no more. Written under the
  /// engine lock.
  let isAbandoned = Atomic<Bool>(false)
  /// What the thread of an abandoned worker may still use. Engine lock.
  private(set) var abandonedAttempt: Attempt?
  private var abandonedTrigger: LoadedTrigger?
  private let ended = WakeUp()

  private let engine: Engine  // a cycle until the engine stops
  let lua: LuaRunner  // this worker's thread
  /// As the system knows it, for its priority.
  let threadID = Atomic<Int32>(0)
  private(set) var thread = pthread_t()  // set once, before the thread runs anything

  init(engine: Engine, name: String, atLeast: Priority, functions: LuaHostFunctions? = nil) {
    self.engine = engine
    self.name = name
    self.atLeast = atLeast
    let interruption = engine.configuration.interruption
    lua = LuaRunner(
      stores: engine.stores, engine.configuration,
      functions: functions ?? (interruption == nil ? LuaRunner.functions : LuaRunner.interruptible),
      lineMemory: engine.lineMemory)
    lua.interruption = interruption
  }

  // MARK: Thread

  func start() {
    thread = Thread.spawn(name: name, stackBytes: Thread.scriptStack) {
      self.threadID.store(thisThread(), ordering: .relaxed)
      self.loop()
      self.ended.wake()
    }
  }

  /// Waits until the thread has ended, or is given up.
  ///
  /// - Parameter late: nil: as long as it takes.
  /// - Returns: false when it has not, and is left to itself.
  func join(until late: ContinuousClock.Instant?) -> Bool {
    if let late {
      while !ended.sleep(nanoseconds: max(1, (late - .now).nanoseconds)) {
        if ContinuousClock.now >= late { return false }
      }
    } else {
      ended.sleep()
    }
    if !isAbandoned.load(ordering: .acquiring) { pthread_join(thread, nil) }
    return true
  }

  /// The trigger whose attempt does not end. Engine lock.
  var stuckIn: String? { handedIn < min(kept, batch.count) ? batch[handedIn].trigger.name : nil }

  private func loop() {
    lua.bind()
    while !engine.isStopping.load(ordering: .acquiring) {
      guard engine.exchange(self) else { return }
      forgetSets()
      if batch.isEmpty, hasMore {
        // Whoever waits for the lock comes first.
        sched_yield()
      } else if batch.isEmpty {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        engine.rest(self)
        isAsleep.store(false, ordering: .sequentiallyConsistent)
      } else {
        runBatch()
      }
    }
  }

  private func runBatch() {
    let started = engine.clock.monotonic()
    while let index = claim() {
      run(batch[index])
      report(index, since: started)
    }
  }

  /// Takes the next operation of the batch, nil when none is left to this worker. Its place in the batch.
  func claim() -> Int? {
    // Whoever sees that it was claimed sees that those before it are done.
    let index = claimed.wrappingAdd(1, ordering: .releasing).oldValue
    return index < batch.count ? index : nil
  }

  /// What `claim` gave has been run, in a batch that was begun at `started`.
  func report(_ index: Int, since started: MonotonicTime) {
    // The last of the batch. Once it is reported it may be decided, and its trigger go.
    if claimed.load(ordering: .relaxed) >= batch.count {
      learnCost(of: batch[index].trigger, (engine.clock.monotonic() - started) / Int64(index + 1))
    }
    done.store(index + 1, ordering: .releasing)
  }

  /// Moves the trigger's running mean towards what this batch took per operation: quickly upwards, so
  /// that a trigger that became slow is taken alone, slowly downwards.
  private func learnCost(of trigger: LoadedTrigger, _ cost: Int64) {
    let mean = trigger.meanCost.load(ordering: .relaxed)
    trigger.meanCost.store(cost > mean ? cost : mean - (mean - cost) / 4, ordering: .relaxed)
  }

  func run(_ operation: Operation) {
    // Its seq ends `skipped`, whatever it would return. (A Swift trigger's task must report its end.)
    if operation.isDropped { return }
    if operation.isCancelled || operation.isGone, operation.trigger.kind == .lua { return }
    switch operation.trigger.kind {
    case .lua:
      timeout.store(operation.trigger.timeoutNanoseconds, ordering: .relaxed)
      lua.run(operation, operation.attempt!)
    case .missing, .install: break
    case .swift:
      guard case .swift(let trigger) = operation.trigger.body else { return }
      SwiftRunner.run(trigger, operation, operation.attempt!, engine: engine)
    }
  }

  // MARK: Under the engine lock

  /// Which sets of triggers are still in use, when that has changed; written under the engine lock.
  private let setsToKeep = Mutex<(numbers: Set<Int>, bindings: CommitBindings?)>(([], nil))
  private let hasSetsToKeep = Atomic<Bool>(false)

  /// - Parameter bindings: of triggers in force that are bound to commits.
  func keep(sets: Set<Int>, bindings: CommitBindings?) {
    setsToKeep.withLock { $0 = (sets, bindings) }
    hasSetsToKeep.store(true, ordering: .releasing)
  }

  /// Frees scripts that are not in use any more; this worker's thread.
  func forgetSets() {
    guard hasSetsToKeep.load(ordering: .relaxed),
      hasSetsToKeep.exchange(false, ordering: .acquiring)
    else { return }
    let (sets, bindings) = setsToKeep.withLock { $0 }
    lua.forget(allBut: sets)
    lua.bindings = bindings
  }

  /// Completes what has been run and not yet handed in.
  func handIn(to state: inout EngineState, at now: MonotonicTime) {
    let end = done.load(ordering: .acquiring)
    while handedIn < end {
      let operation = batch[handedIn]
      handedIn += 1
      // Swift triggers report for themselves when their task ends.
      if operation.trigger.kind == .swift, !operation.isDropped { continue }
      state.complete(operation, at: now)
    }
  }

  func clearBatch() {
    batch.removeAll(keepingCapacity: true)
    handedIn = 0
    kept = .max
    claimed.store(0, ordering: .relaxed)
    done.store(0, ordering: .relaxed)
  }

  /// This worker is stuck in one attempt: what it has done counts now, what it has not begun goes to
  /// others.
  ///
  /// - Parameter cpuTaken: nanoseconds, of the attempt it is stuck in.
  func giveUpBatch(to state: inout EngineState, at now: MonotonicTime, cpuTaken: Int64) {
    if isAbandoned.load(ordering: .relaxed) { return }
    // First, so that it begins nothing else: what is asked to end below is what it is stuck in, or nothing.
    let begun = claimed.exchange(batch.count, ordering: .acquiringAndReleasing)
    let end = min(kept, batch.count)
    for operation in batch[min(begun, end)..<end] { state.putBack(operation) }
    kept = min(begun, end)
    handIn(to: &state, at: now)
    guard handedIn < kept else { return }
    let operation = batch[handedIn]
    operation.cpuTaken = cpuTaken
    // At every look: the last time may have been just before the attempt began.
    if state.isStopping || operation.isCancelled || operation.attempt?.isExpired == true { cancel() }
  }

  /// Fails the attempt that this worker is stuck in, and gives the worker up. False when the attempt has ended by
  /// itself meanwhile. (It may end while this is going on: that comes too late then.)
  func abandon(_ number: UInt64, in state: inout EngineState, at now: MonotonicTime) -> Bool {
    guard running == number else { return false }
    giveUpBatch(to: &state, at: now, cpuTaken: 0)
    guard handedIn < kept else { return false }
    isAbandoned.store(true, ordering: .releasing)
    ended.wake()
    let operation = batch[handedIn]
    abandonedAttempt = operation.attempt
    abandonedTrigger = operation.trigger
    // Its thread may still read as of its snapshot.
    state.stuck.attempts.append(operation.attempt!)
    state.giveUp(
      operation,
      "stuck: \(operation.trigger.name): it did not end when it was asked to: stuck in C, so its worker was replaced, "
        + "and it does not run again until it is changed. "
        + "This is a defect of trigger-host: please report it, with the script",
      isLowered: lowerThread(threadID.load(ordering: .relaxed)), at: now)
    return true
  }

  // MARK: Any thread

  /// Number of the attempt now running in Lua, 0 when none is.
  var running: UInt64 { lua.running }
  func kill(_ attempt: UInt64, cancelled: Bool = false) {
    endAsked.store(attempt, ordering: .relaxed)
    lua.kill(attempt, cancelled: cancelled)
  }
  func cancel() {
    let attempt = running
    if attempt != 0 { kill(attempt, cancelled: true) }
  }
}
