import Synchronization
import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// Who has heard of an outcome sees what it did.
@Suite struct VisibilityTests {
  /// A log that is written while it is looked at: only the second look after a record finds it durable, and nobody
  /// is told of that.
  private final class QuietLog: CommitLog {
    let wantsReads = false
    private let state = Mutex<(seq: Int64, looks: Int)>((0, 0))

    func append(
      seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
    ) -> Int {
      state.withLock { $0 = (seq, 0) }
      return .max
    }

    var durable: Int64 {
      state.withLock { state in
        state.looks += 1
        return state.looks > 1 ? state.seq : state.seq - 1
      }
    }
    func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) {}
    func flush() {}
  }

  /// A disk that takes its time.
  private final class HeldLog: CommitLog {
    let wantsReads = false
    func append(
      seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
    ) -> Int { .max }
    var durable: Int64 { 0 }
    func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) {}
    func flush() {}
  }

  private struct Put: Trigger {
    let intents: [CommitIntent]
    func execute() -> [CommitIntent] { intents }
  }

  @Test func whatIsNotDurableIsCounted() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: HeldLog())
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    defer { queue.stop() }
    for _ in 0..<3 { try await queue.enqueue(Put(intents: [store.put("n", 1)])) }
    try await wait(for: "them to be decided") { await coordinator.waitUntil { $0.committed == 3 } }
    #expect(coordinator.stats.logLag == 3)
    #expect(try store.get("n") == nil, "nobody sees what may be lost")
  }

  @Test func anOutcomeIsSeenWhenItIsTold() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: QuietLog())
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    defer { queue.stop() }
    for n in 1...20 {
      _ = try await queue.perform(Put(intents: [store.put("n", .int(Int64(n)))]))
      #expect(try store.get("n") == .int(Int64(n)))
    }
  }
}
