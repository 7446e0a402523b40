import TestSupport
import Testing
import TriggerCore
import TriggerTestKit

@testable import TriggerHost
@testable import TriggerReplay

/// History executed again in parallel.
@Suite(.serialized) struct VerificationTests {
  /// Reads of every kind, intents of every kind, failures when executed and when applied.
  private static let scripts = [
    "lib/mix.lua": "return function(a, b) return (a * 31 + b) % 1000003 end",
    "work.lua": """
    local mix = require "lib.mix"
    return { on = { event = "work" }, timeout = "20s", execute = function(event, ctx)
      local a, b = ctx:store("a"), ctx:store("b")
      local digest = event.n
      if event.kind == 0 then
        for key, value in a:scan("k1") do digest = mix(digest, #key + value) end
      elseif event.kind == 1 then
        local seq, data = b:read_snapshot()
        digest = mix(digest, seq)
        for key, value in pairs(data) do digest = mix(digest, #key) end
        data["k" .. event.n % 7] = digest
        return { b:prepare_commit(seq, data) }
      elseif event.kind == 2 then
        return { a:put("k" .. event.n % 20, nil), b:append("list " .. event.n % 3, event.n) }
      elseif event.kind == 3 then
        if event.n % 5 == 0 then error("five " .. event.n) end
        if event.n % 5 == 1 then return { a:put("k1", 1), b:add("list 1", 1) } end
        return { a:add("sum", event.n), a:max("max", event.n), ctx:emit("echo", { n = digest }) }
      else
        digest = mix(digest, a:get("k" .. event.n % 20) or 7)
        digest = mix(digest, a:count("k1"))
      end
      return { a:put("k" .. event.n % 20, digest), b:put("k" .. event.n % 7, math.random(1000)) }
    end }
    """,
    "echo.lua": """
    return { on = { event = "echo", commit = "a/max" }, priority = "low", execute = function(event, ctx)
      local seen = ctx:store("a"):get("max")
      return { ctx:store("echoes"):put("k" .. (event.n or 0) % 50, { seen = seen, time = ctx.time, at = ctx.seq }) }
    end }
    """,
  ]

  private func recorded(_ random: inout SplitMix64, events: Int) async throws -> Recorded {
    var numbers = random
    let recorded = try await Recorded(Self.scripts, workers: Int.random(in: 1...4, using: &random)) { host in
      for _ in 0..<events {
        let event: Value = [
          "n": .int(Int64.random(in: 0...10_000, using: &numbers)),
          "kind": .int(Int64.random(in: 0...6, using: &numbers)),
        ]
        try await host.queue.enqueue(
          Event("work", event, source: UInt64.random(in: 0..<9, using: &numbers)))
      }
    }
    random = numbers
    return recorded
  }

