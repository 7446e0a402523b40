import Synchronization
import Testing
import TriggerCore

import TriggerHost

/// A snapshot that is held for long costs its holder the attempt, and nobody memory without bound.
@Suite struct RetentionTests {
  /// Reads, lets the others write as much as they like, reads again.
  private struct Slow: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    let gate: @Sendable (_ attempt: Int) async -> Void
    let attempts = Counter()
    func execute() async throws -> [CommitIntent] {
      let attempt = attempts.next()
      let before = try store.get("k")
      await gate(attempt)
      return [store.put("slow", .array([before ?? .null, try store.get("k") ?? .null]))]
    }
  }
  private final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
  }

  private func host(_ log: MemoryCommitLog? = nil) throws -> (
    CommitCoordinator, VersionedStore<MemoryStoreBackend>, TriggerQueue
  ) {
    var configuration = EngineConfiguration(workers: 2)
    configuration.retainedVersions = 500
    let coordinator = CommitCoordinator(configuration, log: log)
    let store = try coordinator.register(VersionedStore("s", backend: MemoryStoreBackend(["k": 0])))
    let queue = TriggerQueue(coordinator)
    let tree = ScriptTree(
      files: [
        "bump.lua": Array(
          "return { on = { event = 'bump' }, execute = function(event, ctx) local s = ctx:store('s') return { s:put('k', s:get('k') + 1) } end }"
            .utf8),
        "spin.lua": Array(
          "return { on = { event = 'spin' }, timeout = '60s', execute = function(event, ctx) local s = ctx:store('s') s:get('k') while true do s:get('k') end end }"
            .utf8),
      ])
    queue.bind([], scripts: tree)
    queue.start()
    return (coordinator, store, queue)
  }

  private func write(_ count: Int, _ queue: TriggerQueue) async throws {
    for _ in 0..<count { _ = try await queue.perform(Event("bump")) }
  }

  @Test func theHolderRunsAgainOnAFreshSnapshot() async throws {
    let (coordinator, store, queue) = try host()
    defer { queue.stop() }
    let slow = Slow(store: store) { attempt in
      if attempt == 1 {
        while coordinator.stats.expired == 0 { try? await self.write(100, queue) }
      }
    }
    let result = try await queue.perform(slow)
    #expect(result.outcome == .committed)
    #expect(slow.attempts.next() >= 3)
    guard case .array(let seen)? = try store.get("slow") else { return #expect(Bool(false)) }
    #expect(seen[0] == seen[1])
  }

  @Test func twiceIsAFailure() async throws {
    let log = MemoryCommitLog(wantsReads: true)
    let (coordinator, store, queue) = try host(log)
    defer { queue.stop() }
    let slow = Slow(store: store) { attempt in
      while coordinator.stats.expired < attempt { try? await self.write(100, queue) }
    }
    let result = try await queue.perform(slow)
    #expect(result.outcome == .failed)
    #expect(result.error?.contains("snapshot_too_old") == true, "\(result.error ?? "")")
    // Keys that it read may be freed: nothing of it points at them any more.
    #expect(log.all.first { $0.seq == result.seq }?.reads == [])
    // Nothing is kept any more once another commit comes.
    try await write(600, queue)
    #expect(coordinator.stats.retainedVersions <= 500)
  }

  @Test func aLuaScriptIsEndedToo() async throws {
    let (coordinator, _, queue) = try host()
    defer { queue.stop() }
    let (results, continuation) = AsyncStream.makeStream(of: OperationResult.self)
    _ = try queue.offer(Event("spin")) { continuation.yield($0) }
    var result: OperationResult?
    while result == nil, coordinator.stats.failed == 0 { try await write(100, queue) }
    for await first in results {
      result = first
      break
    }
    #expect(result?.outcome == .failed)
    #expect(result?.error?.contains("snapshot_too_old") == true, "\(result?.error ?? "")")
    #expect(coordinator.stats.expired == 2)
  }

  @Test func readsAfterTheEndAreRefused() async throws {
    let (_, store, queue) = try host()
    defer { queue.stop() }
    struct Leak: Trigger {
      let store: VersionedStore<MemoryStoreBackend>
      let late: AsyncStream<String>.Continuation
      let go: AsyncStream<Void>
      func execute() async throws -> [CommitIntent] {
        Task {
          for await _ in go { break }
          do { late.yield("\(String(describing: try store.get("k")))") } catch { late.yield("\(error)") }
        }
        return []
      }
    }
    let (texts, late) = AsyncStream.makeStream(of: String.self)
    let (go, start) = AsyncStream.makeStream(of: Void.self)
    _ = try await queue.perform(Leak(store: store, late: late, go: go))
    start.yield()
    for await text in texts {
      #expect(text.contains("after execute had returned"), "\(text)")
      break
    }
  }

  /// The same step by step: the watchdog looks in the middle of each attempt, when the commits so far have made more versions
  /// than may be kept and nobody reads them.
  @Test func aLookWhileVersionsWaitToBeFreedTakesNoSnapshot() throws {
    var configuration = EngineConfiguration(workers: 1)
    configuration.retainedVersions = 8000
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.bind(
      [],
      scripts: ScriptTree(files: [
        "many.lua": Array(
          "return { on = { event = 'many' }, execute = function(event, ctx) local s, list = ctx:store('s'), {} for i = 1, 200 do list[i] = s:put('k' .. i, event.n) end return list end }"
            .utf8)
      ]))
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    for n in 0..<100 {
      #expect(try queue.offer(Event("many", ["n": .int(Int64(n))])) == 1)
      while engine.exchange(0) > 0 {
        while engine.begin(0) {
          _ = engine.watch()
          engine.end(0)
        }
      }
    }
    let stats = coordinator.stats
    #expect(stats.committed == 100 && stats.failed == 0)
    #expect(stats.expired == 0, "\(stats.expired) snapshots were taken away")
  }

  /// Versions that could be freed are nobody's fault: 40 of these commits make more of them in a moment than may be kept,
  /// and no script runs for long.
  @Test(arguments: [false, true]) func manyLargeCommitsCostNobodyAnAttempt(besideALongScript: Bool)
    async throws
  {
    var configuration = EngineConfiguration(workers: 2)
    configuration.retainedVersions = 8000
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.bind(
      [],
      scripts: ScriptTree(files: [
        "many.lua": Array(
          "return { on = { event = 'many' }, execute = function(event, ctx) local s, list = ctx:store('s'), {} for i = 1, 200 do list[i] = s:put('k' .. i, event.n) end return list end }"
            .utf8),
        "spin.lua": Array(
          "return { on = { event = 'spin' }, timeout = '60s', execute = function(event, ctx) local s = ctx:store('s') s:get('k1') while true do s:get('k1') end end }"
            .utf8),
      ]))
    queue.start()
    if besideALongScript { try await queue.enqueue(Event("spin")) }
    for n in 0..<400 { try await queue.enqueue(Event("many", ["n": .int(Int64(n))])) }
    while coordinator.stats.committed < 400, coordinator.stats.failed <= 1 {
      // Nothing waits for long beside a script that does not end but the end of this.
      _ = try await queue.perform(Event("many", ["n": -1]))
    }
    let stats = coordinator.stats
    #expect(
      stats.failed <= (besideALongScript ? 1 : 0),
      "\(stats.failed) failed, \(stats.expired) snapshots were taken away")
    await queue.stop()
  }
}
