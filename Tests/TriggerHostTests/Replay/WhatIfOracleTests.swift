import TestSupport
import Testing
import TriggerCore
import TriggerTestKit

import TriggerHost

/// A what-if against a host that really runs the other scripts: events come one after another, so that both
/// have the same order, and what emitted events do commutes.
@Suite(.serialized) struct WhatIfOracleTests {
  /// Decides by what it reads; emits up to three events, each to two triggers, one of which may fail.
  private static func scripts(_ random: inout SplitMix64) -> [String: String] {
    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    let (threshold, factor, bad, modulus) = (number(2...9), number(1...3), number(2...9), number(2...5))
    var scripts = [
      "main.lua": """
      return { on = { event = "n" }, execute = function(event, ctx)
        local state = ctx:store("state")
        local old = state:get(event.key) or 0
        local new = (old * \(factor) + event.n) % 100
        local intents = { state:put(event.key, new) }
        for i = 1, new % \(modulus) do intents[#intents + 1] = ctx:emit("part/" .. i % 2, { n = new + i }) end
        return intents
      end }
      """,
      "even.lua": """
      return { on = { event = "part/0" }, execute = function(event, ctx)
        if event.n % \(bad) == 0 then error("even " .. event.n) end
        return { ctx:store("sums"):add("even", event.n), ctx:emit("deep", event) }
      end }
      """,
      "all.lua": """
      return { on = { event = { "part/*", "deep" } }, priority = "high", execute = function(event, ctx)
        return { ctx:store("sums"):add("all", event.n), ctx:store("sums"):max("max", event.n) }
      end }
      """,
      "watch.lua": """
      return { on = { commit = "state/*" }, execute = function(event, ctx)
        return { ctx:store("sums"):add("watched " .. event.keys[1], 1) }
      end }
      """,
    ]
    if number(0...3) == 0 { scripts["even.lua"] = nil }
    if number(0...3) == 0 { scripts["watch.lua"] = nil }
    if number(0...1) == 0 {
      scripts["extra.lua"] =
        "return { on = { event = { \"n\", \"deep\" } }, execute = function(e, ctx) if e.n > \(threshold) then return { ctx:store(\"sums\"):add(\"extra\", e.n) } end return {} end }"
    }
    return scripts
  }

  @Test(arguments: 0..<20)
  func equalsARealRun(round: Int) async throws {
    let seed = testSeed() &+ UInt64(round)
    var random = SplitMix64(seed: seed)
    let (old, new) = (Self.scripts(&random), Self.scripts(&random))
    let events = (0..<60).map { _ in
      Event(
        "n",
        [
          "key": .string("k\(Int.random(in: 0...3, using: &random))"),
          "n": .int(Int64.random(in: 0...9, using: &random)),
        ])
    }
    func run(_ scripts: [String: String]) async throws -> Recorded {
      try await Recorded(scripts, workers: round % 3 + 1) { host in
        for event in events { try await host.send(event) }
      }
    }
    let (recorded, real) = (try await run(old), try await run(new))
    #expect(try recorded.whatIf(old).differences == [], "seed \(seed)")
    let outcome = try recorded.whatIf(new)
    var contents = recorded.contents
    for difference in outcome.keys.values {
      contents[difference.store, default: [:]][difference.key] = difference.new
    }
    for (store, content) in real.contents {
      #expect(contents[store] ?? [:] == content, "\(store), seed \(seed)")
    }
    // What is the same, changed or new is what happens in the real run.
    let summary = outcome.summary
    #expect(summary.same + summary.changed + summary.new == real.records.count, "seed \(seed)")
    #expect(summary.same + summary.changed + summary.gone == recorded.records.count, "seed \(seed)")
    #expect(summary.failed == real.records.count { $0.outcome == .failed }, "seed \(seed)")
    // A host that defers may decide an operation under a later seq.
    #expect(!real.records.contains { $0.outcome == .deferred } && summary.undecided == 0, "seed \(seed)")
  }
}
