import Testing
import TriggerCore
import TriggerHost

/// The sandbox's libraries as a script meets them, and C loops that a script tries to make endless.
@Suite(.serialized) struct SandboxTests {
  private func run(_ body: String) async throws -> OperationResult {
    let script =
      "return { on = { event = 'x' }, timeout = '30s', execute = function(event, ctx)\n\(body)\nend }"
    let tree = ScriptTree(files: ["s.lua": Array(script.utf8)])
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let queue = TriggerQueue(CommitCoordinator(EngineConfiguration(workers: 1)))
    queue.bind([], scripts: tree)
    queue.start()
    defer { queue.stop() }
    return try await queue.perform(Event("x"))[0]
  }

  @Test func librariesWork() async throws {
    let result = try await run(
      """
      assert(string.find("hello world", "o w") == 5)
      assert(("%d items %s %5.2f"):format(3, "x", 1.5) == "3 items x  1.50")
      assert(("abc=1, d=2"):gsub("(%w+)=(%d)", "%2=%1") == "1=abc, 2=d")
      local t = {5, 2, 8, 1}; table.sort(t); assert(table.concat(t, ",") == "1,2,5,8")
      local keys = {}; for k in pairs({b = 1, a = 2, [3] = 1, [1] = 1}) do keys[#keys + 1] = tostring(k) end
      assert(table.concat(keys, " ") == "1 3 a b")
      local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1); return b * 2 end)
      assert(co(1) == 2 and co(4) == 8)
      assert(os.date("%Y", 0) == "1970" and math.random(1, 6) <= 6 and utf8.len("ä") == 1)
      assert(tostring({}) == "table" and not pcall(error, {}))
      assert(io.open == nil and debug.getinfo == nil and collectgarbage == nil and string.dump == nil)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  /// One at a time: it ends in its time and memory with a clear error, and changes nothing.
  @Test(arguments: HostileScript.all)
  func hostileScriptsEnd(script: HostileScript) async throws {
    let host = try HostileHost([script])
    defer { host.stop() }
    let result = try await host.queue.perform(Event("hostile/0"))[0]
    if let wanted = script.error {
      #expect(result.outcome == .failed)
      let error = try #require(result.error)
      #expect(wanted.isEmpty || error.contains(wanted), "\(error.prefix(300))")
      #expect(error.utf8.count < 10_000, "an error is for people: \(error.utf8.count) bytes")
      #expect(try host.coordinator.store("s").get("k") == nil)
    } else {
      #expect(result.outcome == .committed, "\(result.error ?? "")")
    }
  }

  /// With time enough to run for a minute, it holds up nobody: a healthy trigger beside it commits again
  /// and again, and a cancelled one ends at once.
  @Test(arguments: HostileScript.endless)
  func othersGoOn(script: HostileScript) async throws {
    let host = try HostileHost([script], timeout: "60s", memory: "1gb")
    defer { host.stop() }
    let cancellation = Cancellation()
    let results = AsyncStream.makeStream(of: OperationResult.self)
    _ = host.queue.offer(Event("hostile/0"), cancellation: cancellation) { results.continuation.yield($0) }
    for _ in 0..<5 { #expect(try await host.queue.perform(Event("healthy"))[0].outcome == .committed) }
    #expect(host.coordinator.stats.triggers["hostile0"]?.isDecided != true)
    cancellation.cancel()
    for await result in results.stream {
      #expect(result.outcome == .skipped)
      break
    }
  }

  /// All at once, on one engine.
  @Test func allTogether() async throws {
    let host = try HostileHost(HostileScript.all)
    defer { host.stop() }
    for index in HostileScript.all.indices { _ = host.queue.offer(Event("hostile/\(index)")) }
    for _ in 0..<200 { #expect(try await host.queue.perform(Event("healthy"))[0].outcome == .committed) }
    await host.queue.waitUntilIdle()
    let stats = host.coordinator.stats
    #expect(stats.failed == HostileScript.all.count { $0.error != nil })
    #expect(try host.coordinator.store("healthy").get("count") == 200)
  }
}

/// An engine with hostile triggers and a healthy one.
private struct HostileHost {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue

  init(_ scripts: [HostileScript], timeout: String? = nil, memory: String = "16mb") throws {
    var files = [
      "healthy.lua": """
      return { on = { event = "healthy" }, execute = function(event, ctx)
        local store = ctx:store("healthy")
        return { store:put("count", (store:get("count") or 0) + 1) }
      end }
      """
    ]
    for (index, script) in scripts.enumerated() {
      files["hostile\(index).lua"] = """
        return { name = "hostile\(index)", on = { event = "hostile/\(index)" }, timeout = "\(timeout ?? (script.isEndless ? "40ms" : "10s"))", memory = "\(memory)", execute = function(event, ctx)
        \(script.body)
        end }
        """
    }
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    coordinator = CommitCoordinator(EngineConfiguration(workers: 2))
    queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
  }

  func stop() { queue.stop() }
}

extension TriggerStats {
  fileprivate var isDecided: Bool { committed + failed + skipped > 0 }
}
