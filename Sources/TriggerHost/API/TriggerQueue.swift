import TriggerCore

/// Where everything that changes state comes in.
public final class TriggerQueue: Sendable {
  let engine: Engine
  private let handle: EngineHandle

  /// A coordinator has one queue: all made for it are the same one. One that goes leaves the others as they are; with the
  /// last of them, and the coordinator, the engine ends.
  public init(_ coordinator: CommitCoordinator) {
    (engine, handle) = (coordinator.engine, coordinator.handle)
  }

  /// A store of the host's own: its name begins with a dot. Made when it is not there, also while `strictStores` is on.
  package func internalStore(_ name: String) -> VersionedStore<MemoryStoreBackend> {
    precondition(StoreTable.isInternal(name), "'\(name)' is no store of the host's own")
    let store = VersionedStore(name, backend: MemoryStoreBackend())
    store.attach(to: engine, table: engine.stores.declare(name))
    return store
  }

  /// Starts the workers. Safe to call twice; does nothing after `stop`.
  public func start() { engine.start() }

  /// Ends the engine: what runs is cut off, what is queued stays undone. Whoever waits for an outcome, or comes later, gets
  /// `QueueStopped`. Returns when all threads have ended, and everything that was committed is as durable as the log
  /// promises; safe to call before `start`, and twice.
  public func stop() async {
    await withCheckedContinuation { continuation in
      // Threads are waited for, and the pool has others to serve.
      Thread.detach(name: "stop") { [engine] in
        engine.stop()
        engine.whenOver { continuation.resume() }
      }
    }
  }

  /// As above, for a thread of one's own, which it blocks. Returns at once while somebody else stops it.
  package func stop() { engine.stop() }

  // Parts of `stop`, for who gives each its time: see `Engine`.
  package func drain() { engine.drain() }
  package func finishRunning(within bound: Duration) -> Leftovers { engine.finishRunning(within: bound) }
  package func cancelRunning(within bound: Duration) -> [String] { engine.cancelRunning(within: bound) ?? [] }
  package func flushLog() { engine.flushLog() }
  package func stopBackends() { engine.backends.stop() }
  package func release() { engine.release() }

  /// Puts these triggers in force at once, and no others: Swift triggers by the bindings in their options,
  /// scripts by those in their tables. Queued operations of triggers whose name is gone end `skipped`.
  public func bind(_ triggers: [any Trigger], scripts: ScriptTree? = nil) {
    let items = triggers.map {
      (name: $0.name, body: LoadedTrigger.Body.swift($0), options: $0.options)
    }
    engine.install(makeSet(items, scripts))
  }

  /// Puts other scripts in force, in the place of those before, as an operation with a seq: operations that
  /// are dequeued before it keep the scripts they have, through every attempt; those after it use the new
  /// ones whole. Swift triggers stay. Returns when it is committed.
  ///
  /// - Parameter event: what the log says of it: `changed`, `from` and the like; `tree` is added.
  /// - Throws: like `enqueue`.
  @discardableResult
  public func replaceScripts(
    with scripts: ScriptTree, event: Value.Map = [:], source: UInt64 = 0
  ) async throws -> OperationResult {
    let (stream, results) = AsyncStream.makeStream(of: OperationResult.self)
    let watch = engine.whenStopped { results.finish() }
    defer { engine.forget(watch) }
    while !offer(scripts: scripts, event: event, source: source, completion: { results.yield($0) }) {
      try await makeRoom()
    }
    return try await collect(1, from: stream)[0]
  }

  /// As above without waiting; false when the queue is full.
  package func offer(
    scripts: ScriptTree, event: Value.Map = [:], source: UInt64 = 0,
    completion: @escaping @Sendable (OperationResult) -> Void
  ) -> Bool {
    let items = engine.triggersInForce.swiftTriggers.map {
      (name: $0.name, body: $0.body, options: $0.options)
    }
    let set = makeSet(items, scripts)
    var options = TriggerOptions()
    options.priority = .critical
    let trigger = engine.adopt(name: ReservedTrigger.scripts, body: .install(set), options: options)
    var event = event
    event["tree"] = .int(Int64(set.tree?.identity.number ?? 0))
    return admit(trigger, Event(ReservedTrigger.scripts, .map(event), source: source), nil, completion)
  }

  private func makeSet(
    _ items: [(name: String, body: LoadedTrigger.Body, options: TriggerOptions)], _ scripts: ScriptTree?
  ) -> TriggerSet {
    guard let scripts else { return engine.makeSet(items, tree: nil) }
    let newest = engine.triggersInForce.tree?.identity.number ?? 0
    let identity =
      scripts.identity
      ?? ScriptTree.Identity(number: newest + 1, time: engine.clock.now(), seed: engine.configuration.seed)
    let tree = LoadedTree(identity, scripts.contents, lookups: scripts.lookups)
    return engine.makeSet(
      items + scripts.triggers.map { ($0.name, .lua(tree: tree, path: $0.path), $0.options) }, tree: tree)
  }

