import Dispatch
import Synchronization
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// Who is told of an outcome holds up nobody who commits, and nobody else who is told.
@Suite struct ReceiverTests {
  private struct Put: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    var fails = false
    func execute() throws -> [CommitIntent] {
      if fails { throw StoreError("as told") }
      return [store.put("n", true)]
    }
  }

  private func host(_ configuration: EngineConfiguration = EngineConfiguration(workers: 1), logs: Bool = true)
    throws -> (CommitCoordinator, TriggerQueue, Put)
  {
    let coordinator = CommitCoordinator(configuration, log: logs ? MemoryCommitLog() : nil)
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.bind([])
    queue.start()
    return (coordinator, queue, Put(store: store))
  }

  /// An observer that never returns stopped every commit.
  @Test(arguments: [true, false]) func anObserverThatHangsStopsNobody(logs: Bool) async throws {
    let (coordinator, queue, put) = try host(logs: logs)
    defer { queue.stop() }
    let goOn = DispatchSemaphore(value: 0)
    let calls = Mutex(0)
    defer { goOn.signal() }
    queue.observe { _, _ in
      calls.withLock { $0 += 1 }
      goOn.wait()
    }
    for _ in 0..<Receivers.bound + 200 {
      #expect(try await queue.perform(Put(store: put.store, fails: true)).outcome == .failed)
    }
    #expect(coordinator.stats.untold > 0)
    #expect(calls.withLock { $0 } == 1)
  }

  /// Completions of one source hold up the intake of that source, once 10,000 wait.
  @Test func aCompletionHoldsUpItsOwnSource() async throws {
    var configuration = EngineConfiguration(workers: 1)
    configuration.queueCapacity = 1_000_000
    let (coordinator, queue, put) = try host(configuration)
    defer { queue.stop() }
    queue.bind([Named(store: put.store)])
    let goOn = DispatchSemaphore(value: 0)
    let told = Mutex<[Int64]>([])
    func offer(_ source: UInt64, _ body: @escaping @Sendable (OperationResult) -> Void) -> Int? {
      try? queue.offer(Event("e", source: source), completion: body)
    }
    #expect(
      offer(1) { _ in
        goOn.wait()
      } == 1)
    var sent = 1
    while offer(1, { result in told.withLock { $0.append(result.seq) } }) != nil {
      sent += 1
      // What is decided waits for its completion.
      guard sent % 1000 == 0 else { continue }
      try await wait(for: "them to be decided") { [sent] in
        await coordinator.waitUntil { $0.committed >= sent }
      }
    }
    // Another source is told at once, and so is who only waits for an outcome.
    let (done, end) = AsyncStream.makeStream(of: Int64.self)
    #expect(offer(2) { end.yield($0.seq) } == 1)
    for await _ in done { break }
    _ = try await queue.perform(put)
    #expect(told.withLock { $0.isEmpty })
    let before = coordinator.stats.committed
    async let room: Void = queue.waitForRoom(for: 1)
    goOn.signal()
    await room
    #expect(offer(1) { _ in } == 1)
    await queue.waitUntilIdle()
    #expect(coordinator.stats.committed > before)
    // All of them, in the order of the seqs.
    let seqs = told.withLock { $0 }
    #expect(seqs.count >= Receivers.bound - 1 && seqs == seqs.sorted())
  }

  private struct Named: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    var options: TriggerOptions {
      var options = TriggerOptions()
      options.on = [EventPattern(.event, "e")]
      return options
    }
    func execute() -> [CommitIntent] { [store.put("e", true)] }
  }

  /// Several workers decide and tell: who waits hears everything, in the order of the seqs.
  @Test(arguments: [true, false]) func outcomesAreToldInOrder(logs: Bool) async throws {
    let (_, queue, put) = try host(EngineConfiguration(workers: 4), logs: logs)
    defer { queue.stop() }
    queue.bind([Named(store: put.store)])
    let told = Mutex<[Int64]>([])
    let seen = Mutex<[Int64]>([])
    queue.observe { result, _ in seen.withLock { $0.append(result.seq) } }
    for source in 0..<2000 {
      _ = try await queue.enqueue(
        telling: { result in told.withLock { $0.append(result.seq) } }, Event("e", source: UInt64(source)))
    }
    await queue.waitUntilIdle()
    // A deferred operation is decided under a later seq, so there may be gaps.
    for seqs in [told.withLock { $0 }, seen.withLock { $0 }] {
      #expect(seqs.count == 2000 && seqs == seqs.sorted())
    }
  }

  /// Nothing new is begun, what runs ends, and the rest is counted.
  @Test func drainingFinishesWhatRuns() async throws {
    let (coordinator, queue, put) = try host()
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    let began = Watched(false)
    async let running = queue.perform(
      Waiting(store: put.store, began: { began.update { $0 = true } }, gate: gate))
    try await began.wait(for: "it to begin") { $0 }
    queue.drain()
    await #expect(throws: QueueStopped(wasTaken: false)) { try await queue.enqueue(put) }
    await queue.waitUntilIdle()
    #expect(queue.finishRunning(within: .zero).running == ["\(Waiting.self)"])
    open.finish()
    #expect(queue.finishRunning(within: .seconds(300)) == Leftovers())
    #expect(try await running.outcome == .committed)
    #expect(queue.cancelRunning(within: .seconds(300)).isEmpty)
    queue.release()
    #expect(coordinator.stats.committed == 1)
  }

  private struct Waiting: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    let began: @Sendable () -> Void
    let gate: AsyncStream<Void>
    func execute() async -> [CommitIntent] {
      began()
      for await _ in gate {}
      return [store.put("w", true)]
    }
  }
}
