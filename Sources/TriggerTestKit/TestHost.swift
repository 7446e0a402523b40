import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

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
  private let host: RunningHost

  /// Makes and starts a host.
  ///
  /// - Parameters:
  ///   - scripts: Lua sources by relative path, like `lib/rsi.lua`.
  ///   - triggers: Swift triggers to bind beside them.
  ///   - stores: content before the first commit, by store and key.
  ///   - start: what the clock shows at first; default 2026-01-01T00:00:00Z.
  /// - Throws: `ScriptTree.Problem` with what is wrong with the scripts, a line for each mistake.
  public convenience init(
    scripts: [String: String] = [:], triggers: [any Trigger] = [], stores: [String: Value.Map] = [:],
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
    stores: [String: Value.Map] = [:],
    configuration: EngineConfiguration = EngineConfiguration(workers: 2),
    start: Timestamp = Timestamp(nanoseconds: 1_767_225_600_000_000_000),
    observer: (@Sendable (OperationResult, [ExecutionLog]) -> Void)? = nil
  ) throws {
    clock = ManualClock(now: start.nanoseconds)
    log = MemoryCommitLog(wantsReads: true)
    var options = HostOptions()
    options.clock = clock
    options.triggers = triggers
    let opened = OpenedHost(configuration, log: log, options)
    for (name, content) in stores {
      try opened.register(VersionedStore(name, backend: MemoryStoreBackend(content)))
    }
    host = try opened.recover().start(scripts: tree, schedules: schedules, observer: observer)
    (coordinator, queue, scheduler) = (host.coordinator, host.queue, host.scheduler)
  }

  deinit { stop() }

  /// Ends the threads. Safe to call twice.
  public func stop() { host.stopAndWait(within: .zero) }

  // MARK: Events and time

  /// Sends an event and waits until nothing happens any more before the clock moves: it, and all that came of it,
  /// is decided, or among `waiting`.
  ///
  /// - Returns: the outcomes of the event's own operations, in seq order. One that `debounce`, `throttle` or a retry
  ///   holds is missing here: it comes with `advance` or `settle`, and is in `log` then.
  /// - Throws: like `TriggerQueue.enqueue`; `QueueStopped` when the host is stopped meanwhile.
  @discardableResult
  public func send(_ event: Event) async throws -> [OperationResult] {
    let results = Results()
    try await queue.enqueue(event) { results.add($0) }
    await queue.waitUntilQuiet()
    if queue.isStopped { throw QueueStopped(wasTaken: true) }
    return results.inOrder
  }

  /// What waits for the clock: held by `debounce` or `throttle`, or to be tried again. Schedules are in `scheduler`.
  public var waiting: [WaitingEvent] { queue.waiting }

  /// Moves the clock on, from one due time to the next: of schedules, `debounce`, `throttle` and retries. After each
  /// it waits until nothing happens any more before the clock moves. Ends early when its task is cancelled or the
  /// host is stopped.
  ///
  /// - Parameter span: the clock goes no further than the end of 2199.
  public func advance(by span: Duration) async {
    await advance(to: time(after: span))
  }

  /// Moves the clock on, from one due time to the next, until nothing is `waiting`. What schedules do on the way
  /// counts, those themselves do not: they never end.
  ///
  /// - Parameter most: the clock moves no further than that.
  /// - Returns: what is still waiting then; empty when all is done.
  @discardableResult
  public func settle(within most: Duration = .seconds(24 * 3600)) async -> [WaitingEvent] {
    let end = time(after: most)
    await queue.waitUntilQuiet()
    while let due = queue.nextDue, due <= end, mayGoOn { await advance(to: due) }
    return waiting
  }

  /// The clock goes no further: 2200-01-01T00:00:00Z. Times of the engine are nanoseconds in 64 bits, up to 2262.
  package static let lastTime: Int64 = 7_258_118_400_000_000_000

  private func time(after span: Duration) -> Int64 {
    let left = max(0, Self.lastTime - clock.now())
    return clock.now() + (span < .nanoseconds(left) ? span.nanoseconds : left)
  }

  private func advance(to end: Int64) async {
    await queue.waitUntilQuiet()
    while mayGoOn {
      let next = min(end, [scheduler.nextDue?.nanoseconds, queue.nextDue].compactMap { $0 }.min() ?? end)
      clock.advance(by: .nanoseconds(max(0, next - clock.now())))
      scheduler.fireDue()
      queue.clockMoved()
      await scheduler.waitUntilFired()
      await queue.waitUntilQuiet()
      if next == end { return }
    }
  }

  private var mayGoOn: Bool { !Task.isCancelled && !queue.isStopped }

  /// The committed value at a key, nil when there is none.
  public func value(_ store: String, _ key: String) throws -> Value? { try coordinator.store(store).get(key) }
}

/// Outcomes as they come. Any thread.
private final class Results: Sendable {
  private let results = Mutex<[OperationResult]>([])

  func add(_ result: OperationResult) { results.withLock { $0.append(result) } }
  var inOrder: [OperationResult] { results.withLock { $0 }.sorted { $0.seq < $1.seq } }
}

extension Duration {
  /// Of a span that is no longer than 292 years.
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