  /// Admits an event; every trigger bound to it makes an operation. Returns how many did.
  ///
  /// - Throws: `QueueFull` when the queue is full and `whenFull` is `refuse`: otherwise it waits for room. `QueueStopped`
  ///   when the queue is stopped, before or meanwhile; `QueueFailed` when its log can take no more.
  @discardableResult
  public func enqueue(
    _ event: Event, cancellation: Cancellation? = nil,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) async throws -> Int {
    while true {
      if let count = try offer(event, cancellation: cancellation, completion: completion) { return count }
      try await makeRoom(for: completion == nil ? nil : event.source)
    }
  }

  /// As above, with a function that is called where the outcome is told: it must do next to nothing.
  package func enqueue(
    telling: @escaping @Sendable (OperationResult) -> Void, _ event: Event
  ) async throws -> Int {
    while true {
      if let count = offer(telling: telling, event) { return count }
      try await makeRoom()
    }
  }

  /// Admits an event without waiting, and says how many operations it makes; nil when the queue is full, or 10,000 calls
  /// wait for the completions of the event's source. Any thread.
  ///
  /// - Parameters:
  ///   - completion: called once for each operation that it makes, with its outcome, in seq order, one call after
  ///     another for the events of a source, on a thread for that. One that takes long holds up its source's
  ///     intake, and nothing else.
  ///   - whenKept: see `Event.isKept`; called like `completion`.
  /// - Throws: `QueueStopped`; `QueueFailed` when the log can take no more.
  public func offer(
    _ event: Event, cancellation: Cancellation? = nil,
    completion: (@Sendable (OperationResult) -> Void)? = nil, whenKept: (@Sendable () -> Void)? = nil
  ) throws -> Int? {
    if completion == nil && whenKept == nil || hasRoom(for: event.source),
      let count = offer(
        telling: aside(event.source, completion), event, cancellation: cancellation,
        keeping: aside(event.source, whenKept))
    {
      return count
    }
    try checkTakes()
    return nil
  }

  /// Nobody waits for room that never comes.
  private func checkTakes() throws {
    if let reason = engine.logFailure { throw QueueFailed(reason: reason) }
    if engine.isEnding { throw QueueStopped(wasTaken: false) }
  }

  /// As above, with functions that are called where the outcome is told: they must do next to nothing.
  package func offer(
    telling: (@Sendable (OperationResult) -> Void)?, _ event: Event, cancellation: Cancellation? = nil,
    keeping: (@Sendable () -> Void)? = nil
  ) -> Int? {
    event.payload.withUnsafeBufferPointer {
      engine.admit(
        Engine.Arrival(event, cancellation: cancellation, whenKept: keeping), payload: $0, completion: telling
      )
    }
  }

  // MARK: Receivers

  private func hasRoom(for source: UInt64) -> Bool {
    engine.configuration.tellsInPlace || engine.receivers.hasRoom(.source(source))
  }

  /// The function as one that returns at once: what a user gave is called on a thread for that.
  private func aside<Message: Sendable>(
    _ source: UInt64, _ body: (@Sendable (Message) -> Void)?
  ) -> (@Sendable (Message) -> Void)? {
    guard let body, !engine.configuration.tellsInPlace else { return body }
    let receivers = engine.receivers
    return { message in receivers.call(.source(source)) { body(message) } }
  }

  private func aside(_ source: UInt64, _ body: (@Sendable () -> Void)?) -> (@Sendable () -> Void)? {
    guard let body, !engine.configuration.tellsInPlace else { return body }
    let receivers = engine.receivers
    return { receivers.call(.source(source), body) }
  }

