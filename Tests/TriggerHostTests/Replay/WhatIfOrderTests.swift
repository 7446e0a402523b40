import Testing
import TriggerCore
import TriggerTestKit

import TriggerHost

/// What keeps its place in history when other scripts run in it.
@Suite struct WhatIfOrderTests {
  private static let ordered = [
    "cause.lua":
      "return { on = { event = \"go\" }, execute = function(_, ctx) return { ctx:emit(\"slow\", {}) } end }",
    "slow.lua": """
    return { on = { event = "slow" }, execute = function(_, ctx)
      return { ctx:store("s"):put("seen", ctx:store("s"):get("n") or 0), ctx:store("s"):put("id", ctx.seq) }
    end }
    """,
    "other.lua": """
    return { on = { event = "set" }, execute = function(event, ctx)
      return { ctx:store("s"):put("n", event.n) }
    end }
    """,
  ]

  /// seq 1 cause, 2 slow (deferred), 3 other, 4 slow: what counts is the last place, the identity is the first.
  private func deferred() -> Recorded {
    let cause = LogRecord.Cause(seq: 1, index: 0)
    return Recorded(
      Self.ordered,
      records: [
        LogRecord(
          seq: 1, "cause", "go", intents: [.emit("slow", [:])], emissions: [.event("slow", [:], to: "slow")]),
        LogRecord(seq: 2, "slow", "slow", outcome: .deferred, cause: cause, hops: 1),
        LogRecord(seq: 3, "other", "set", ["n": 5], intents: [.put("s", "n", 5)]),
        LogRecord(
          seq: 4, "slow", "slow", identity: 2, cause: cause, hops: 1,
          intents: [.put("s", "seen", 5), .put("s", "id", 2)]),
      ])
  }

  @Test func aDeferredOperationKeepsItsLastPlaceAndFirstIdentity() throws {
    let same = try deferred().whatIf(Self.ordered)
    #expect(same.differences == [] && same.summary.same == 3)
    var scripts = Self.ordered
    scripts["other.lua"]!.replace("event.n)", with: "event.n + 1)")
    let outcome = try deferred().whatIf(scripts)
    #expect(outcome.differences.map(\.seq) == [3, 4])
    #expect(outcome.differences[1].new?.intents == [.put("s", "seen", 6), .put("s", "id", 2)])
  }

  @Test func theRangeBeginsOnTheStateBeforeIt() throws {
    var scripts = Self.ordered
    scripts["other.lua"]!.replace("event.n)", with: "event.n + 1)")
    scripts["slow.lua"]!.replace("or 0)", with: "+ 100)")
    // What seq 1 emitted came before the range: it is given.
    let outcome = try deferred().whatIf(scripts, from: 4)
    #expect(outcome.summary.first == 4 && outcome.differences.map(\.seq) == [4])
    #expect(outcome.differences[0].new?.intents == [.put("s", "seen", 105), .put("s", "id", 2)])
    #expect(outcome.keys.keys.sorted() == ["s/seen"])
  }

  @Test func whatIsUndecidedAtTheEndIsCounted() throws {
    var recorded = deferred()
    recorded.records.removeLast()
    let outcome = try recorded.whatIf(Self.ordered)
    #expect(outcome.differences == [] && outcome.summary.undecided == 1)
  }

  @Test func whatWasSkippedStaysSkipped() throws {
    var recorded = deferred()
    recorded.records[3].outcome = .skipped
    recorded.records[3].intents = []
    let outcome = try recorded.whatIf(Self.ordered)
    #expect(outcome.differences == [] && outcome.summary.skipped == 1 && outcome.keys.isEmpty)
  }

  /// In the queue one operation took the payload of two newer ones: so it does with the new payloads.
  @Test func aCoalescedOperationTakesTheNewestPayload() throws {
    func scripts(_ step: Int) -> [String: String] {
      [
        "feed.lua":
          "return { on = { event = \"n\" }, execute = function(e, ctx) return { ctx:emit(\"sum\", { n = e.n * \(step) }) } end }",
        "sum.lua": """
        return { on = { event = "sum" }, coalesce = true, execute = function(event, ctx)
          return { ctx:store("s"):put("last", event.n) }
        end }
        """,
      ]
    }
    var records = (1...3).map { n in
      LogRecord(
        seq: Int64(n), "feed", "n", ["n": .int(Int64(n))], intents: [.emit("sum", ["n": .int(Int64(n))])],
        emissions: [.event("sum", ["n": .int(Int64(n))], to: "sum")])
    }
    records.append(
      LogRecord(
        seq: 4, "sum", "sum", ["n": 3], cause: LogRecord.Cause(seq: 1, index: 0), hops: 1,
        intents: [.put("s", "last", 3)]))
    let recorded = Recorded(scripts(1), records: records)
    let same = try recorded.whatIf(scripts(1))
    #expect(same.differences == [] && same.summary.undecided == 0)
    let outcome = try recorded.whatIf(scripts(10))
    #expect(outcome.differences.map(\.seq) == [1, 2, 3, 4])
    #expect(outcome.keys["s/last"]?.new == 30)
  }

  /// New scripts come into force as operations of their own: with others in their place they have no part.
  @Test func newScriptsInHistory() async throws {
    func script(_ n: Int) -> [String: String] {
      [
        "a.lua":
          "return { on = { event = { \"**\" } }, execute = function(_, ctx) return { ctx:store(\"s\"):put(\"k\", \(n)) } end }"
      ]
    }
    let host = try TestHost(scripts: script(1))
    try await host.send(Event("go"))
    _ = try await host.queue.replaceScripts(with: Recorded.tree(of: script(2)))
    try await host.send(Event("go"))
    host.stop()
    let recorded = Recorded(script(1), records: host.log.all)
    let outcome = try recorded.whatIf(script(2))
    #expect(recorded.records.map(\.trigger) == ["a", "scripts", "a"])
    #expect(outcome.differences.map(\.seq) == [1] && outcome.summary.kept == 1 && outcome.keys.isEmpty)
  }
}
