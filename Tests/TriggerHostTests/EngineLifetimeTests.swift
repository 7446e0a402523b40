import Testing
import TriggerCore

@testable import TriggerHost

/// An engine lives as long as anybody can enqueue: a coordinator or a queue of it is there, and nobody has stopped it.
@Suite(.timeLimit(.minutes(10))) struct EngineLifetimeTests {
  private struct Count: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    func execute() -> [CommitIntent] { [store.add("n", 1)] }
  }

  /// A queue that went stopped the engine of the others.
  @Test func aQueueThatGoesStopsNoOther() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    for round in 1...300 {
      _ = TriggerQueue(coordinator)
      _ = try await queue.perform(Count(store: store))
      #expect(try store.get("n") == .int(Int64(round)))
    }
    await queue.stop()
  }

  @Test(arguments: [true, false]) func theLastHandleThatGoesEndsTheEngine(isQueue: Bool) async throws {
    var coordinator: CommitCoordinator? = CommitCoordinator(EngineConfiguration(workers: 1))
    let engine = coordinator!.engine
    let store = try coordinator!.register(VersionedStore("s", backend: MemoryStoreBackend()))
    var queue: TriggerQueue? = TriggerQueue(coordinator!)
    queue!.start()
    if isQueue {
      coordinator = nil
      _ = try await queue!.perform(Count(store: store))
      queue = nil
    } else {
      queue = nil
      _ = try await TriggerQueue(coordinator!).perform(Count(store: store))
      coordinator = nil
    }
    let (over, end) = AsyncStream.makeStream(of: Void.self)
    engine.whenOver { end.finish() }
    for await _ in over {}
    #expect(try store.get("n") == 1, "a store that is kept can be read")
  }
}