  /// Admits an event that its sender may send again: one with a key that has come within the last 24 hours is
  /// not admitted anew, and gets the results of the first. Without waiting. Any thread.
  ///
  /// - Parameters:
  ///   - scope: whose keys these are; keys of different scopes have nothing to do with each other.
  ///   - results: called once with the event's id and the results of all its operations, in seq order; at
  ///     once for a repeated event that is decided already. Called like the completion of any event.
  ///   - whenKept: see `Event.isKept`; gets the event's id. For a repeated event: when that is decided.
  /// - Returns: the event's id, for a repeated one that of the first; nil when there is no room: `results` is
  ///   not called then.
  /// - Throws: `KeyReused` when the key came with another event; `KeysFull` when as many are known as may be; what
  ///   the disk says when the results of a repeated event cannot be read; `QueueStopped`; `QueueFailed` when the log can take
  ///   no more. Nothing is run then.
  public func offer(
    _ event: Event, scope: String, key: String, whenKept: (@Sendable (EventID) -> Void)? = nil,
    results: @escaping @Sendable (EventID, [OperationResult]) -> Void
  ) throws -> EventID? {
    if hasRoom(for: event.source) {
      let told = aside(event.source) { (answer: (EventID, [OperationResult])) in results(answer.0, answer.1)
      }!
      if let id = try offer(
        event, scope: scope, key: key, keeping: aside(event.source, whenKept), telling: { told(($0, $1)) })
      {
        return id
      }
    }
    try checkTakes()
    return nil
  }

  /// As above, with functions that are called where the outcome is told: they must do next to nothing.
  package func offer(
    _ event: Event, scope: String, key: String, keeping whenKept: (@Sendable (EventID) -> Void)?,
    telling results: @escaping @Sendable (EventID, [OperationResult]) -> Void
  ) throws -> EventID? {
    let admission = try event.payload.withUnsafeBufferPointer {
      try engine.admit(
        Engine.Arrival(event), scope: scope, key: key, payload: $0, results: results, whenKept: whenKept)
    }
    switch admission {
    case .taken(let id): return id
    case .full: return nil
    case .reused: throw KeyReused(key: key)
    case .keysFull(let time):
      throw KeysFull(limit: engine.keys.limit, until: Timestamp(nanoseconds: time))
    }
  }

  /// Names of the triggers in force, in byte order.
  package var triggerNames: [String] { engine.triggersInForce.triggers.map(\.name) }

  /// An id for an event that is about to be sent: unique for the data directory.
  public func makeEventID() -> EventID { engine.makeEventID() }

  /// Why the queue takes no more events; nil while it does.
  public var failure: LogFailure? { engine.logFailure }

  /// Admits an event for one trigger in force, whatever that is bound to (a schedule names its trigger).
  /// Waits for room like `enqueue`. Returns false when no trigger has the name.
  @discardableResult
  public func enqueue(
    _ event: Event, toTrigger name: String, cancellation: Cancellation? = nil,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) async throws -> Bool {
    while true {
      if let count = try offer(event, toTrigger: name, cancellation: cancellation, completion: completion) {
        return count > 0
      }
      try await makeRoom(for: completion == nil ? nil : event.source)
    }
  }

  /// As above without waiting: 1, 0 when no trigger has the name, nil when there is no room.
  ///
  /// - Throws: `QueueStopped`; `QueueFailed` when the log can take no more.
  public func offer(
    _ event: Event, toTrigger name: String, cancellation: Cancellation? = nil,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) throws -> Int? {
    if completion == nil || hasRoom(for: event.source),
      let count = offer(
        telling: aside(event.source, completion), event, toTrigger: name, cancellation: cancellation)
    {
      return count
    }
    try checkTakes()
    return nil
  }

  package func offer(
    telling completion: (@Sendable (OperationResult) -> Void)?, _ event: Event, toTrigger name: String,
    cancellation: Cancellation?
  ) -> Int? {
    guard let trigger = engine.installed(name) else { return 0 }
    return admit(trigger, event, cancellation, completion) ? 1 : nil
  }

  /// Admits an event and waits until all its operations are decided; their results by seq, empty when no
  /// trigger is bound to it.
  ///
  /// - Throws: like `enqueue`; `CancellationError` when the task is cancelled while it waits. A failed operation is a result.
  public func perform(_ event: Event) async throws -> [OperationResult] {
    let (stream, results) = AsyncStream.makeStream(of: OperationResult.self)
    let watch = engine.whenStopped { results.finish() }
    defer { engine.forget(watch) }
    var expected: Int?
    while expected == nil {
      expected = offer(telling: { results.yield($0) }, event)
      if expected == nil { try await makeRoom() }
    }
    return try await collect(expected!, from: stream)
  }

  /// Runs a trigger once, whatever it is bound to. Returns when it is queued; waits for room and throws like
  /// `enqueue` of an event.
  ///
  /// - Parameter priority: default: what the trigger declares.
  public func enqueue(_ trigger: any Trigger, priority: Priority? = nil) async throws {
    try await enqueue(trigger, priority: priority, completion: nil)
  }

  /// Runs a trigger once and waits for its outcome. A failure is an outcome; throws like `perform` of an event.
  public func perform(_ trigger: any Trigger, priority: Priority? = nil) async throws -> OperationResult {
    let (stream, results) = AsyncStream.makeStream(of: OperationResult.self)
    let watch = engine.whenStopped { results.finish() }
    defer { engine.forget(watch) }
    try await enqueue(trigger, priority: priority) { results.yield($0) }
    return try await collect(1, from: stream)[0]
  }