  @Test(arguments: 0..<4)
  func historyIsTheSameAgain(round: Int) async throws {
    let seed = testSeed() &+ UInt64(round)
    var random = SplitMix64(seed: seed)
    let recorded = try await recorded(&random, events: 700)
    let deferred = recorded.records.count { $0.outcome == .deferred }
    for workers in [1, 2, 8] {
      let verdict = try recorded.verify(workers: workers)
      #expect(verdict.difference == nil, "seed \(seed)")
      #expect(verdict.executed == recorded.records.count - deferred, "seed \(seed)")
      #expect(verdict.applied == deferred, "seed \(seed)")
    }
    let replayer = Replayer(scripts: recorded.tree)
    for record in recorded.records { #expect(try replayer.verify(record) == nil, "seed \(seed)") }
    for (store, content) in recorded.contents { #expect(try replayer.content(of: store) == content) }
  }

  /// Records are changed here and there: the lowest is found, whatever the number of workers.
  @Test(arguments: 0..<4)
  func aPlantedDifferenceIsFound(round: Int) async throws {
    let seed = testSeed() &+ UInt64(round)
    var random = SplitMix64(seed: seed)
    var recorded = try await recorded(&random, events: 500)
    let committed = recorded.records.indices.filter { index in
      recorded.records[index].intents.contains { $0.kind == "put" }
    }
    let planted = (0..<3).map { _ in committed.randomElement(using: &random)! }
    for index in planted {
      let intent = recorded.records[index].intents.firstIndex { $0.kind == "put" }!
      recorded.records[index].intents[intent].value = CanonicalEncoding.encode(-77)
    }
    let first = recorded.records[planted.min()!]
    let verdicts = try [1, 2, 8].map { try recorded.verify(workers: $0) }
    #expect(Set(verdicts).count == 1, "seed \(seed)")
    let difference = try #require(verdicts[0].difference, "seed \(seed)")
    #expect(difference.seq == first.seq && difference.trigger == first.trigger, "seed \(seed)")
    #expect(difference.reason.contains(" = -77, now it is put "), "\(difference)")
    #expect(verdicts[0].executed + verdicts[0].applied == Int(first.seq), "seed \(seed)")
  }

  @Test func eachKindOfDifferenceIsExplained() async throws {
    var random = SplitMix64(seed: 1)
    let recorded = try await recorded(&random, events: 300)
    func explain(
      _ isMeant: @escaping (LogRecord) -> Bool, _ change: (inout LogRecord) -> Void
    ) throws -> String {
      var other = recorded
      let index = try #require(other.records.firstIndex(where: isMeant))
      change(&other.records[index])
      let difference = try #require(try other.verify(workers: 2).difference)
      #expect(difference.seq == other.records[index].seq)
      return difference.reason
    }
    let isCommit = { (record: LogRecord) in record.outcome == .committed && record.intents.count == 2 }
    #expect(
      try explain({ $0.error?.contains("five") == true }) { ($0.code, $0.error) = (.memory, "other") }
        .hasPrefix("failed then with memory: other; now with error: work.lua:16: five"))
    #expect(
      try explain({ $0.error?.contains("five") == true }) { ($0.outcome, $0.error) = (.committed, nil) }
        .hasPrefix("committed then, fails now: work.lua:16: five"))
    #expect(
      try explain({ $0.error?.hasPrefix("add at") == true }) { ($0.code, $0.error) = (.error, "something") }
        == "failed then with error: something; now with intent: add at b/list 1: the value there is an array, expected a number"
    )
    #expect(
      try explain(isCommit) { ($0.outcome, $0.intents, $0.code, $0.error) = (.failed, [], .emits, "why not") }
        == "failed then with emits: why not; commits now")
    #expect(try explain(isCommit) { $0.intents.removeLast() }.hasPrefix("intent 2 was nothing, now it is"))
    #expect(try explain(isCommit) { $0.trigger = "gone" } == "its script is not in tree 1")
    #expect(try explain(isCommit) { $0.tree = 2 } == "its script is not in tree 2")
    // Ended from outside: how far it came is not repeatable.
    var killed = recorded
    let index = try #require(killed.records.firstIndex(where: isCommit))
    killed.records[index].isKilled = true
    #expect(try killed.verify(workers: 2).difference == nil)
  }

  /// Messages are for people: whoever words them anew breaks no history, and neither does one that knew no codes.
  @Test func otherWordsAreNoDifference() async throws {
    var random = SplitMix64(seed: 2)
    var recorded = try await recorded(&random, events: 300)
    let failed = recorded.records.indices.filter { recorded.records[$0].outcome == .failed }
    #expect(Set(failed.map { recorded.records[$0].code }) == [.error, .intent])
    for index in failed { recorded.records[index].error = "said in other words" }
    #expect(try recorded.verify(workers: 2).difference == nil)
    for index in failed { recorded.records[index].code = nil }
    #expect(try recorded.verify(workers: 2).difference == nil)
  }

  /// Trees beyond what a worker holds, coming and going.
  @Test func manyTrees() async throws {
    let trees = 100
    let records = (1...300).map { seq in
      var record = LogRecord(
        seq: Int64(seq), "a", "x", intents: [.put("s", "k", .int(Int64(seq % trees)))])
      record.tree = seq % trees + 1
      return record
    }
    for workers in [1, 3] {
      let verification = Verification(workers: workers) { number in
        let body = "return { ctx:store(\"s\"):put(\"k\", \(number - 1)) }"
        return Recorded.tree(of: [
          "a.lua": "return { on = { event = \"x\" }, execute = function(_, ctx) \(body) end }"
        ])
      }
      for record in records { #expect(try verification.check(record)) }
      #expect(verification.finish() == Verification.Verdict(executed: 300, applied: 0, difference: nil))
    }
  }

  /// The verifier may go away at any time.
  @Test func abandoned() async throws {
    var random = SplitMix64(seed: 2)
    let recorded = try await recorded(&random, events: 100)
    let verification = Verification(workers: 2, scripts: recorded.tree)
    for record in recorded.records.prefix(90) { _ = try verification.check(record) }
    #expect(throws: LogDamage.self) { try verification.check(recorded.records[95]) }
  }
}
