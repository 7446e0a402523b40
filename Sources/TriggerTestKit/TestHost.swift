import TriggerCore
import TriggerHost

/// A whole host in memory for tests: real queue, workers and order, on a clock that stands still until it is
/// told to move. Results do not depend on the machine's speed.
///
/// ```swift
/// let host = try TestHost(scripts: ["counter.lua": source])
/// try await host.send(Event("visit", ["page": "home"]))
/// #expect(try host.value("visits", "home") == ["count": 1])
/// ```
///
/// Its threads end with `stop`, or when the last reference goes.
public final class TestHost: Sendable {
  /// Stores, stats and records of the host.
  public let coordinator: CommitCoordinator
  /// Where events go in; `send` does it and waits.
  public let queue: TriggerQueue
  /// Jobs by the clock; started, and moved on by `advance`.
  public let scheduler: TriggerScheduler
  /// What admission times, schedules and gates go by.
  public let clock: ManualClock
  /// Every decided seq, with intents and reads.
  public let log: MemoryCommitLog

  /// Makes and starts a host.
  ///
  /// - Parameters:
  ///   - scripts: Lua sources by relative path, like `lib/rsi.lua`.
  ///   - triggers: Swift triggers to bind beside them.
  ///   - stores: content before the first commit, by store and key.
  ///   - start: what the clock shows at first; default 2026-01-01T00:00:00Z.
  /// - Throws: `ScriptTree.Problem` with what is wrong with the scripts, a line for each mistake.
  public convenience init(
    scripts: [String: String] = [:], triggers: [any Trigger] = [], stores: [String: [String: Value]] = [:],
    configuration: EngineConfiguration = EngineConfiguration(workers: 2),
    start: Timestamp = Timestamp(nanoseconds: 1_767_225_600_000_000_000)
  ) throws {
    let tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    let errors = tree.problems.filter { $0.severity == .error }
    if var problem = errors.first {
      problem.description = errors.map(\.description).joined(separator: "\n")
      throw problem
    }
    try self.init(
      tree: tree, triggers: triggers, stores: stores, configuration: configuration, start: start)
  }

  /// Makes and starts a host with the scripts that work in a tree, and all their schedules.
  ///
  /// - Parameters:
  ///   - schedules: jobs beside those of the scripts, as a cron file has them.
  ///   - observer: told of every decided operation that failed, logged something, or has a sender that waits, and
  ///     what it logged, before `send` and `advance` return. On a thread of the engine.
  /// - Throws: `ScheduleError` when two jobs have one name.
  public init(
    tree: ScriptTree, triggers: [any Trigger] = [], schedules: [ScheduledJob] = [],
    stores: [String: [String: Value]] = [:],
    configuration: EngineConfiguration = EngineConfiguration(workers: 2),
    start: Timestamp = Timestamp(nanoseconds: 1_767_225_600_000_000_000),
    observer: (@Sendable (OperationResult, [ExecutionLog]) -> Void)? = nil
  ) throws {
    clock = ManualClock(now: start.nanoseconds)
    log = MemoryCommitLog(wantsReads: true)
    coordinator = CommitCoordinator(configuration, clock: clock, log: log)
    queue = TriggerQueue(coordinator)
    scheduler = TriggerScheduler(queue)
    for (name, content) in stores {
      try coordinator.register(VersionedStore(name, backend: MemoryStoreBackend(content)))
    }
    queue.bind(triggers, scripts: tree)
    queue.observe(observer)
    for job in schedules + tree.triggers.flatMap(\.schedules) { try scheduler.add(job) }
    queue.start()
    scheduler.start()
  }

  deinit { stop() }

  /// Ends the threads. Safe to call twice.
  public func stop() {
    scheduler.stop()
    queue.stop()
  }

  /// Sends an event and waits until it, and all that came of it, is decided.
  ///
  /// - Returns: the outcomes of the event's own operations, in seq order.
  @discardableResult
  public func send(_ event: Event) async throws -> [OperationResult] {
    let results = try await queue.perform(event)
    await queue.waitUntilIdle()
    return results
  }

  /// Moves the clock on, from one due job to the next, and waits after each until the host is idle.
  public func advance(by span: Duration) async {
    let end =
      clock.now() + span.components.seconds * 1_000_000_000 + span.components.attoseconds / 1_000_000_000
    while true {
      let due = scheduler.jobs.compactMap { scheduler.nextFire(of: $0.name)?.nanoseconds }.min()
      let next = min(due ?? end, end)
      // The scheduler's task must be asleep before the clock moves, or it would wake too late.
      while let due, due > clock.now(), clock.sleeperCount == 0 { await Task.yield() }
      clock.advance(by: .nanoseconds(max(0, next - clock.now())))
      while scheduler.isFiring { await Task.yield() }
      await queue.waitUntilIdle()
      if next == end { return }
    }
  }

  /// The committed value at a key, nil when there is none.
  public func value(_ store: String, _ key: String) throws -> Value? { try coordinator.store(store).get(key) }
}
