import TriggerCore
import TriggerHost
import TriggerSQLite

/// One life of a host, from its start to a crash: what a process has in memory, and its open files.
final class Life {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  let scheduler: TriggerScheduler
  let log: WatchedLog
  /// Set once it has started.
  private(set) var engine: SteppedEngine!
  private var directory: DataDirectory?
  private let clock: ManualClock

  private var checkpointer: Checkpointer?
  private let fires: [String: FiredInstants]
  /// Where it began.
  let lastSeq: Int64
  /// What the log had to do when it was opened.
  let unfinished: Int

  /// How much of a host is not as it should be.
  struct Defects {
    var acknowledgesEarly = false
    var beginsNoEpoch = false
  }

  /// Opens the files and recovers, as a host does.
  ///
  /// - Parameters:
  ///   - disk: nil keeps nothing.
  ///   - tree: script trees of earlier lives by their numbers.
  ///   - kept: sees each record that the log still has.
  init(
    _ plan: Plan, disk: SimulatedDisk?, clock: ManualClock, _ defects: Defects,
    tree: @escaping (Int) throws -> ScriptTree?, kept: (LogRecord) -> Void,
    decided: @escaping (LogRecord) -> Void
  ) throws {
    self.clock = clock
    directory = try disk.map {
      try DataDirectory(database: "log.sqlite", fileSystem: $0.name, clock: clock)
    }
    var epoch: Int64 = 1
    if let directory, !defects.beginsNoEpoch {
      // With it, whatever a dead process has left in the system's cache is on the disk before anybody sees it.
      let seed = plan.configuration.seed
      epoch = try directory.beginEpoch(now: clock.now(), seed: seed, versions: "simulation")
    }
    let reader = try directory.map { try LogReader(of: $0) }
    let last = try reader?.lastSeq() ?? 0
    let durable = try directory.map {
      try DurableLog(stepped: $0, durability: plan.durability, lastSeq: last, flushBytes: plan.flushBytes)
    }
    log = WatchedLog(durable, lastSeq: last, acknowledgesEarly: defects.acknowledgesEarly, decided)
    let coordinator = CommitCoordinator(plan.configuration, clock: clock, log: log)
    self.coordinator = coordinator
    // Every string of it is a content that records and checkpoints share.
    try coordinator.register(
      VersionedStore("results", backend: MemoryStoreBackend(deduplicationThreshold: 1)))
    let recovery = try coordinator.recover(scripts: { try tree($0) }) { try reader?.recover($0) }
    try reader?.visit { kept($0) }
    coordinator.open(epoch: epoch)
    lastSeq = recovery.lastSeq
    fires = recovery.fold.fires
    unfinished = recovery.fold.unfinished.count
    checkpointer = try durable.map {
      try Checkpointer($0, coordinator, recovery: recovery, retention: plan.retention)
    }
    queue = TriggerQueue(coordinator)
    scheduler = TriggerScheduler(queue, hasTimer: false)
  }

  /// Takes a checkpoint.
  ///
  /// - Parameter waiting: called while it waits for the log: others may move.
  func checkpoint(_ waiting: @escaping () -> Void) throws {
    log.whileWaiting = waiting
    defer { log.whileWaiting = nil }
    try checkpointer?.checkpoint()
  }

  /// Keeps a variant of the script tree, with a number.
  private func keep(_ variant: Int, seq: Int64) throws -> ScriptTree {
    var tree = Scripts.trees[variant]
    let (files, now) = (tree.files, clock.now())
    tree.identity =
      try log.log?.withDirectory { try $0.keep(files, now: now, seed: 0, seq: seq) }
      ?? ScriptTree.Identity(number: variant + 1, time: 0, seed: 0)
    return tree
  }

  /// Puts a variant of the script tree in force, before the start. Returns the number of the tree.
  func bind(_ variant: Int) throws -> Int {
    let tree = try keep(variant, seq: lastSeq + 1)
    queue.bind([], scripts: tree)
    return tree.identity!.number
  }

  /// Asks for another variant. Returns the number of the tree; nil when the queue refuses.
  func reload(_ variant: Int, completion: @escaping @Sendable (OperationResult) -> Void) throws -> Int? {
    let tree = try keep(variant, seq: 0)
    return queue.offer(scripts: tree, completion: completion) ? tree.identity!.number : nil
  }

  /// Starts the engine and the schedules.
  func start(_ jobs: [ScheduledJob], interruption: (@Sendable (Int) -> Void)?) throws {
    engine = SteppedEngine(queue, interruption: interruption)
    for job in jobs {
      let known = try log.log?.withDirectory { try $0.since(ofSchedule: job.name, rule: "\(job.rule)") }
      try scheduler.add(
        job, since: known.map { Timestamp(nanoseconds: $0) }, fired: log.log == nil ? nil : fires[job.name])
    }
    scheduler.start()
  }

  /// The process is gone: its files are closed. (The engine's memory may go later, on another thread.)
  func end() {
    engine?.end()
    checkpointer = nil
    log.drop()
    directory = nil
  }

  deinit { end() }
}
