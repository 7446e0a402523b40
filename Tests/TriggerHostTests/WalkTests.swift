import Testing
import TriggerCore

import TriggerHost

/// What a walk through the stores says and the records after it are everything.
@Suite struct WalkTests {
  private func host() -> (CommitCoordinator, MemoryCommitLog, TriggerQueue) {
    let log = MemoryCommitLog()
    var configuration = EngineConfiguration(workers: 2)
    configuration.commitsPerReclaim = 1
    let coordinator = CommitCoordinator(configuration, log: log)
    let queue = TriggerQueue(coordinator)
    let script = """
      return { on = { event = "set" }, execute = function(event, ctx)
        return { ctx:store(event.store):put(event.key, event.value) }
      end }
      """
    queue.bind([], scripts: ScriptTree(files: ["set.lua": Array(script.utf8)]))
    queue.start()
    return (coordinator, log, queue)
  }

  private func set(_ queue: TriggerQueue, _ store: String, _ key: String, _ value: Value?) async throws
    -> Int64
  {
    var event: Value.Map = ["store": .string(store), "key": .string(key)]
    event["value"] = value
    return try await queue.perform(Event("set", .map(event)))[0].seq
  }

  private func chunks(_ walk: StoreWalk, between: () async throws -> Void = {}) async throws -> [(
    store: String, seq: Int64, changed: Int64, keys: [String]
  )] {
    var chunks: [(store: String, seq: Int64, changed: Int64, keys: [String])] = []
    while let part = try walk.next() {
      try part.bytes.withUnsafeBytes { bytes in
        let chunk = try StoreChunk(decoding: bytes)
        chunks.append(
          (chunk.store, chunk.seq, chunk.changed, chunk.items.map { String(decoding: $0.key, as: UTF8.self) })
        )
      }
      try await between()
    }
    return chunks
  }

  /// The list of stores is of the first part's seq or later.
  @Test func aStoreThatAppearsAsTheWalkBeginsIsInIt() async throws {
    let (coordinator, _, queue) = host()
    defer { queue.stop() }
    let walk = coordinator.walk()
    let seq = try await set(queue, "new", "k", 1)
    let stores = try await chunks(walk).map(\.store)
    #expect(stores == ["new"] || walk.since < seq)
  }

  @Test func manyEmptyStoresAreNoTrouble() async throws {
    let (coordinator, _, queue) = host()
    defer { queue.stop() }
    for number in 0..<300 {
      _ = try coordinator.register(VersionedStore("empty\(number)", backend: MemoryStoreBackend()))
    }
    _ = try await set(queue, "zz", "k", 1)
    #expect(try await chunks(coordinator.walk()).map(\.keys) == [["k"]])
  }

  /// Keys may have zeros in them, and be put and deleted between two parts.
  @Test func everyKeyIsInOnePart() async throws {
    let (coordinator, _, queue) = host()
    defer { queue.stop() }
    let keys = ["a", "a\0", "a\0\0", "a\0b", "aa", "b"]
    for key in keys { _ = try await set(queue, "s", key, 1) }
    var round: Int64 = 0
    let all = try await chunks(coordinator.walk(partBytes: 1)) {
      round += 1
      // Behind the walk and before it.
      for key in ["a\0", "a\0a", "aaa"] { _ = try await set(queue, "s", key, round % 2 == 0 ? 1 : nil) }
    }
    let found = all.flatMap(\.keys)
    #expect(
      Set(found).isSuperset(of: keys.filter { $0 != "a\0" }) && found.count == Set(found).count, "\(found)")
    #expect(found == found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
  }

  /// When a store changed last, though nothing is left of the change, in parts that do not end with it.
  @Test func theLastPartKnowsTheLastChange() async throws {
    let (coordinator, _, queue) = host()
    defer { queue.stop() }
    for key in ["a", "b", "c", "d"] { _ = try await set(queue, "s", key, 1) }
    for deleted in ["d", "b"] {
      let last = try await set(queue, "s", deleted, nil)
      // Taken out of the table, or not yet.
      for _ in 0..<2 {
        let all = try await chunks(coordinator.walk(partBytes: 1)).filter { $0.store == "s" }
        #expect(all.last?.changed == last && all.allSatisfy { $0.changed <= last }, "\(all)")
        _ = try await set(queue, "other", "k", 1)
      }
    }
  }
}
