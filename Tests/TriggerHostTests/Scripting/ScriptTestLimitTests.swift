import Dispatch
import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// What a test of a script may take: time, memory, output. What does not end is ended, and the next one runs.
@Suite struct ScriptTestLimitTests: RunsScriptTests {
  @Test func whatDoesNotEndIsEnded() async throws {
    let file = await run(
      "it('a', function() while true do end end)\nit('b', function() while true do pcall(function() while true do end end) end end)\nit('c', function() end)",
      timeout: .milliseconds(500))
    try #require(file.results.map(\.status) == [.failed, .failed, .passed], "\(file)")
    #expect(file.results[1].error?.contains("timeout: it does not end") == true, "\(file)")
    #expect(file.results[0].error?.hasPrefix("a_test.lua:1: timeout: it does not end") == true, "\(file)")
    let whole = await run("\nwhile true do end", timeout: .milliseconds(100))
    #expect(whole.error?.hasPrefix("a_test.lua:2: timeout") == true, "\(whole)")
    let memory = await run(
      "it('a', function() local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end end)")
    #expect(memory.results[0].error?.contains("out of memory") == true, "\(memory)")
  }

  /// What a test asks of a host takes no longer than the test may, and says what it waited for. The tests after it
  /// run.
  @Test(.timeLimit(.minutes(10)))
  func noCallOutlastsItsTest() async throws {
    let file = try await run(
      with: ["typed", "spin", "tick"],
      """
      it("send", function() host:send("spin") end)
      it("in pcall", function() while true do pcall(host.send, host, "spin") end end)
      it("in a coroutine", function() coroutine.wrap(function() host:send("spin") end)() end)
      it("run", function() run("spin") end)
      it("advance", function() host:advance("100d") end)
      it("many", function() while true do host:advance("1ms") end end)
      it("with what waits", function() host:send("key") host:send("spin") end)
      it("is good", function() end)
      describe("hooks", function()
        before_each(function() while true do end end)
        it("before", function() end)
      end)
      describe("hooks", function()
        after_each(function() host:send("spin") end)
        it("after", function() end)
      end)
      """, timeout: .seconds(1))
    #expect(file.error == nil)
    let good = file.results.filter { $0.status == .passed }
    #expect(good.map(\.names) == [["is good"]], "\(file)")
    for (number, wanted) in [
      (
        0,
        "a_test.lua:1: timeout: it does not end within 1s: host:send waited, with the clock at 2026-01-01T00:00:00Z; "
      ),
      (1, "a_test.lua:2: timeout: it does not end within 1s: host:send waited"),
      (2, "a_test.lua:3: timeout: it does not end within 1s: host:send waited"),
      (3, "a_test.lua:4: timeout: it does not end within 1s: run waited"),
      (
        4,
        "a_test.lua:5: timeout: it does not end within 1s: host:advance waited, with the clock at 2026-01-01T0"
      ),
      (5, "a_test.lua:6: timeout: it does not end within 1s"),
      (6, "a_test.lua:7: timeout: it does not end within 1s: host:send waited"),
      (8, "a_test.lua:10: timeout: it does not end within 1s"),
      (9, "a_test.lua:14: timeout: it does not end within 1s: host:send waited"),
    ] {
      let error = file.results[number].error ?? ""
      #expect(error.hasPrefix(wanted), "\(error)")
      #expect(file.results[number].duration < .seconds(20))
    }
  }

  @Test func theTextOfAFileIsLimitedToo() async throws {
    let whole = try await run(with: ["spin"], "\nhost:send('spin')", timeout: .milliseconds(300))
    #expect(
      whole.error?.hasPrefix("a_test.lua:2: timeout: it does not end within 300ms: host:send waited") == true,
      "\(whole)")
  }

  /// The thread of a file never comes back: what is known is reported, and the next file runs.
  @Test func aFileThatIsStuckIsGivenUp() async throws {
    let isStuck = Mutex(true)
    let stuck = DispatchSemaphore(value: 0)
    var files = waitingScripts.filter { $0.key == "typed.lua" }
    files["a_test.lua"] =
      "it('good', function() end)\nit('stuck', function() host:now() end)\nit('lost', function() end)"
    files["b_test.lua"] = "it('x', function() expect(host:now()):is_above(0) end)"
    var tests = ScriptTests(tree: ScriptTree(files: files.mapValues { Array($0.utf8) }))
    tests.timeout = .seconds(3)
    tests.grace = .milliseconds(100)
    tests.interruption = { call in
      let waits = isStuck.withLock { isStuck in
        guard call == "now" else { return false }
        defer { isStuck = false }
        return isStuck
      }
      if waits { stuck.wait() }
    }
    let results = await tests.run()
    stuck.signal()
    #expect(results.map(\.path) == ["a_test.lua", "b_test.lua"])
    #expect(results[0].results.map(\.status) == [.passed, .failed], "\(results[0])")
    #expect(
      results[0].results[1].error?.hasPrefix("a_test.lua:2: timeout: it did not end when it was asked to")
        == true)
    #expect(results[0].error?.contains("stuck in C, and the rest of the file with it") == true)
    #expect(results[1].isGood, "\(results[1])")
  }

  @Test func whatATestPrintsIsBounded() async throws {
    let file = await run("it('x', function() for i = 1, 5000 do print(i) end end)")
    #expect(file.isGood && file.results[0].output.count == 1001, "\(file)")
    #expect(file.results[0].output.suffix(2) == ["1000", "... (what else it prints is not kept)"])
  }

  @Test func aTriggersLimitsAreReal() async throws {
    let file = await run("it('x', function() expect(run('endless')):fails_with('timeout') end)")
    #expect(file.isGood, "\(file)")
  }
}
