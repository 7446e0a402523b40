import Testing
import TriggerCore

import TriggerHost

/// Reads a counter, writes it back plus one.
private struct Bump: Trigger {
  let store: VersionedStore<MemoryStoreBackend>
  let key: String
  var name: String { "bump" }
  func execute() async throws -> [CommitIntent] {
    guard case .int(let count)? = try store.get(key) ?? .int(0) else { throw StoreError("not a number") }
    return [store.put(key, .int(count + 1))]
  }
}

@Suite struct OrderTests {
  @Test(arguments: [1, 2, 4, 8])
  func countersLoseNothing(workers: Int) async throws {
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: workers), log: log)
    let store = try coordinator.register(VersionedStore("counters", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    for index in 0..<2000 { try await queue.enqueue(Bump(store: store, key: "k\(index % 7)")) }
    await queue.waitUntilIdle()
    let total = try store.readSnapshot().value.values.reduce(Int64(0)) { sum, value in
      if case .int(let count) = value { return sum + count }
      return sum
    }
    #expect(total == 2000)
    #expect(log.all.filter { $0.outcome == .committed }.count == 2000)
    let stats = coordinator.stats
    #expect(stats.committed == 2000)
    #expect(log.all.map(\.seq) == Array(1...Int64(log.all.count)))
    await queue.stop()
  }

  /// What runs ahead of a script that waits for a core takes the core from it; one that works is slow.
  @Test func nobodyRunsAheadOfAScriptThatWaitsForACore() throws {
    var configuration = EngineConfiguration(workers: 2)
    configuration.strictOrder = true
    configuration.runAhead = 1
    let clock = ManualClock()
    let queue = TriggerQueue(CommitCoordinator(configuration, clock: clock))
    let script = "return { on = { event = 'x' }, execute = function() return {} end }"
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    for _ in 0..<3 { #expect(try queue.offer(Event("x")) == 1) }
    #expect(engine.exchange(0) == 1 && engine.begin(0))
    clock.advance(by: .seconds(1))
    _ = engine.watch(stuck: [(0, cpuTaken: 0)])
    try #require(engine.exchange(1) == 0)
    _ = engine.watch(stuck: [(0, cpuTaken: 1_000_000)])
    #expect(engine.exchange(1) > 0)
  }
}
