import TestSupport
import Testing
import TriggerCore
import TriggerTestKit

import TriggerHost

/// History with scripts that fail where others did not, and the other way round.
@Suite struct WhatIfFailureTests {
  @Test func failuresComeAndGo() async throws {
    func script(_ bad: Int) -> [String: String] {
      [
        "a.lua": """
        return { on = { event = "n" }, execute = function(event, ctx)
          if event.n == \(bad) then error("bad " .. event.n) end
          return { ctx:store("s"):add("sum", event.n), ctx:emit("done", event) }
        end }
        """,
        "b.lua":
          "return { on = { event = \"done\" }, execute = function(e, ctx) return { ctx:store(\"s\"):add(\"done\", 1) } end }",
      ]
    }
    let recorded = try await Recorded(script(2)) { host in
      for n in 1...3 { try await host.send(Event("n", ["n": .int(Int64(n))])) }
    }
    let outcome = try recorded.whatIf(script(3))
    #expect(outcome.differences.map(\.kind) == [.changed, .new, .changed, .gone])
    #expect(outcome.differences[0].old?.error?.hasPrefix("a.lua:2: bad 2\n") == true)
    #expect(outcome.differences[0].new?.outcome == .committed)
    #expect(outcome.differences[2].new?.error?.hasPrefix("a.lua:2: bad 3\n") == true)
    #expect(outcome.differences[2].new?.intents == [])
    #expect(outcome.summary.failed == 1 && outcome.summary.failedAnew == 1 && outcome.summary.mended == 1)
    #expect(outcome.keys["s/sum"]?.old == 4 && outcome.keys["s/sum"]?.new == 3)
  }

  /// The same error on another line is the same failure.
  @Test func aFailureMayMoveInItsFile() async throws {
    func script(_ start: String) -> [String: String] {
      [
        "lib/check.lua": "\(start)return function(n) error(\"no \" .. n) end",
        "a.lua":
          "\(start)local check = require \"lib.check\"\nreturn { on = { event = \"n\" }, execute = function(e) check(e.n) end }",
      ]
    }
    let recorded = try await Recorded(script("")) { try await $0.send(Event("n", ["n": 1])) }
    #expect(recorded.records[0].outcome == .failed)
    #expect(try recorded.whatIf(script("-- moved\n\n")).differences == [])
    var other = script("")
    other["lib/check.lua"]!.replace("no ", with: "never ")
    #expect(try recorded.whatIf(other).differences.map(\.kind) == [.changed])
  }

  @Test func anIntentThatCannotApplyFailsItsSeq() async throws {
    func script(_ amount: String) -> [String: String] {
      [
        "a.lua":
          "return { on = { event = \"n\" }, execute = function(e, ctx) return { ctx:store(\"s\"):add(\"k\", \(amount)) } end }"
      ]
    }
    let stores: [String: Value.Map] = ["s": ["k": .int(.max - 2)]]
    let recorded = try await Recorded(script("1"), stores: stores) { host in
      for _ in 1...4 { try await host.send(Event("n")) }
    }
    #expect(recorded.records.map(\.outcome) == [.committed, .committed, .failed, .failed])
    #expect(try recorded.whatIf(script("1")).differences == [])
    let outcome = try recorded.whatIf(script("2"))
    // The others fail for the same reason, with other numbers in the text.
    #expect(outcome.differences.map(\.seq) == [1, 2])
    #expect(outcome.differences[0].new?.outcome == .committed)
    #expect(outcome.differences[1].new?.error?.contains("does not fit in 64 bits") == true)
  }

  @Test func anEndlessScriptIsEnded() async throws {
    let old = ["a.lua": "return { on = { event = \"n\" }, execute = function() return {} end }"]
    let recorded = try await Recorded(old) { try await $0.send(Event("n")) }
    let new = [
      "a.lua":
        "return { on = { event = \"n\" }, timeout = \"20ms\", execute = function() while true do end end }"
    ]
    let outcome = try recorded.whatIf(new)
    #expect(outcome.differences.map(\.new?.outcome) == [.failed])
    #expect(outcome.differences[0].new?.error?.contains("timeout: the attempt used up its time") == true)
  }

  /// A recorded retry happens when its failure does.
  @Test func retriesFollowTheirFailures() async throws {
    func script(_ bad: String) -> [String: String] {
      [
        "a.lua": """
        return { on = { event = "n" }, retry = { attempts = 3, backoff = "1s" }, execute = function(event, ctx)
          if \(bad) then error("not yet") end
          return { ctx:store("s"):add("done", event.n) }
        end }
        """
      ]
    }
    let never = script("true")
    let recorded = try await Recorded(never) { host in
      _ = try await host.queue.perform(Event("n", ["n": 1]))
      for failures in 2...3 {
        host.clock.advance(by: .seconds(5))
        try await wait(for: "the next try") { await host.coordinator.waitUntil { $0.failed >= failures } }
      }
    }
    #expect(recorded.records.map(\.retryOf) == [nil, 1, 2] && recorded.records.map(\.tries) == [0, 1, 2])
    #expect(try recorded.whatIf(never).differences == [])
    let good = try recorded.whatIf(script("false"))
    #expect(good.differences.map(\.kind) == [.changed, .gone, .gone])
    #expect(good.differences[1].reason == "seq 1 is not tried again")
    #expect(good.keys["s/done"]?.new == 1)
  }
}
