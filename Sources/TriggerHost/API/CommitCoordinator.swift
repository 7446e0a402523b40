import TriggerCore

/// Owns the stores and the one order of commits. Make one, register stores, give it to a `TriggerQueue`.
///
/// The engine behind it, with its threads, ends by `TriggerQueue.stop`, or soon after the last coordinator or queue of it has
/// gone. A store that is kept can still be read then.
public final class CommitCoordinator: Sendable {
  let engine: Engine
  let handle: EngineHandle

  /// - Parameters:
  ///   - configuration: default: one worker per core, in memory.
  ///   - clock: where admission times come from.
  ///   - log: receives every decided seq in order.
  public init(
    _ configuration: EngineConfiguration = EngineConfiguration(), clock: any EngineClock = SystemClock(),
    log: (any CommitLog)? = nil
  ) {
    engine = Engine(configuration: configuration, clock: clock, log: log)
    handle = EngineHandle(engine)
  }

  /// Makes a store known. Its backend's content is there at seq 0, so do it before the first commit. Once for each name,
  /// and for each store: who wants it a second time keeps what the first call returns, or asks `store` for its documents.
  ///
  /// - Throws: `StoreError` when a store of the name is registered, or this one is with a coordinator; what the backend's
  ///   `load` throws; `StoreError` for a value beyond `ValueLimits.standard`, and for one backend too many that follows.
  ///   Nothing is registered then.
  @discardableResult
  public func register<Backend>(_ store: VersionedStore<Backend>) throws -> VersionedStore<Backend> {
    let table = engine.stores.declare(store.name)
    let isNew = engine.registered.withLock { $0.insert(ObjectIdentifier(table)).inserted }
    guard isNew else {
      throw StoreError("a store named '\(store.name)' is registered already; give one of them another name")
    }
    do { return try register(store, as: table) } catch {
      engine.registered.withLock { _ = $0.remove(ObjectIdentifier(table)) }
      throw error
    }
  }

  private func register<Backend>(
    _ store: VersionedStore<Backend>, as table: StoreTable
  ) throws -> VersionedStore<Backend> {
    if store.attachment != nil {
      throw StoreError("store '\(store.name)' is registered with a coordinator already; make another one")
    }
    let content = try store.backend.load()
    for (key, value) in content {
      do { try value.validate(engine.configuration.valueLimits) } catch {
        throw StoreError("store '\(store.name)', key '\(key)': \(error)")
      }
    }
    store.attach(to: engine, table: table)
    engine.fill(table, with: content)
    if let backend = store.backend as? any CheckingStoreBackend { table.rule = backend.rule }
    table.deduplicationThreshold = store.backend.deduplicationThreshold
    // Documents in memory have nothing to follow; telling them would cost every commit.
    if let reader = store.backend as? any StoreReader {
      reader.read(from: engine.newestContent(of: table))
    } else if !(store.backend is MemoryStoreBackend) {
      try engine.attach(store.backend, to: table)
    }
    return store
  }

  /// Rebuilds the state from a log, and finds what was admitted and not decided; `start` of the queue takes
  /// that up again. Register the stores first. Once, before anything is enqueued.
  ///
  /// - Parameter scripts: a script tree of an earlier run by its number, nil when it is not known any more:
  ///   an operation that was dequeued under it, and deferred, goes on with it.
  /// - Returns: how far it got.
  /// - Throws: what `body` throws, among it `LogDamage`.
  @discardableResult
  public func recover(
    scripts: @escaping (_ tree: Int) throws -> ScriptTree? = { _ in nil },
    _ body: (Recovery) throws -> Void
  ) throws -> Recovery { try engine.recover(scripts: scripts, body) }

  /// Ids of events begin with the epoch: one of its own for every start of a host. Before the queue starts.
  public func open(epoch: Int64) { engine.open(epoch: epoch) }

  /// - Parameter body: called once, when the log can take no more records, with the reason, on a thread of its
  ///   own. The engine takes no more events then and stops; what was acknowledged is in the log.
  public func whenFailed(_ body: (@Sendable (_ reason: LogFailure) -> Void)?) {
    engine.setFailureObserver(body)
  }

