import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// The kit as others use it.
@Suite struct TestKitTests {
  private static let counter = """
    return {
      on = { event = "visit", every = "1h" },
      execute = function(event, ctx)
        local visits = ctx:store("visits")
        return { visits:add(event.page or "tick", 1) }
      end,
    }
    """

  @Test func aHostOnAClockSetByHand() async throws {
    let host = try TestHost(scripts: ["counter.lua": Self.counter], stores: ["visits": ["home": 5]])
    let results = try await host.send(Event("visit", ["page": "home"]))
    #expect(results.map(\.outcome) == [.committed])
    #expect(try host.value("visits", "home") == 6)
    await host.advance(by: .seconds(3 * 3600))
    #expect(try host.value("visits", "tick") == 3)
    let last = try #require(host.log.all.last)
    #expect(Timestamp(nanoseconds: last.admitted).description == "2026-01-01T03:00:00Z")
  }

  private static let held = [
    "typed.lua": """
    return { on = { event = "key" }, debounce = "5s", execute = function(event, ctx)
      return { ctx:store("s"):add("typed", 1) }
    end }
    """,
    "flaky.lua": """
    return { on = { event = "call" }, retry = { attempts = 3, backoff = "1s" }, execute = function() error("down") end }
    """,
  ]

  @Test func whatWaitsForTheClockIsSaidAndMoved() async throws {
    let host = try TestHost(scripts: Self.held)
    #expect(try await host.send(Event("key")).isEmpty)
    #expect(try await host.send(Event("call")).map(\.outcome) == [.failed])
    #expect(host.waiting.map(\.reason) == [.retry, .debounce], "\(host.waiting)")
    #expect(host.waiting.last?.due.description == "2026-01-01T00:00:05Z")
    await host.advance(by: .seconds(5))
    #expect(try host.value("s", "typed") == 1)
    #expect(await host.settle().isEmpty)
    #expect(host.log.all.count { $0.trigger == "flaky" } == 3)
  }

  /// The clock goes on even when its task does not end it, and no further than a cancelled one.
  @Test func aCancelledAdvanceEnds() async throws {
    let host = try TestHost(scripts: [
      "tick.lua": "return { on = { every = '1ms' }, execute = function() end }"
    ])
    let task = Task { await host.advance(by: .seconds(1_000_000)) }
    task.cancel()
    await task.value
    #expect(host.clock.now() < TestHost.lastTime)
    await host.advance(by: .milliseconds(10))
    host.stop()
    await #expect(throws: QueueStopped.self) { try await host.send(Event("x")) }
    await host.advance(by: .seconds(1_000_000))
  }

  @Test func aBrokenScriptIsSaid() {
    let problem = #expect(throws: ScriptTree.Problem.self) { try TestHost(scripts: ["a.lua": "return {"]) }
    #expect(problem?.description.hasPrefix("a.lua:1:") == true)
    let all = #expect(throws: ScriptTree.Problem.self) {
      try TestHost(scripts: ["a.lua": "return 1", "b.lua": "return { on = {}, mode = 1, memory = 2 }"])
    }
    #expect(all?.description.split(separator: "\n").count == 4, "\(String(describing: all))")
  }

  @Test func memoryKeepsTheContract() async throws {
    try await StoreBackendContract.check(
      MemoryStoreBackend(["a": 1]), contents: [[:], ["a": 1], ["a": [1, 2], "b": ["x": .null]], ["b": "y"]])
  }

  private struct Model: Codable, Sendable, Equatable {
    var name: String
    var items: [Int]
    var note: String?
  }

  @Test func codableKeepsTheContract() async throws {
    let contents = [
      Model(name: "a", items: []), Model(name: "b", items: [1, 2], note: "n"), Model(name: "", items: [0]),
    ]
    try await StoreBackendContract.check(
      try CodableStoreBackend(contents[1]), contents: contents,
      applied: { backend in try backend.values(of: backend.model) })
  }

  @Test func aBackendThatLosesIsCaught() async throws {
    struct Lossy: StoreBackend {
      func load() -> Value.Map { [:] }
      func apply(seq: Int64, _ changes: [StoreChange]) {}
      func content(of values: Value.Map) -> Int { values.count }
      func values(of content: Int) -> Value.Map { ["only": .int(Int64(content))] }
    }
    await #expect(throws: StoreBackendContract.Violation.self) {
      try await StoreBackendContract.check(Lossy(), contents: [1, 2])
    }
  }
}
