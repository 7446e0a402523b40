import Synchronization
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// A log that does not keep up: nothing new is begun, and nobody waits under a lock.
@Suite struct BackPressureTests {
  /// Has as much room as a test says.
  private final class NarrowLog: CommitLog {
    let wantsReads = false
    let left = Atomic<Int>(.max)
    let looks = Watched(0)

    func append(
      seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
    ) -> Int { left.load(ordering: .acquiring) }

    var room: Int {
      looks.update { $0 += 1 }
      return left.load(ordering: .acquiring)
    }
  }

  /// Ends when the test says so.
  private final class Held: Trigger {
    let name: String
    let store: VersionedStore<MemoryStoreBackend>
    let hasBegun = Watched(false)
    private let (gate, open) = AsyncStream.makeStream(of: Void.self)

    init(_ name: String, _ store: VersionedStore<MemoryStoreBackend>) {
      (self.name, self.store) = (name, store)
    }

    func end() { open.finish() }

    func execute() async throws -> [CommitIntent] {
      hasBegun.update { $0 = true }
      for await _ in gate {}
      return [store.put(name, true)]
    }
  }

  private func host() throws -> (
    NarrowLog, CommitCoordinator, TriggerQueue, VersionedStore<MemoryStoreBackend>
  ) {
    let log = NarrowLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: log)
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    return (log, coordinator, queue, store)
  }

  /// `append` waited at 32 MiB, under the engine lock, and with it everybody who only wanted to look.
  @Test func whatIsQueuedWaitsAndLookingGoesOn() async throws {
    let (log, coordinator, queue, store) = try host()
    defer { queue.stop() }
    let (first, second) = (Held("first", store), Held("second", store))
    log.left.store(0, ordering: .releasing)
    first.end()
    // It had begun before anybody knew, so it commits.
    let result = try await queue.perform(first)
    #expect(result.outcome == .committed)
    second.end()
    async let later = queue.perform(second)
    try await wait(for: "the second operation to be queued") {
      await coordinator.waitUntil { $0.queued == 1 }
    }
    let looks = log.looks.value
    try await log.looks.wait(for: "the watchdog's looks") { $0 > looks + 20 }
    let stats = coordinator.stats
    #expect(stats.isLogBehind && stats.queued == 1 && stats.undecided == 0)
    #expect(coordinator.executionRecord(for: 1)?.state == .decided(.committed))
    #expect(try store.get("first") == true)
    #expect(!second.hasBegun.value)
    log.left.store(.max, ordering: .releasing)
    #expect(try await later.outcome == .committed)
    #expect(!coordinator.stats.isLogBehind)
  }

  /// What was under way is decided, too, but not until memory is full.
  @Test func whatRunsIsDecidedWithinTheOverdraft() async throws {
    let (log, coordinator, queue, store) = try host()
    defer { queue.stop() }
    let held = (0..<3).map { Held("t\($0)", store) }
    async let first = queue.perform(held[0])
    async let second = queue.perform(held[1])
    async let third = queue.perform(held[2])
    for trigger in held { try await trigger.hasBegun.wait(for: "all to begin") { $0 } }
    log.left.store(-LogRecorder.overdraft, ordering: .releasing)
    for trigger in held { trigger.end() }
    // The first record says that there is no room for another.
    try await wait(for: "two to wait") {
      await coordinator.waitUntil { $0.pendingCommits == 2 && $0.currentSeq == 1 }
    }
    log.left.store(1 - LogRecorder.overdraft, ordering: .releasing)
    let outcomes = try await [first, second, third].map(\.outcome)
    #expect(outcomes == [.committed, .committed, .committed])
    #expect(coordinator.stats.isLogBehind)
  }
}
