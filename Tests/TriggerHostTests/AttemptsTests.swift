import Synchronization
import Testing
import TriggerCore
import TriggerTestKit

@testable import TriggerHost

/// How many executions an operation took: the same number wherever it is told.
@Suite(.timeLimit(.minutes(10))) struct AttemptsTests {
  /// Reads, and in its first attempt waits until it may go on.
  private struct Slow: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    let began: AsyncStream<Void>.Continuation
    let gate: AsyncStream<Void>
    var mode: OverlapMode?
    var options: TriggerOptions {
      var options = TriggerOptions(on: [EventPattern(.event, "slow")])
      options.priority = .low
      options.mode = mode
      return options
    }
    func execute() async throws -> [CommitIntent] {
      let seen = try store.get("n")?.intValue ?? 0
      began.yield()
      for await _ in gate {}
      return [store.put("seen", .int(seen))]
    }
  }

  private struct Put: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    func execute() -> [CommitIntent] { [store.put("n", 7)] }
  }

  /// Deferred, for it held up somebody, and run again, for what it had read has changed.
  @Test func ofADeferralAndAConflict() async throws {
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: log)
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    let (began, begin) = AsyncStream.makeStream(of: Void.self)
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    queue.bind([Slow(store: store, began: begin, gate: gate)])
    queue.start()
    defer { queue.stop() }
    let observed = Mutex<[Int]>([])
    queue.observe { result, _ in
      if result.trigger == "Slow" { observed.withLock { $0.append(result.attempts) } }
    }

    let (answers, answer) = AsyncStream.makeStream(of: [OperationResult].self)
    _ = try queue.offer(Event("slow"), scope: "test", key: "once") { answer.yield($1) }
    for await _ in began { break }
    #expect(coordinator.executionRecord(for: 1)?.attempts == 1)
    #expect(try await queue.perform(Put(store: store), priority: .high).attempts == 1)
    open.finish()
    var told = answers.makeAsyncIterator()
    let result = try #require(await told.next()?.first)
    #expect(result.outcome == .committed && result.identity == 1 && result.seq == 3)
    #expect(try store.get("seen") == 7)
    #expect(result.attempts == 2)
    #expect(coordinator.executionRecord(for: 3)?.attempts == 2)
    #expect(coordinator.executionRecord(for: 3)?.conflicts == 1)
    #expect(log.all.first { $0.seq == 3 }?.attempts == 2)
    await queue.waitUntilIdle()
    #expect(observed.withLock { $0 } == [2])
    // Who sends it again gets the answer of the first time.
    _ = try queue.offer(Event("slow"), scope: "test", key: "once") { answer.yield($1) }
    #expect(await told.next()?.map(\.attempts) == [2])
  }

  /// What is kept of a sender's key has the number too, with and without a failure.
  @Test(arguments: [0, 1, 2, 300], [nil, Failure(.timeout, "late")])
  func ofAKeptKey(attempts: Int, failure: Failure?) throws {
    var result = KeyRow.Result(
      trigger: "t", identity: 1, seq: 2, outcome: failure == nil ? .committed : .failed, failure: failure)
    result.attempts = attempts
    let row = KeyRow(
      key: SenderKey(scope: "s", key: "k"), id: EventID(epoch: 1, number: 1), digest: 3, admitted: 4,
      results: [result, result])
    let read = try KeyPart([row]).encodedRows.withUnsafeBytes { try KeyPart.rows($0) }
    #expect(read == [row])
    #expect(OperationResult(read[0].results[0]).attempts == attempts)
  }

  /// Each try of a failed operation is an operation of its own.
  @Test func ofRetries() async throws {
    let host = try TestHost(scripts: [
      "fail.lua": """
      return { on = { event = "x" }, retry = { attempts = 3, backoff = "1s" }, execute = function() error("no") end }
      """
    ])
    let result = try #require(try await host.send(Event("x")).first)
    #expect(result.outcome == .failed && result.attempts == 1)
    await host.settle()
    #expect(host.log.all.map(\.attempts) == [1, 1, 1])
    host.stop()
  }

  /// One that a gate dropped has never begun.
  @Test func ofWhatWasDropped() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    let (began, begin) = AsyncStream.makeStream(of: Void.self)
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    queue.bind([Slow(store: store, began: begin, gate: gate, mode: .single)])
    queue.start()
    defer { queue.stop() }
    async let first = queue.perform(Event("slow"))
    for await _ in began { break }
    let second = try #require(try await queue.perform(Event("slow")).first)
    #expect(second.code == .dropped && second.attempts == 0)
    open.finish()
    #expect(try await first.map(\.attempts) == [1])
  }
}
