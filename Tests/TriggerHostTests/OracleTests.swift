import TestSupport
import Testing
import TriggerCore

import TriggerHost

/// The rule all others serve: the result equals running every operation alone, one after another, in seq
/// order. Random workloads run in parallel; then the model runs the logged seqs one by one.
@Suite(.serialized) struct OracleTests {
  private struct Reader: WorkloadReader {
    let stores: [String: VersionedStore<MemoryStoreBackend>]
    func get(_ store: String, _ key: String) throws -> Value? { try stores[store]!.get(key) }
    func scan(_ store: String, _ prefix: String) throws -> [(key: String, value: Value)] {
      try stores[store]!.scan(prefix: prefix)
    }
    func whole(_ store: String) throws -> (seq: Int64, content: Value.Map) {
      let (seq, content) = try stores[store]!.readSnapshot()
      return (seq, content)
    }
  }

  private struct RandomTrigger: Trigger {
    let workload: RandomWorkload
    let reader: Reader
    let priority: Priority
    var name: String { "random-\(priority)" }
    var options: TriggerOptions {
      var options = TriggerOptions()
      options.priority = priority
      options.on = [EventPattern(.event, "op/\(priority)")]
      return options
    }

    func execute() async throws -> [CommitIntent] {
      guard case .map(let event) = ExecutionContext.current!.event, case .int(let seed)? = event["seed"]
      else {
        throw StoreError("no seed")
      }
      for _ in 0..<(seed & 3) { await Task.yield() }
      let changes = try workload.run(seed, reader)
      for _ in 0..<(seed >> 2 & 3) { await Task.yield() }
      return try changes.map { try intent($0) }
    }

    private func intent(_ change: RandomWorkload.Change) throws -> CommitIntent {
      switch change {
      case .put(let store, let key, let value): reader.stores[store]!.put(key, value)
      case .add(let store, let key, let value): reader.stores[store]!.add(key, value)
      case .max(let store, let key, let value): reader.stores[store]!.max(key, value)
      case .append(let store, let key, let value): reader.stores[store]!.append(key, value)
      case .replace(let store, let seq, let content): try reader.stores[store]!.prepareCommit(seq, content)
      case .emit(let seed): .emit("op/normal", .map(["seed": .int(seed)]))
      }
    }
  }

  @Test(arguments: 1...8, [0, 1, 2, 3, 4])
  func parallelEqualsSerial(workers: Int, shape: Int) async throws {
    let seed = testSeed()
    try await check(seed: seed, workers: workers, shape: Self.shapes[shape], operations: 1000)
  }

  private static let shapes: [RandomWorkload.Shape] = [
    .init(),
    .init(keys: 3),
    .init(keys: 5000, scans: false, wholeStores: false),
    .init(keys: 12, scans: true, wholeStores: false, commutative: true, failures: false, emits: false),
    .init(keys: 30, wholeStores: false, failures: false, emits: false, neighbours: true),
  ]

  private func check(seed: UInt64, workers: Int, shape: RandomWorkload.Shape, operations: Int) async throws {
    var random = SplitMix64(seed: seed)
    let workload = RandomWorkload(shape: shape)
    var configuration = EngineConfiguration(workers: workers)
    // Half of the runs defer whatever they can.
    if workers % 2 == 0 {
      configuration.grace = .microseconds(200)
      configuration.hold = .milliseconds(1)
    }
    configuration.commitsPerReclaim = 3
    configuration.window = 256
    configuration.digestInterval = 16
    let log = MemoryCommitLog(wantsReads: true)
    let coordinator = CommitCoordinator(configuration, log: log)
    var stores: [String: VersionedStore<MemoryStoreBackend>] = [:]
    for name in RandomWorkload.stores {
      stores[name] = try coordinator.register(VersionedStore(name, backend: MemoryStoreBackend()))
    }
    let queue = TriggerQueue(coordinator)
    queue.bind(
      Priority.allCases.map {
        RandomTrigger(workload: workload, reader: Reader(stores: stores), priority: $0)
      })
    queue.start()
    var checkpoints: [WalkedCheckpoint] = []
    for number in 0..<operations {
      // While those before it are running.
      if number % 100 == 50 { checkpoints.append(try WalkedCheckpoint(coordinator, partBytes: 300)) }
      let priority = Priority.allCases.randomElement(using: &random)!
      let event = Event(
        "op/\(priority)", .map(["seed": .int(Int64.random(in: 0...Int64.max, using: &random))]),
        source: UInt64.random(in: 0..<50, using: &random))
      try await queue.enqueue(event)
    }
    await queue.waitUntilIdle()
    await queue.stop()
    checkpoints = Array(checkpoints.shuffled(using: &random).prefix(4))
    var model = Model()
    var states: [Int64: Model] = [0: model]
    var firstDifference: String?
    let records = log.all
    for record in records where firstDifference == nil {
      firstDifference =
        try difference(record, on: &model, workload: workload)
        ?? model.digestDifference(record, every: configuration.digestInterval)
      if checkpoints.contains(where: { $0.through == record.seq }) { states[record.seq] = model }
    }
    #expect(firstDifference == nil, "seed \(seed), \(workers) workers")
    if firstDifference == nil {
      // (A store without a commit is there when it was registered.)
      let digests = coordinator.digests().stores.filter { $0.digest != StoreDigest() }
      #expect(digests == model.digests().filter { $0.digest != StoreDigest() }, "seed \(seed)")
      states[records.last!.seq] = model
      for checkpoint in checkpoints {
        for last in [checkpoint.through, records.last!.seq] {
          let (restarted, wanted) = (try checkpoint.state(with: records, to: last), states[last]!)
          for name in RandomWorkload.stores {
            let isEqual =
              restarted[name]?.content ?? [:] == wanted.stores[name] ?? [:]
              && restarted[name]?.seq ?? 0 == wanted.versions[name] ?? 0
            #expect(isEqual, "store \(name) at seq \(last), from \(checkpoint.since)..., seed \(seed)")
          }
        }
      }
      for (name, store) in stores {
        let isEqual = try store.readSnapshot().value == model.stores[name] ?? [:]
        #expect(isEqual, "store \(name), seed \(seed), \(workers) workers")
      }
    }
    #expect(records.map(\.seq) == (0..<records.count).map { Int64($0 + 1) }, "dense order, seed \(seed)")
  }

  /// Runs the record's operation on the model; says how the engine's result differs, nil when it is the
  /// same.
  private func difference(
    _ record: LogRecord, on model: inout Model, workload: RandomWorkload
  ) throws -> String? {
    // The limits of hops and offspring are the engine's decision, logged; they apply nothing.
    if record.outcome == .deferred || record.code == .loop || record.code == .offspring { return nil }
    guard case .map(let event) = try record.payload.withUnsafeBytes({ try CanonicalEncoding.decode($0) }),
      case .int(let seed)? = event["seed"]
    else { return "seq \(record.seq) has no seed" }
    let got =
      "seq \(record.seq) \(record.outcome), \(record.intents.count) intents, \(record.error ?? "no error")"
    do {
      let changes = try workload.run(seed, model)
      let applied = model.apply(changes, seq: record.seq)
      let isSame =
        applied == (record.outcome == .committed) && (!applied || record.intents.count == changes.count)
      return isSame
        ? nil
        : "\(got); alone it gives \(applied ? "a commit" : "a failure") with \(changes), reads \(record.reads)"
    } catch let failure as RandomWorkload.Failure {
      let isSame = record.outcome == .failed && record.error == "\(record.trigger): \(failure)"
      return isSame ? nil : "\(got); alone it gives: \(failure), reads \(record.reads)"
    }
  }
}