  private func enqueue(
    _ trigger: any Trigger, priority: Priority?, completion: (@Sendable (OperationResult) -> Void)?
  ) async throws {
    let event = Event("", priority: priority)
    while offer(event, to: trigger, cancellation: nil, completion: completion) == nil { try await makeRoom() }
  }

  /// Runs a trigger once with an event: 1, or nil when the queue is full.
  func offer(
    _ event: Event, to trigger: any Trigger, cancellation: Cancellation?,
    completion: (@Sendable (OperationResult) -> Void)?
  ) -> Int? {
    let loaded = engine.adopt(name: trigger.name, body: .swift(trigger), options: trigger.options)
    return admit(loaded, event, cancellation, completion) ? 1 : nil
  }

  /// Runs operations that failed for good and were put back, once the log has that.
  ///
  /// - Parameter group: what `DeadLetters.settle` had written.
  package func admit(requeuedBy group: LogGroup) {
    let events = group.accepted.sorted { $0.key < $1.key }.map { _, bytes in
      do { return try bytes.withUnsafeBytes { try AcceptedEvent(decoding: $0) } } catch {
        preconditionFailure("an event of our own cannot be read: \(error)")
      }
    }
    if !events.isEmpty { engine.admit(requeued: events) }
  }

  /// True once `stop` or `drain` was called, or the log has failed.
  package var isStopped: Bool { !engine.takesEvents }

  private func admit(
    _ trigger: LoadedTrigger, _ event: Event, _ cancellation: Cancellation?,
    _ completion: (@Sendable (OperationResult) -> Void)?
  ) -> Bool {
    event.payload.withUnsafeBufferPointer {
      engine.admit(
        to: trigger, Engine.Arrival(event, cancellation: cancellation), payload: $0, completion: completion)
    }
  }

  /// Suspends until the queue has room for events from outside, or the queue is stopped.
  ///
  /// - Parameter source: of events with completions: until there is room for more of its calls, too.
  public func waitForRoom(for source: UInt64? = nil) async {
    if let source { await engine.receivers.waitForRoom(.source(source)) }
    await engine.waitForRoom()
  }

  private func makeRoom(for source: UInt64? = nil) async throws {
    try checkTakes()
    if engine.configuration.whenFull == .refuse, !engine.hasRoom {
      throw QueueFull(capacity: engine.configuration.queueCapacity)
    }
    await waitForRoom(for: source)
    try checkTakes()
  }

  /// - Throws: `CancellationError` when the task is cancelled before all are decided; `QueueStopped`, `QueueFailed` when the
  ///   queue stops before.
  private func collect(
    _ count: Int, from stream: AsyncStream<OperationResult>
  ) async throws -> [OperationResult] {
    var results: [OperationResult] = []
    if count == 0 { return results }
    for await result in stream {
      results.append(result)
      if results.count == count { return results.sorted { $0.seq < $1.seq } }
    }
    try Task.checkCancellation()
    if let reason = engine.logFailure { throw QueueFailed(reason: reason) }
    throw QueueStopped(wasTaken: true)
  }

  /// Waits until everything admitted, and all that came of it, is decided, durable and told, or the queue is
  /// stopped. A receiver that never returns is waited for.
  public func waitUntilIdle() async { await engine.waitUntilIdle() }

  /// Calls `body` for every decided operation that failed, logged something, or has a sender that waits for it: in seq
  /// order, one call after another, on a thread for that. Any number may observe, each with a buffer of its own: one that
  /// takes long, or never returns, costs itself and nobody else. Nobody who observes costs a commit anything when there
  /// is none.
  ///
  /// Of one execution 1,000 log lines and 64 KiB come, of all that wait 32 MiB; `OperationResult.logLinesDropped` counts
  /// the others.
  ///
  /// - Parameters:
  ///   - buffer: operations that may wait for `body`.
  ///   - whenFull: what becomes of those that come while so many wait. `EngineStats.untold` counts those of all observers.
  /// - Returns: what ends it. It goes on without anybody keeping that.
  @discardableResult
  public func observe(
    buffer: Int = 10_000, whenFull: Observation.WhenFull = .leaveOut, _ body: @escaping Observation.Body
  ) -> Observation {
    engine.observers.add(buffer: buffer, whenFull: whenFull) { decided in
      var result = decided.result
      result.logLinesDropped = decided.logs?.dropped ?? 0
      body(result, decided.logs?.lines ?? [])
    }
  }
}
