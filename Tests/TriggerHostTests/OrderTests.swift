import Testing
import TriggerCore

@testable import TriggerHost

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
    queue.stop()
  }
}
