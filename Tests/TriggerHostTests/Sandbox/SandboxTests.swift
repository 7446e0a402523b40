import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerReplay

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

  /// Kept or run anew, on a worker that has run it before, and with collections between: it ends in the same way.
  @Test(arguments: HostileScript.internals)
  func keptAndAnewEndAlike(script: HostileScript) async throws {
    for isAnew in [false, true] {
      let host = try HostileHost([script], isAnew: isAnew)
      defer { host.stop() }
      for _ in 0..<2 {
        let result = try await host.queue.perform(Event("hostile/0"))[0]
        #expect(result.outcome == (script.error == nil ? .committed : .failed), "\(result.error ?? "")")
        #expect(result.error?.contains(script.error ?? "") != false, "\(result.error?.prefix(300) ?? "")")
        #expect(try await host.queue.perform(Event("healthy"))[0].outcome == .committed)
      }
    }
  }

  /// As `exec` runs it: what ends it, and says how, takes little beside the script's own time. A signal that marks
  /// half a million frames again and again, or a traceback that looks for its last levels from the top, takes
  /// seconds or does not end.
  @Test(.timeLimit(.minutes(10)), arguments: HostileScript.deep + HostileScript.nested)
  func theEndOfADeepStackCostsLittle(script: HostileScript) async throws {
    let (result, seconds) = try await execute(script)
    let error = try #require(result?.error)
    let wanted = script.error ?? ""
    #expect(wanted.isEmpty || error.contains(wanted), "\(error.prefix(300))")
    #expect(seconds < 4, "CPU time")
  }

  /// As `exec` runs it: no host around it that others could wait for.
  @Test(.timeLimit(.minutes(10)), arguments: HostileScript.internals)
  func execEndsIt(script: HostileScript) async throws {
    let (result, seconds) = try await execute(script)
    #expect((result?.error == nil) == (script.error == nil), "\(result?.error?.prefix(300) ?? "")")
    #expect(result?.error?.contains(script.error ?? "") != false, "\(result?.error?.prefix(300) ?? "")")
    #expect(seconds < 4, "CPU time")
  }

  /// What `exec` makes of it, and the CPU seconds that took.
  private func execute(_ script: HostileScript) async throws -> (Replayer.TrialResult?, seconds: Double) {
    var files = HostileScript.modules
    files["s.lua"] = HostileHost.source(of: script, 0)
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    return await onThread {
      let replayer = Replayer(stores: [:], configuration: EngineConfiguration())
      return replayer.execute(
        Replayer.Trial(trigger: "hostile0", event: "x", payload: CanonicalEncoding.encode([:]), admitted: 0),
        of: tree)
    }
  }

  /// What it returns, and the CPU seconds that took.
  private func onThread<Result: Sendable>(
    _ body: @escaping @Sendable () -> Result
  ) async -> (Result, seconds: Double) {
    await withCheckedContinuation { continuation in
      let thread = Thread {
        let start = threadSeconds()
        let result = body()
        continuation.resume(returning: (result, threadSeconds() - start))
      }
      thread.stackSize = 16 << 20
      thread.start()
    }
  }

  /// The first levels name what recurs, the last what it came from.
  @Test func theTracebackHasBothEnds() async throws {
    let error = try #require(try await run("local function f(n)\nreturn 1 + f(n + 1)\nend\nf(1)").error)
    let lines = error.split(separator: "\n")
    #expect(lines[0] == "s.lua:3: stack overflow (calls nested very deep: endless recursion?)")
    #expect(lines[1] == "stack traceback:")
    #expect(lines[2...11].allSatisfy { $0 == "\ts.lua:3: in upvalue 'f'" }, "\(error)")
    #expect(lines[12].hasPrefix("\t...\t(skipping ") && lines[12].hasSuffix(" levels)"), "\(error)")
    #expect(lines.dropLast().last?.hasPrefix("\ts.lua:5: in function <s.lua:1>") == true, "\(error)")
    #expect(lines.count == 24, "\(error)")
  }

  /// As Lua's own, level for level.
  @Test(arguments: [0, 1, 9, 10, 11, 12, 18, 30, 1000])
  func tracebacksCountTheirLevels(depth: Int) async throws {
    let result = try await run(
      """
      local function f(n) if n == 0 then return (debug.traceback("here", 1)) end return (f(n - 1)) end
      local text = coroutine.wrap(f)(\(depth))
      local shown, skipped = 0, tonumber(text:match("skipping (%d+) levels")) or 0
      for _ in text:gmatch("\\n\\ts.lua:2: in ") do shown = shown + 1 end
      assert(shown + skipped == \(depth) + 1, text)
      assert(text:find("^here\\nstack traceback:\\n\\ts.lua:2: in "), text)
      assert(shown <= 21 and (skipped == 0) == (\(depth) < 21), text)
      """)
    #expect(result.outcome == .committed, "\(result.error ?? "")")
  }

  /// While scripts load: the top of a file, and of what it requires.
  @Test func recursionAtLoadIsSaid() {
    let recursion = "local function f(n) return 1 + f(n + 1) end"
    let tree = ScriptTree(
      files: [
        "top.lua": "\(recursion)\nf(1)\nreturn { execute = function() end }",
        "needs.lua": "require 'lib.deep'\nreturn { execute = function() end }",
        "lib/deep.lua": "\(recursion)\nreturn f(1)",
        "index.lua": "local t t = setmetatable({}, { __index = function(_, k) return t[k] end })\nreturn t.x",
        "on.lua": "return setmetatable({}, { __index = function(t, k) return t[k] end })",
      ].mapValues { Array($0.utf8) })
    let said = tree.problems.map(\.description)
    for start in [
      "top.lua:1: stack overflow", "lib/deep.lua:1: stack overflow", "index.lua:1: C stack overflow",
    ] { #expect(said.contains { $0.hasPrefix(start) }, "\(start): \(said)") }
  }

  /// With time enough to run for a minute, it holds up nobody: a healthy trigger beside it commits again
  /// and again, and a cancelled one ends at once.
  @Test(arguments: HostileScript.all.filter(\.isEndless))
  func othersGoOn(script: HostileScript) async throws {
    let host = try HostileHost([script], timeout: "60s", memory: "1gb")
    defer { host.stop() }
    let cancellation = Cancellation()
    let results = AsyncStream.makeStream(of: OperationResult.self)
    _ = try host.queue.offer(Event("hostile/0"), cancellation: cancellation) {
      results.continuation.yield($0)
    }
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
    for index in HostileScript.all.indices { _ = try host.queue.offer(Event("hostile/\(index)")) }
    for _ in 0..<200 { #expect(try await host.queue.perform(Event("healthy"))[0].outcome == .committed) }
    await host.queue.waitUntilIdle()
    let stats = host.coordinator.stats
    #expect(stats.failed == HostileScript.all.count { $0.error != nil })
    #expect(try host.coordinator.store("healthy").get("count") == 200)
  }
}

/// CPU time of the calling thread.
private func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// An engine with hostile triggers and a healthy one.
private struct HostileHost {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue

  /// - Parameter isAnew: their chunks run anew for each execution, since they count.
  init(
    _ scripts: [HostileScript], timeout: String? = nil, memory: String? = nil, isAnew: Bool = false
  ) throws {
    var files = [
      "healthy.lua": """
      return { on = { event = "healthy" }, execute = function(event, ctx)
        local store = ctx:store("healthy")
        return { store:put("count", (store:get("count") or 0) + 1) }
      end }
      """
    ]
    files.merge(HostileScript.modules) { $1 }
    for (index, script) in scripts.enumerated() {
      files["hostile\(index).lua"] = Self.source(
        of: script, index, timeout: timeout, memory: memory, isAnew: isAnew)
    }
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    coordinator = CommitCoordinator(EngineConfiguration(workers: 2))
    queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
  }

  static func source(
    of script: HostileScript, _ index: Int, timeout: String? = nil, memory: String? = nil,
    isAnew: Bool = false
  ) -> String {
    let timeout = timeout ?? script.timeout ?? (script.isEndless ? "40ms" : "10s")
    let head = script.head + (isAnew ? " local runs = 0" : ""), count = isAnew ? "runs = runs + 1 " : ""
    return """
      \(head) return { name = "hostile\(index)", on = { event = "hostile/\(index)" }, timeout = "\(timeout)", memory = "\(memory ?? script.memory ?? "16mb")", execute = function(event, ctx)
      \(count)\(script.body)
      end }
      """
  }

  func stop() { queue.stop() }
}

extension TriggerStats {
  fileprivate var isDecided: Bool { committed + failed + skipped > 0 }
}
