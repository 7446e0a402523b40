import Testing
import TriggerCore
import TriggerHost

/// A Swift model wrapped as a store follows the commits.
@Suite struct BackendTests {
  private struct Orders: Codable, Sendable, Equatable {
    var open: [String]
    var filled: Int
  }

  private struct Fill: Trigger {
    let store: VersionedStore<CodableStoreBackend<Orders>>
    func execute() async throws -> [CommitIntent] {
      var (seq, orders) = try store.readSnapshot()
      orders.filled += orders.open.isEmpty ? 0 : 1
      orders.open = Array(orders.open.dropFirst())
      return [try store.prepareCommit(seq, orders)]
    }
  }

  @Test func modelFollowsCommits() async throws {
    let backend = try CodableStoreBackend(Orders(open: ["a", "b", "c"], filled: 0))
    let coordinator = CommitCoordinator()
    let store = try coordinator.register(VersionedStore("OrderStore", backend: backend))
    let queue = TriggerQueue(coordinator)
    queue.start()
    for _ in 0..<5 { try await queue.enqueue(Fill(store: store)) }
    await queue.waitUntilIdle()
    await queue.stop()
    #expect(try store.readSnapshot().value == Orders(open: [], filled: 3))
    #expect(backend.model == Orders(open: [], filled: 3))
  }

  /// Whoever was told of a commit finds it in the model, though nobody was told of it in between.
  @Test func theModelIsCurrent() async throws {
    let backend = try CodableStoreBackend(Orders(open: (0..<300).map { "\($0)" }, filled: 0))
    let coordinator = CommitCoordinator(log: MemoryCommitLog())
    let store = try coordinator.register(VersionedStore("orders", backend: backend))
    let queue = TriggerQueue(coordinator)
    queue.start()
    for filled in 1...300 {
      _ = try await queue.perform(Fill(store: store))
      #expect(backend.model.filled == filled && backend.model.open.count == 300 - filled)
    }
    // What is no model stays in the store; the model is the last one that was.
    _ = try await queue.perform(Change { [store.put("filled", "many")] })
    #expect(backend.model.filled == 300)
    #expect(throws: DecodingError.self) { try store.readSnapshot() }
    _ = try await queue.perform(Change { [store.put("filled", 7)] })
    #expect(backend.model.filled == 7)
    await queue.stop()
    #expect(backend.model.filled == 7)
  }

  /// No `bad`, numbers to 10, `kept` for ever, and 3 keys.
  private struct Picky: CheckingStoreBackend {
    func load() -> Value.Map { ["kept": 1, "n": 8] }
    func apply(seq: Int64, _ changes: [StoreChange]) {}
    func content(of values: Value.Map) -> Value.Map { values }
    func values(of content: Value.Map) -> Value.Map { content }
    func refusal(of change: StoreChange) -> String? {
      guard let value = change.value else { return change.key == "kept" ? "cannot be deleted" : nil }
      if change.key == "bad" { return "a bad key" }
      return value.intValue.map { $0 > 10 } ?? false ? "more than 10" : nil
    }
    func refusal(ofKeys keys: Int, bytes: Int) -> String? { keys > 3 ? "more than 3 keys" : nil }
  }

  private struct Change: Trigger {
    let intents: @Sendable () throws -> [CommitIntent]
    func execute() async throws -> [CommitIntent] { try intents() }
  }

  /// What is refused is what a list of intents leaves, whatever their kind; then nothing of it is applied.
  @Test func backendsRefuse() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: Picky()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    func error(_ intents: @escaping @Sendable () throws -> [CommitIntent]) async throws -> String? {
      try await queue.perform(Change(intents: intents)).error
    }
    let all = try store.readSnapshot().value
    func replace(by content: Value.Map) async throws -> String? {
      try await error {
        let (seq, _) = try store.readSnapshot()
        return [try store.prepareCommit(seq, content)]
      }
    }
    let refused = "refused by store 's': "
    #expect(try await error { [store.put("a", 1), store.put("bad", 1)] } == refused + "bad: a bad key")
    #expect(try await error { [store.put("a", 1), store.add("n", 3)] } == refused + "n: more than 10")
    #expect(try await error { [store.put("kept", nil)] } == refused + "kept: cannot be deleted")
    #expect(try await replace(by: ["a": 1]) == refused + "kept: cannot be deleted")
    #expect(try await replace(by: ["kept": 1, "bad": 1]) == refused + "bad: a bad key")
    #expect(
      try await error { ["a", "b"].map { store.put($0, 1) } } == refused + "more than 3 keys")
    #expect(try store.readSnapshot().value == all)
    // It counts what is left.
    #expect(
      try await error { [store.put("bad", 1), store.put("bad", nil), store.put("n", 11), store.put("n", 9)] }
        == nil)
    #expect(try await error { [store.put("n", nil), store.put("a", 1), store.put("b", 1)] } == nil)
    #expect(try store.readSnapshot().value == ["kept": 1, "a": 1, "b": 1])
    await queue.stop()
  }
}