  /// Calls `body` soon after somebody has set the wall clock. Spans take no notice of that; what happens at wall times
  /// goes by the new one. Any number may observe; each is called in order, on a thread for that.
  ///
  /// - Parameters:
  ///   - buffer: steps that may wait for `body`.
  ///   - whenFull: what becomes of those that come while so many wait.
  /// - Returns: what ends it. It goes on without anybody keeping that.
  @discardableResult
  public func whenClockSteps(
    buffer: Int = 10_000, whenFull: Observation.WhenFull = .leaveOut,
    _ body: @escaping @Sendable (ClockStep) -> Void
  ) -> Observation { engine.clockObservers.add(buffer: buffer, whenFull: whenFull, body) }

  /// Calls `body` when an attempt could not be ended and its trigger was put in quarantine, when that ends, and once a
  /// minute while so many are stuck that the host should be started again. Any number may observe; each is called in
  /// order, on a thread for that.
  ///
  /// - Parameters:
  ///   - buffer: notices that may wait for `body`.
  ///   - whenFull: what becomes of those that come while so many wait.
  /// - Returns: what ends it. It goes on without anybody keeping that.
  @discardableResult
  public func whenStuck(
    buffer: Int = 10_000, whenFull: Observation.WhenFull = .leaveOut,
    _ body: @escaping @Sendable (StuckNotice) -> Void
  ) -> Observation { engine.stuckObservers.add(buffer: buffer, whenFull: whenFull, body) }

  /// Whether the host should get work, and why not: its log has failed, it stops, or too many attempts are stuck.
  /// Any thread.
  public var readiness: Readiness { engine.readiness }

  /// The longest time that anybody has held the engine's lock since last asked, nanoseconds; 0 when that is not
  /// measured.
  package func takeLongestHold() -> Int64 { engine.lock.takeLongestHold() }

  /// Calls `body` once for each name of an event that no trigger takes, from outside or emitted, for the first 1,000 names.
  /// Such an event leaves nothing behind. Any number may observe; a name is told to those who observe when it comes for the
  /// first time. Each is called in order, on a thread for that.
  ///
  /// - Parameters:
  ///   - buffer: names that may wait for `body`.
  ///   - whenFull: what becomes of those that come while so many wait.
  /// - Returns: what ends it. It goes on without anybody keeping that.
  @discardableResult
  public func whenUnheard(
    buffer: Int = 10_000, whenFull: Observation.WhenFull = .leaveOut,
    _ body: @escaping @Sendable (_ kind: EventKind, _ name: String) -> Void
  ) -> Observation {
    engine.unheardObservers.add(buffer: buffer, whenFull: whenFull) { body($0.kind, $0.name) }
  }

  /// A store by name, as documents, whatever its backend. It need not exist yet.
  ///
  /// - Throws: when the name is empty, unknown while `strictStores` is on, or one store too many (10,000).
  public func store(_ name: String) throws -> VersionedStore<MemoryStoreBackend> {
    let store = VersionedStore(name, backend: MemoryStoreBackend())
    do { store.attach(to: engine, table: try engine.stores.table(name)) } catch {
      throw StoreError(error.message)
    }
    return store
  }

  /// Names of the stores that were registered or written to, in byte order; those with a dot first are the host's own
  /// and left out.
  public var storeNames: [String] { engine.stores.existing.filter { !$0.isInternal }.map(\.name) }

  /// Which commits have effects.
  package var effects: EffectWatch { engine.effects }

  /// Lets tasks wait for a seq.
  package var seqs: SeqWatch { engine.seqs }

  /// What every store holds, in 64 bits each, as of the frontier: of two hosts, or of a host and a copy, that are at
  /// one seq, stores with equal digests are equal (`StoreDigest`). Some of it may not be durable yet. Any thread;
  /// O(stores), under the engine's lock.
  public func digests() -> StateDigests {
    var digests = allDigests()
    digests.stores.removeAll { StoreTable.isInternal($0.name) }
    return digests
  }

  /// Those of the host's own stores among them.
  package func allDigests() -> StateDigests { engine.allDigests() }

  /// Counters and gauges, as of now. Any thread.
  public var stats: EngineStats { engine.currentStats() }

  /// Waits until the statistics are so after a turn of a worker or of the watchdog, or the queue is stopped. What backends
  /// do is no turn: they are counted on their own queues.
  ///
  /// - Parameter holds: called under a lock of the engine's: it must do no more than look.
  package func waitUntil(_ holds: @escaping @Sendable (EngineStats) -> Bool) async {
    await engine.waitUntil(holds)
  }

  /// What is known of a seq; nil for one not given out yet, or decided too long ago.
  public func executionRecord(for seq: Int64) -> ExecutionRecord? { engine.executionRecord(for: seq) }
}
