import Synchronization
import TestSupport
import Testing
import TriggerCore

import TriggerHost

/// The scenario the design grew from: an operation of 30 s and a later one of 5 s reading the same store.
/// Gates stand for the seconds: the test opens them in the order that time would.
@Suite struct ScenarioTests {
  /// Opens once; everyone who waits, before or after, goes on.
  private final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))
    func open() {
      let waiting = state.withLock { state in
        state.isOpen = true
        defer { state.waiting = [] }
        return state.waiting
      }
      for continuation in waiting { continuation.resume() }
    }
    func pass() async {
      await withCheckedContinuation { continuation in
        let isOpen = state.withLock { state in
          if !state.isOpen { state.waiting.append(continuation) }
          return state.isOpen
        }
        if isOpen { continuation.resume() }
      }
    }
  }

  private struct Append: Trigger {
    let name: String
    let store: VersionedStore<MemoryStoreBackend>
    let started: Gate
    let gate: Gate
    func execute() async throws -> [CommitIntent] {
      let (seq, content) = try store.readSnapshot()
      started.open()
      await gate.pass()
      let order = (content["order"]?.arrayValue ?? []) + [.string(name)]
      return [try store.prepareCommit(seq, ["order": .array(order)])]
    }
  }

  private func run(strict: Bool) async throws -> (order: Value?, records: [LogRecord]) {
    var configuration = EngineConfiguration(workers: 2)
    configuration.strictOrder = strict
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(configuration, log: log)
    let store = try coordinator.register(VersionedStore("OrderStore", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.start()
    let slowStarted = Gate()
    let fastStarted = Gate()
    let thirty = Gate()
    let five = Gate()
    async let slow = queue.perform(
      Append(name: "slow", store: store, started: slowStarted, gate: thirty), priority: .low)
    await slowStarted.pass()
    async let fast = queue.perform(
      Append(name: "fast", store: store, started: fastStarted, gate: five), priority: .high)
    await fastStarted.pass()
    five.open()
    if strict {
      // The fast one is finished and waits for the slow one.
      try await wait(for: "the fast one") { await coordinator.waitUntil { $0.pendingCommits > 0 } }
      #expect(coordinator.stats.currentSeq == 0)
    } else {
      // The slow one is put off and the fast one commits without it.
      #expect(try await fast.outcome == .committed)
    }
    thirty.open()
    _ = try await (slow, fast)
    await queue.waitUntilIdle()
    await queue.stop()
    return (try store.get("order"), log.all)
  }

  @Test func strictOrderReexecutesTheLaterUnderItsSeq() async throws {
    let (order, records) = try await run(strict: true)
    #expect(order == ["slow", "fast"])
    #expect(records.map(\.trigger) == ["slow", "fast"])
    #expect(records.map(\.outcome) == [.committed, .committed])
    #expect(records.map(\.seq) == [1, 2])
    #expect(records[1].attempts == 2, "the later one read a store that the earlier one then changed")
  }

  @Test func deferralLetsTheFinishedOnePass() async throws {
    let (order, records) = try await run(strict: false)
    #expect(order == ["fast", "slow"])
    #expect(records.map(\.trigger) == ["slow", "fast", "slow"])
    #expect(records.map(\.outcome) == [.deferred, .committed, .committed])
    #expect(records[2].identity == 1, "a deferred operation keeps its first seq as identity")
  }
}
