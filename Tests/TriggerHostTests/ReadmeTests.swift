import Testing
import TriggerCore
import TriggerHost

/// The README's Swift program, and its Lua trigger, as they stand there.
@Suite struct ReadmeTests {
  private struct Count: EventTrigger {
    struct Visit: Decodable {
      var page: String
    }
    let store: VersionedStore<MemoryStoreBackend>
    var options: TriggerOptions { TriggerOptions(on: [EventPattern(.event, "visit")]) }

    func execute(_ visit: Visit, _ context: ExecutionContext) async throws -> [CommitIntent] {
      let seen = try store.get(visit.page)?.intValue ?? 0
      return [store.put(visit.page, .int(seen + 1))]
    }
  }

  @Test func swiftProgram() async throws {
    let coordinator = CommitCoordinator()
    let store = try coordinator.register(VersionedStore("visits", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.bind([Count(store: store)])
    queue.start()
    let results = try await queue.perform(Event("visit", ["page": "home"]))
    #expect(results.map(\.seq) == [1])
    #expect(results.map(\.outcome) == [.committed])
    #expect(try store.get("home") == 1)
    await queue.stop()
  }

  @Test func luaTrigger() async throws {
    let script = """
      return {
        on = { event = "visit" },
        execute = function(event, ctx)
          local visits = ctx:store("visits")
          local seen = visits:get(event.page) or { count = 0 }
          return { visits:put(event.page, { count = seen.count + 1 }) }
        end,
      }
      """
    let tree = ScriptTree(files: ["counter.lua": Array(script.utf8)])
    #expect(tree.problems.isEmpty)
    let coordinator = CommitCoordinator()
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
    for _ in 0..<100 { try await queue.enqueue(Event("visit", ["page": "home"])) }
    await queue.waitUntilIdle()
    #expect(try coordinator.store("visits").get("home") == ["count": 100])
    #expect(coordinator.stats.committed == 100)
    await queue.stop()
  }

  /// A script that never ends is ended, its neighbour commits, nothing of it is applied.
  @Test func endlessScriptIsEnded() async throws {
    let endless = """
      return { on = { event = "x" }, timeout = "20ms", execute = function()
        while true do pcall(function() while true do end end) end
      end }
      """
    let healthy = """
      return { on = { event = "x" }, priority = "high", execute = function(event, ctx)
        return { ctx:store("s"):add("n", 1) }
      end }
      """
    let tree = ScriptTree(files: ["endless.lua": Array(endless.utf8), "healthy.lua": Array(healthy.utf8)])
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
    let results = try await queue.perform(Event("x"))
    #expect(results.map(\.outcome).sorted { $0.rawValue < $1.rawValue } == [.committed, .failed])
    #expect(results.first { $0.outcome == .failed }?.error?.contains("endless.lua:2") == true)
    #expect(try coordinator.store("s").get("n") == .int(1))
    await queue.stop()
  }
}
