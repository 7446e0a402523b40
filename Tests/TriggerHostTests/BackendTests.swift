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
    queue.stop()
    #expect(try store.readSnapshot().value == Orders(open: [], filled: 3))
    #expect(backend.model == Orders(open: [], filled: 3))
  }
}
