import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// What Swift code may get wrong: an error for it, and nothing else.
@Suite struct BadUseTests {
  private struct Return: Trigger {
    let intents: [CommitIntent]
    func execute() async throws -> [CommitIntent] { intents }
  }

  private func outcome(_ make: (VersionedStore<MemoryStoreBackend>) -> [CommitIntent]) async throws
    -> OperationResult
  {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["text": "x"])))
    let queue = TriggerQueue(coordinator)
    queue.start()
    defer { queue.stop() }
    return try await queue.perform(Return(intents: make(store)))
  }

  @Test func intentsThatCannotBe() async throws {
    let cases: [(String, (VersionedStore<MemoryStoreBackend>) -> [CommitIntent])] = [
      ("a key has 1 to 1024 bytes, got 0", { [$0.put("", 1)] }),
      ("got 2000", { [$0.put(String(repeating: "k", count: 2000), 1)] }),
      ("the limit is 1048576", { [$0.put("k", .string(String(repeating: "v", count: 2_000_000)))] }),
      ("add at s/new: expected a number, got a string", { [$0.add("new", "x")] }),
      ("add at s/text: the value there is a string", { [$0.add("text", 1)] }),
      (
        "append_text at s/list: the value there is an array, expected a string",
        { [$0.put("list", []), $0.appendText("list", "x")] }
      ),
      ("append_text at s/text: expected a string, got a number", { [$0.appendText("text", 1)] }),
      ("append at s/text", { [$0.append("text", 1)] }),
      ("does not fit in 64 bits", { [$0.put("n", .int(.max)), $0.add("n", 1)] }),
      ("nested 65 levels deep, the limit is 64", { [$0.put("k", Self.nested(65))] }),
      ("nested 65 levels deep, the limit is 64", { _ in [.emit("e", Self.nested(65))] }),
      ("append at s/k: nested deeper than 64 levels", { [$0.append("k", Self.nested(64))] }),
      ("more than 10000 intents", { store in (0..<10_001).map { store.put("k\($0)", 1) } }),
    ]
    for (message, intents) in cases {
      let result = try await outcome(intents)
      #expect(result.outcome == .failed)
      #expect(result.error?.contains(message) == true, "\(result.error ?? "")")
    }
  }

  private static func nested(_ depth: Int) -> Value {
    (0..<depth).reduce(1) { value, _ in .array([value]) }
  }

  @Test func valuesAtTheLimitAreFine() async throws {
    let result = try await outcome { [$0.put("k", Self.nested(64)), $0.append("list", Self.nested(63))] }
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  @Test func aBackendsContentIsChecked() throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let error = #expect(throws: StoreError.self) {
      try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["k": Self.nested(65)])))
    }
    #expect(error?.description.hasPrefix("store 's', key 'k'") == true)
  }

  private struct Endless: Trigger {
    func execute() async throws -> [CommitIntent] {
      // Ends when its task is cancelled.
      for await _ in AsyncStream<Never>.makeStream().stream {}
      return []
    }
  }

  @Test func whoWaitsLearnsOfTheStop() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.start()
    let waiting = Task { try await queue.perform(Endless()) }
    try await wait(for: "the trigger") { await coordinator.waitUntil { $0.undecided > 0 } }
    await queue.stop()
    await #expect(throws: QueueStopped(wasTaken: true)) { try await waiting.value }
    await #expect(throws: QueueStopped(wasTaken: false)) { try await queue.perform(Endless()) }
  }

  @Test func aCancelledWaitIsAnError() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.start()
    defer { queue.stop() }
    let waiting = Task { try await queue.perform(Endless()) }
    try await wait(for: "the trigger") { await coordinator.waitUntil { $0.undecided > 0 } }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
  }

  @Test func aStoreIsRegisteredOnce() throws {
    struct Broken: StoreBackend {
      func load() throws -> Value.Map { throw CancellationError() }
      func apply(seq: Int64, _ changes: [StoreChange]) {}
      func content(of values: Value.Map) -> Value.Map { values }
      func values(of content: Value.Map) -> Value.Map { content }
    }
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["k": 1])))
    let twice = #expect(throws: StoreError.self) {
      try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["k": 2])))
    }
    #expect(twice?.description.contains("'s' is registered already") == true)
    #expect(try store.get("k") == 1)
    let other = CommitCoordinator(EngineConfiguration(workers: 1))
    let elsewhere = #expect(throws: StoreError.self) { try other.register(store) }
    #expect(elsewhere?.description.contains("registered with a coordinator already") == true)
    #expect(try store.get("k") == 1)
    // One that could not be registered is not: its name is free.
    #expect(throws: CancellationError.self) { try other.register(VersionedStore("s", backend: Broken())) }
    #expect(try other.register(VersionedStore("s", backend: MemoryStoreBackend(["k": 3]))).get("k") == 3)
    // Names that Unicode alone takes for one are two.
    for name in ["caf\u{e9}", "cafe\u{301}"] {
      try other.register(VersionedStore(name, backend: MemoryStoreBackend()))
    }
  }

  @Test func strictStoresNameWhatThereIs() async throws {
    var configuration = EngineConfiguration(workers: 1)
    configuration.strictStores = true
    let coordinator = CommitCoordinator(configuration)
    try coordinator.register(VersionedStore("orders", backend: MemoryStoreBackend()))
    let error = #expect(throws: StoreError.self) { try coordinator.store("ordres") }
    #expect(error?.description.contains("did you mean 'orders'?") == true)
  }

  /// "é" in one scalar and in two: two keys, though Swift's `String` takes them for one.
  @Test func keysThatUnicodeTakesForOne() async throws {
    let script = """
      return { on = { event = "x" }, execute = function(event, ctx)
        local store = ctx:store("s")
        local old = store:get("k")
        if old then return { store:put("sum", old["\u{e9}"] * 10 + old["e\u{301}"]) } end
        return { store:put("k", { ["\u{e9}"] = 1, ["e\u{301}"] = 2 }) }
      end }
      """
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    queue.start()
    defer { queue.stop() }
    for _ in 0..<2 { #expect(try await queue.perform(Event("x"))[0].outcome == .committed) }
    #expect(try coordinator.store("s").get("sum") == 12)
    #expect(try coordinator.store("s").get("k")?["\u{e9}"] == 1)
    #expect(try coordinator.store("s").get("k")?["e\u{301}"] == 2)
  }

  /// The same with keys of a store, whole stores, stores, and the keys that a commit event lists.
  @Test func namesThatUnicodeTakesForOne() async throws {
    let scripts = [
      "write.lua": """
      return { on = { event = "write" }, execute = function(event, ctx)
        local store = ctx:store("s")
        local seq, data = store:read_snapshot()
        data["\u{e9}"], data["e\u{301}"], data.old = 1, 2, nil
        return { ctx:store("caf\u{e9}"):put("k", 1), ctx:store("cafe\u{301}"):put("k", 2), store:prepare_commit(seq, data) }
      end }
      """,
      "see.lua": """
      return { on = { commit = "s/*" }, execute = function(event, ctx)
        return { ctx:store("seen"):put("keys", event.keys) }
      end }
      """,
    ]
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["old": 1])))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: scripts.mapValues { Array($0.utf8) }))
    queue.start()
    defer { queue.stop() }
    #expect(try await queue.perform(Event("write"))[0].outcome == .committed)
    await queue.waitUntilIdle()
    let store = try coordinator.store("s")
    #expect(try store.scan().map(\.value) == [2, 1], "in byte order")
    #expect(try coordinator.store("seen").get("keys")?.arrayValue?.count == 3, "two new ones, one deleted")
    #expect(try coordinator.store("caf\u{e9}").get("k") == 1)
    #expect(try coordinator.store("cafe\u{301}").get("k") == 2)
    #expect(try store.readSnapshot().value == ["\u{e9}": 1, "e\u{301}": 2])
  }
}
