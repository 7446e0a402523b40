import TriggerCore

/// Runs a log again, one seq after another, on one thread: rebuilds the state, and checks that executing the
/// operations gives what was logged. Not thread-safe.
public final class Replayer {
  /// A seq whose execution does not give what the log says.
  public struct Difference: Sendable, Hashable, CustomStringConvertible {
    /// The seq.
    public var seq: Int64
    /// Its trigger.
    public var trigger: String
    /// What differs: logged, and now.
    public var reason: String

    /// `seq 7 rsi: what differs`.
    public var description: String { "seq \(seq) \(trigger): \(reason)" }
  }

  private let engine: Engine
  private let recovery: Recovery
  private let runner: LuaRunner
  private let scripts: (_ tree: Int) throws -> ScriptTree?
  private var loaded: [Int: [String: LoadedTrigger]] = [:]
  private var triggerCount = 0
  private let attempt = Attempt()
  private let expected = CBORBuffer()

  /// - Parameters:
  ///   - stores: content before the first commit.
  ///   - configuration: limits and seed as they were.
  ///   - scripts: the tree of a number, nil when it is not known; asked once per number.
  public init(
    stores: [String: [String: Value]] = [:], configuration: EngineConfiguration = EngineConfiguration(),
    scripts: @escaping (_ tree: Int) throws -> ScriptTree? = { _ in nil }
  ) {
    engine = Engine(configuration: configuration, clock: EngineClock(), log: nil)
    for (name, content) in stores { engine.fill(engine.stores.declare(name), with: content) }
    recovery = Recovery(engine)
    runner = LuaRunner(engine: engine)
    runner.bind()
    self.scripts = scripts
  }

  /// The newest seq applied.
  public var seq: Int64 { recovery.lastSeq }

  /// The stores that have ever been written, by name.
  public var storeNames: [String] { engine.stores.existing.map(\.name) }

  /// The content of a store as of `seq`. O(keys).
  public func content(of store: String) throws -> [String: Value] {
    let view = VersionedStore(store, backend: MemoryStoreBackend())
    view.attach(to: engine, table: try engine.stores.table(store))
    engine.registry.visible.max(recovery.lastSeq, ordering: .releasing)
    return try view.readSnapshot().value
  }

  /// Applies the next record. Throws `LogDamage`.
  public func apply(_ record: LogRecord) throws { try recovery.apply(record) }

  /// Executes the record's operation on the state before it, then applies the record.
  ///
  /// Swift triggers, and executions that were ended from outside, are applied only.
  ///
  /// - Returns: how the execution differs from the record, nil when it does not.
  public func verify(_ record: LogRecord) throws -> Difference? {
    let difference = try execute(record)
    try recovery.apply(record)
    return difference
  }

  private func execute(_ record: LogRecord) throws -> Difference? {
    guard record.tree > 0, !record.isKilled, record.outcome == .committed || record.outcome == .failed else {
      return nil
    }
    func differs(_ reason: String) -> Difference {
      Difference(seq: record.seq, trigger: record.trigger, reason: reason)
    }
    guard let trigger = try trigger(record.trigger, tree: record.tree),
      case .lua(let tree, let path) = trigger.body
    else { return differs("its script is not in tree \(record.tree)") }
    let operation = operation(of: record, trigger)
    attempt.reset()
    attempt.snapshot = recovery.lastSeq
    runner.run(operation, attempt, tree: tree, path: path)
    switch (record.outcome, attempt.status) {
    case (.committed, .succeeded): return intents(differFrom: record).map(differs)
    case (.committed, _): return differs("committed then, fails now: \(attempt.error ?? "")")
    case (_, .succeeded):
      // It failed when it was applied, or because of what it emits: the log says so.
      return nil
    default:
      return attempt.error == record.error
        ? nil : differs("failed with \(record.error ?? ""), fails now with \(attempt.error ?? "")")
    }
  }

  private func operation(of record: LogRecord, _ trigger: LoadedTrigger) -> Operation {
    var name = record.event
    return name.withUTF8 { name in
      record.payload.withUnsafeBufferPointer { payload in
        Operation(
          trigger: trigger, priority: record.priority, hops: UInt8(clamping: record.hops), orderKey: 0,
          admitted: record.admitted, kind: record.kind, source: record.source, cause: record.cause,
          identity: record.identity, name: name, payload: payload)
      }
    }
  }

  /// Nil when the intents just prepared are those of the record.
  private func intents(differFrom record: LogRecord) -> String? {
    expected.removeAll()
    LogCoding.writeIntents(attempt, to: expected)
    guard let now = try? LogCoding.intents(expected.bytes), now != record.intents else { return nil }
    let count = max(now.count, record.intents.count)
    for index in 0..<count {
      let old = index < record.intents.count ? "\(record.intents[index])" : "nothing"
      let new = index < now.count ? "\(now[index])" : "nothing"
      if old != new { return "intent \(index + 1) was \(old), now it is \(new)" }
    }
    return nil
  }

  // MARK: Scripts

  private func trigger(_ name: String, tree number: Int) throws -> LoadedTrigger? {
    if loaded[number] == nil { loaded[number] = try load(number) }
    return loaded[number]?[name]
  }

  private func load(_ number: Int) throws -> [String: LoadedTrigger] {
    guard let scripts = try scripts(number) else { return [:] }
    let identity =
      scripts.identity ?? ScriptTree.Identity(number: number, time: 0, seed: engine.configuration.seed)
    let tree = LoadedTree(identity, scripts.contents)
    var triggers: [String: LoadedTrigger] = [:]
    for script in scripts.triggers {
      triggers[script.name] = LoadedTrigger(
        index: triggerCount, name: script.name, body: .lua(tree: tree, path: script.path),
        options: script.options)
      triggerCount += 1
    }
    return triggers
  }
}

extension LogRecord.Intent: CustomStringConvertible {
  /// `put charts/EURUSD = {...}`.
  public var description: String {
    let place = (store.isEmpty ? [] : [store]) + [String(decoding: key, as: UTF8.self)]
    guard !value.isEmpty, let value = try? value.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
      return "\(kind) \(place.joined(separator: "/"))"
    }
    return "\(kind) \(place.joined(separator: "/")) = \(value)"
  }
}
