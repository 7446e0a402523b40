import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// Tests of scripts whose clock moves: debounce, throttle, retries and schedules happen when a test says so.
@Suite struct ScriptTestClockTests: RunsScriptTests {
  @Test func theClockMovesWhatWaits() async throws {
    let file = try await run(
      with: ["typed", "slow", "flaky", "up"],
      """
      it("debounce", function()
        expect(host:send("key", { text = "a" })):equals {}
        expect(host:advance("4s")):has_length(1) -- up.lua has its time
        host:send("key", { text = "ab" })
        expect(host:advance("4s")):equals {}
        expect(host:store("s").typed):is_nil()
        local waiting = host:waiting()
        expect(waiting):equals { { trigger = "typed", event = "key", reason = "debounce", due = host:now() + 1 } }
        expect(host:advance("1s")):contains { trigger = "typed", outcome = "committed", try = 1 }
        expect(host:store("s")):contains { typed = 1, text = "ab" }
        expect(host:waiting()):equals {}
      end)
      it("throttle", function()
        expect(host:send("move", { n = 1 })):has_length(1)
        for n = 2, 5 do expect(host:send("move", { n = n })):equals {} end
        expect(host:waiting()[1].reason):equals "throttle"
        expect(host:settle()):contains { trigger = "slow" }
        expect(host:store("s").moves):equals { 1, 5 }
        expect(host:now()):equals(1767225610.0)
      end)
      it("retry", function()
        local first = host:send("call")
        expect(first):has_length(1)
        expect(first[1]):contains { outcome = "failed", try = 1 }
        expect(host:waiting()):contains { trigger = "flaky", reason = "retry" }
        local rest = host:settle("1m")
        expect(rest):contains { trigger = "flaky", outcome = "failed", try = 2 }
        expect(rest):contains { trigger = "flaky", outcome = "committed", try = 3 }
        expect(host:store("s")):contains { called = true, up = true }
      end)
      it("run does not wait", function()
        expect(run("typed", { text = "x" })):succeeds()
        expect(run("flaky")):fails_with("down")
      end)
      """)
    #expect(file.isGood && file.results.count == 4, "\(file)")
  }

  /// Each emits an event that the other holds back: a chain that goes on for as long as the clock does, or until it
  /// counts as a loop.
  @Test func chainsOfHeldEventsGoOnWithTheClock() async throws {
    let file = try await run(
      with: ["typed", "echo"],
      """
      it("x", function()
        host:send("key", { text = "a" })
        expect(host:advance("10m")):has_length(19)
        expect(host:store("s").typed):equals(10)
        expect(function() host:settle("10m") end):fails_with("host:settle: the clock has moved on by 10m, and still there waits: debounce of '")
        expect(host:settle("10h")):contains { outcome = "failed" }
        expect(host:waiting()):equals {}
      end)
      """)
    #expect(file.isGood, "\(file)")
  }

  @Test func aFailureSaysWhatWaits() async throws {
    let file = try await run(
      with: ["typed"], "it('x', function() host:send('key') expect(host:store('s').typed):equals(1) end)")
    #expect(
      file.results.first?.waiting == [
        "debounce of 'typed' (event 'key'), due in 5s: host:advance(\"5s\")"
      ], "\(file)")
  }

  @Test(arguments: ["0s", "soon", "300y", "291d2500000h", "1000000d"])
  func spansThatCannotBe(span: String) async throws {
    let error = try await error("host:advance('\(span)')")
    #expect(
      error.hasPrefix("a_test.lua:2: host:advance takes a span like")
        || error == "a_test.lua:2: host:advance: the clock of a test goes to the year 2200, no further",
      "\(error)")
  }

  @Test func chanceAndTimeAreThoseThatTheTestSays() async throws {
    let file = await run(
      """
      local function draw(seed) return run("chance", {}, { seed = seed }).stores.s.n end
      it("x", function()
        expect(draw(1)):equals(draw(1))
        expect(draw(1)).never:equals(draw(2))
        local h = host { at = "2026-03-29T01:30:00+01:00" }
        expect(h:now()):equals(1774744200.0)
        h:advance("1h")
        expect(h:now()):equals(1774747800.0)
        expect(require "lib.twice" (4)):equals(8)
      end)
      """)
    #expect(file.isGood, "\(file)")
  }
}
