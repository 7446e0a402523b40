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
      func load() -> [String: Value] { [:] }
      func apply(seq: Int64, _ changes: [StoreChange]) {}
      func content(of values: [String: Value]) -> Int { values.count }
      func values(of content: Int) -> [String: Value] { ["only": .int(Int64(content))] }
    }
    await #expect(throws: StoreBackendContract.Violation.self) {
      try await StoreBackendContract.check(Lossy(), contents: [1, 2])
    }
  }
}
