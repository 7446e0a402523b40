import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerSQLite

/// One life of a host, from its start to a crash: what a process has in memory, and its open files.
final class Life {
  let log: WatchedLog
  /// Opens the log to read what it keeps; nil when it keeps nothing.
  private let openSource: (@Sendable () throws -> any LogSource)?
  /// Once it has recovered.
  private var recovered: RecoveredHost?
  /// From `bind` on.
  private var host: SteppedHost!
  /// Set once it has started.
  private(set) var engine: SteppedEngine!
  /// Where it began, and what the log had to do when it was opened.
  let lastSeq: Int64
  let unfinished: Int

  var coordinator: CommitCoordinator { host.coordinator }
  var queue: TriggerQueue { host.queue }
  var scheduler: TriggerScheduler { host.scheduler }

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
    let directory = try disk.map { disk in
      var directory = try OpenDirectory(
        stepping: try DataDirectory(database: "log.sqlite", fileSystem: disk.name, clock: clock),
        seed: plan.configuration.seed, versions: defects.beginsNoEpoch ? nil : "simulation",
        durability: plan.durability, flushBytes: plan.flushBytes, clock: clock)
      directory.scripts = tree
      return directory
    }
    openSource = directory?.source
    let log = WatchedLog(directory?.log, acknowledgesEarly: defects.acknowledgesEarly, decided)
    self.log = log
    var isOpen = false
    // The engine of one that does not start may go later, on another thread.
    defer { if !isOpen { log.drop() } }
    let opened = OpenedHost(
      stepping: plan.configuration, in: directory, log: log, retention: plan.retention, clock: clock)
    // Every string of it is a content that records and checkpoints share.
    try opened.register(
      VersionedStore("results", backend: MemoryStoreBackend(deduplicationThreshold: 1)))
    let recovered = try opened.recover()
    try recovered.visitLog { kept($0) }
    (lastSeq, unfinished) = recovered.leftovers
    self.recovered = consume recovered
    isOpen = true
  }

  /// The effects of all commits that the log keeps, as who delivers them reads them, and the first of these commits.
  func effects() throws -> (first: Int64, effects: [Effect]) {
    guard let openSource else { return (.max, []) }
    var (first, effects): (Int64, [Effect]) = (1, [])
    let reader = EffectReader(try openSource(), after: 0)
    defer { reader.close() }
    while true {
      let batch = try reader.next(through: .max, atMost: 10)
      if batch.effects.isEmpty, batch.lost.isEmpty { return (first, effects) }
      if !batch.lost.isEmpty { first = batch.lost.upperBound }
      effects += batch.effects
    }
  }

  /// Takes a checkpoint.
  ///
  /// - Parameter waiting: called while it waits for the log: others may move.
  func checkpoint(_ waiting: @escaping () -> Void) throws {
    log.whileWaiting = waiting
    defer { log.whileWaiting = nil }
    try host.checkpoint()
  }

  /// Puts a variant of the script tree in force, before the start. Returns the number of the tree.
  func bind(_ variant: Int) throws -> Int {
    host = recovered.take()!.step()
    return try host.begin(tree(variant)).identity!.number
  }

  /// Asks for another variant. Returns the number of the tree; nil when the queue refuses.
  func reload(_ variant: Int, completion: @escaping @Sendable (OperationResult) -> Void) throws -> Int? {
    let tree = try host.keep(tree(variant))
    return queue.offer(scripts: tree, completion: completion) ? tree.identity!.number : nil
  }

  /// Without a disk nobody keeps a tree, and gives it a number.
  private func tree(_ variant: Int) -> ScriptTree {
    var tree = Scripts.trees[variant]
    if log.log == nil { tree.identity = ScriptTree.Identity(number: variant + 1, time: 0, seed: 0) }
    return tree
  }

  /// Starts the engine and the schedules.
  func start(_ jobs: [ScheduledJob], interruption: (@Sendable (Int) -> Void)?) throws {
    engine = try host.start(jobs, interruption: interruption)
  }

  /// The process is gone: its files are closed. (The engine's memory may go later, on another thread.)
  func end() {
    engine?.end()
    recovered = nil
    host = nil
    log.drop()
  }

  deinit { end() }
}
