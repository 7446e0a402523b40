import TestSupport
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

@Suite struct RetryTests {
  private static let scripts = [
    "flaky.lua": """
    return { on = { event = "go" }, retry = { attempts = 4, backoff = "1s", longest = "3s" },
      execute = function(event, ctx)
        if ctx:store("state"):get("broken") then error("still broken") end
        return { ctx:store("state"):put("done", event.n) }
      end }
    """
  ]

  @Test func aFailedOperationIsTriedAgainLater() async throws {
    let host = try TestHost(scripts: Self.scripts, stores: ["state": ["broken": true]])
    let results = try await host.queue.perform(Event("go", ["n": 7]))
    #expect(results.map(\.outcome) == [.failed])
    let retryAt = try #require(results[0].retryAt)
    // A second, give or take a quarter.
    #expect((750_000_000...1_250_000_000).contains(retryAt - host.clock.now()))
    #expect(
      try await host.queue.perform(Mend(store: try host.coordinator.store("state"))).outcome == .committed)
    host.clock.advance(by: .nanoseconds(retryAt - host.clock.now()))
    await host.queue.waitUntilIdle()
    #expect(try host.value("state", "done") == 7)
    let tries = host.log.all.filter { $0.trigger == "flaky" }
    #expect(tries.map(\.tries) == [0, 1])
    #expect(tries.map(\.outcome) == [.failed, .committed])
    #expect(tries[1].retryOf == tries[0].seq && tries[1].admitted == retryAt)
    host.stop()
  }

  @Test func noTryIsLeftInTheEnd() async throws {
    let host = try TestHost(scripts: Self.scripts, stores: ["state": ["broken": true]])
    var seen = 0
    _ = try await host.queue.perform(Event("go", ["n": 7]))
    while true {
      let records = host.log.all
      seen = records.count
      guard let due = records.last?.retryAt else { break }
      host.clock.advance(by: .nanoseconds(due - host.clock.now()))
      try await wait(for: "the next try") { [seen] in
        await host.coordinator.waitUntil { $0.currentSeq > seen }
      }
    }
    await host.queue.waitUntilIdle()
    let pauses = host.log.all.compactMap { record in
      record.retryAt.map { $0 - record.admitted }
    }
    #expect(host.log.all.map(\.tries) == [0, 1, 2, 3])
    // Doubled each time, up to the longest.
    for (pause, base) in zip(pauses, [1.0, 2.0, 3.0]) {
      #expect((base * 0.75...base * 1.25).contains(Double(pause) / 1e9), "\(pauses)")
    }
    host.stop()
  }

  @Test(arguments: [
    ("retry = 0", "retry must be a whole number from 1 to 100, got 0"),
    ("retry = { attempts = 0 }", "retry.attempts must be a whole number from 1 to 100, got 0"),
    ("retry = true", "retry must be a number of tries or a table like { attempts = 3 }"),
    ("retry = { atempts = 2 }", "retry has no 'atempts'; did you mean 'attempts'?"),
    ("retry = { order = 'lifo' }", "retry.order must be \"keep\" or \"free\", got"),
    ("retry = { backoff = 3 }", "retry.backoff must be a string"),
  ]) func whatCannotBeIsRefused(field: String, message: String) {
    let script = "return { on = { event = 'e' },\n\(field), execute = function() end }"
    let tree = ScriptTree(files: ["t.lua": Array(script.utf8)])
    #expect(tree.problems.map(\.description).contains { $0.hasPrefix("t.lua:2: ") && $0.contains(message) })
  }

  private struct Mend: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    func execute() async throws -> [CommitIntent] { [store.put("broken", nil)] }
  }
}
