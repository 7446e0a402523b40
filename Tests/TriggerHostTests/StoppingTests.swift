import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// How an engine is ended, and what whoever comes later is told.
@Suite(.timeLimit(.minutes(10))) struct StoppingTests {
  private struct Count: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    func execute() -> [CommitIntent] { [store.add("n", 1)] }
  }

  /// Whoever stops it, and however many: all return when it is over.
  @Test func stoppingTwice() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2))
    let queue = TriggerQueue(coordinator)
    queue.start()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { await queue.stop() } }
    }
    #expect(queue.engine.withState { _ in queue.engine.workers.isEmpty })
    await queue.stop()
  }

  /// Stopped before it began, it never does; who waited already learns of it.
  @Test func stoppingBeforeTheStart() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    let early = Task { try await queue.perform(Count(store: store)) }
    try await poll(for: "the event") { queue.engine.queued.load(ordering: .relaxed) > 0 }
    await queue.stop()
    await #expect(throws: QueueStopped(wasTaken: true)) { try await early.value }
    queue.start()
    await #expect(throws: QueueStopped(wasTaken: false)) { try await queue.perform(Count(store: store)) }
    #expect(try store.get("n") == nil)
  }

  /// Whatever is called after the stop says so, and what was under way knows that it was taken.
  @Test func afterTheStop() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.start()
    await queue.stop()
    let refused = QueueStopped(wasTaken: false)
    await #expect(throws: refused) { try await queue.enqueue(Event("e")) }
    await #expect(throws: refused) { try await queue.perform(Event("e")) }
    await #expect(throws: refused) { try await queue.replaceScripts(with: ScriptTree(files: [:])) }
    #expect(throws: refused) { try queue.offer(Event("e")) }
    #expect(throws: refused) { try queue.offer(Event("e"), completion: { _ in }) }
    #expect(throws: refused) { try queue.offer(Event("e"), scope: "s", key: "k") { _, _ in } }
    #expect("\(refused)".contains("not taken"))
    #expect("\(QueueStopped(wasTaken: true))".contains("what was committed of it stays"))
  }
}
