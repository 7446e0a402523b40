import Testing
import TriggerCore
import TriggerTestKit

@testable import TriggerHost

/// History with other scripts.
@Suite struct WhatIfTests {
  /// Temperatures come; too hot ones raise an alarm, each alarm is counted, each change is audited.
  private static let watch = [
    "watch.lua": """
    return { on = { data = "temperature" }, execute = function(event, ctx)
      local rooms = ctx:store("rooms")
      local intents = { rooms:put(event.room, event.degrees) }
      if event.degrees > 30 then intents[2] = ctx:emit("alarm", { room = event.room }) end
      return intents
    end }
    """,
    "alarm.lua": """
    return { on = { event = "alarm" }, execute = function(event, ctx)
      return { ctx:store("alarms"):add(event.room, 1) }
    end }
    """,
    "audit.lua": """
    return { on = { commit = "alarms/*" }, execute = function(event, ctx)
      return { ctx:store("audit"):put(tostring(event.seq), { keys = event.keys, at = ctx.seq, dice = math.random(1000) }) }
    end }
    """,
  ]

  private func temperatures(_ scripts: [String: String] = watch) async throws -> Recorded {
    try await Recorded(scripts) { host in
      for (room, degrees) in [("a", 20), ("b", 35), ("a", 28), ("c", 31), ("a", 40)] {
        try await host.send(
          Event("temperature", ["room": .string(room), "degrees": .int(Int64(degrees))], kind: .data))
      }
    }
  }

  @Test func theSameScriptsDifferNowhere() async throws {
    let recorded = try await temperatures()
    let outcome = try recorded.whatIf(Self.watch)
    #expect(outcome.differences == [] && outcome.keys.isEmpty && !outcome.summary.differs)
    #expect(outcome.summary.same == recorded.records.count && outcome.summary.outside == 5)
    #expect(outcome.summary.first == 1 && outcome.summary.last == Int64(recorded.records.count))
  }

  @Test func aChangedThreshold() async throws {
    let recorded = try await temperatures()
    var scripts = Self.watch
    scripts["watch.lua"]!.replace("> 30", with: "> 33")
    let outcome = try recorded.whatIf(scripts)
    // Room c at 31: no alarm, so no count and no audit.
    let changed = outcome.differences(.changed)
    #expect(changed.count == 1 && changed[0].trigger == "watch")
    #expect(changed[0].old?.intents.map(\.kind) == ["put", "emit"])
    #expect(changed[0].new?.intents.map(\.kind) == ["put"])
    let gone = outcome.differences(.gone)
    #expect(gone.map(\.trigger) == ["alarm", "audit"])
    #expect(gone[0].reason == "seq \(changed[0].seq) does not emit it to 'alarm'")
    #expect(gone[0].old?.intents.map(\.kind) == ["add"])
    #expect(outcome.differences(.new) == [])
    #expect(outcome.summary.firstDifference == changed[0].seq)
    #expect(outcome.keys.keys.sorted() == ["alarms/c", "audit/\(gone[0].seq)"])
    #expect(outcome.keys["alarms/c"]?.old == 1 && outcome.keys["alarms/c"]?.new == nil)
  }

  @Test func aLowerThresholdMakesNewOperations() async throws {
    let recorded = try await temperatures()
    var scripts = Self.watch
    scripts["watch.lua"]!.replace("> 30", with: "> 27")
    let outcome = try recorded.whatIf(scripts)
    let changed = outcome.differences(.changed)
    #expect(changed.map(\.trigger) == ["watch"])
    // The alarm comes right after its cause, and the audit right after that.
    let new = outcome.differences(.new)
    #expect(new.map(\.trigger) == ["alarm", "audit"] && new.allSatisfy { $0.seq == changed[0].seq })
    #expect(new[0].new?.outcome == .committed && new[0].old == nil)
    #expect(outcome.keys["alarms/a"]?.old == 1 && outcome.keys["alarms/a"]?.new == 2)
    // Identities of new operations are none of the recorded ones.
    guard case .map(let audit)? = outcome.keys["audit/\(changed[0].seq)"]?.new else {
      return #expect(Bool(false))
    }
    #expect(audit["at"] == .int(1 << 48 + 1))
  }

  @Test func aRemovedTrigger() async throws {
    let recorded = try await temperatures()
    var scripts = Self.watch
    scripts["alarm.lua"] = nil
    let outcome = try recorded.whatIf(scripts)
    #expect(outcome.differences(.changed) == [] && outcome.differences(.new) == [])
    let gone = outcome.differences(.gone)
    #expect(gone.map(\.trigger) == ["alarm", "audit", "alarm", "audit", "alarm", "audit"])
    #expect(gone[0].reason == "the new scripts have no trigger 'alarm'")
    #expect(gone[1].reason == "seq \(gone[0].seq) does not emit it to 'audit'")
    #expect(outcome.summary.missingTargets == [:])
    #expect(outcome.keys.count == 3 + 3)
  }

  @Test func aTriggerThatIsBoundToLess() async throws {
    let recorded = try await temperatures()
    var scripts = Self.watch
    scripts["watch.lua"]!.replace("data = \"temperature\"", with: "data = \"humidity\"")
    let outcome = try recorded.whatIf(scripts)
    #expect(outcome.differences.count == recorded.records.count)
    #expect(outcome.differences[0].reason == "'watch' is not bound to data temperature")
  }

  @Test func aNewTrigger() async throws {
    let recorded = try await temperatures()
    var scripts = Self.watch
    scripts["maximum.lua"] = """
      return { on = { data = "*", event = "alarm", commit = "rooms/*" }, execute = function(event, ctx)
        if event.keys then return { ctx:store("seen"):add("commits", 1) } end
        if not event.degrees then return { ctx:store("seen"):add("alarms", 1) } end
        return { ctx:store("seen"):add("events", 1), ctx:store("seen"):max("degrees", event.degrees) }
      end }
      """
    let outcome = try recorded.whatIf(scripts)
    #expect(outcome.differences.allSatisfy { $0.kind == .new && $0.trigger == "maximum" })
    #expect(outcome.summary.new == 5 + 3 + 5)
    let seen = outcome.keys.mapValues(\.new)
    #expect(seen == ["seen/events": 5, "seen/alarms": 3, "seen/commits": 5, "seen/degrees": 40])
  }

  /// Two recorded operations of one event: what is newly bound to it runs once, after the more urgent one.
  @Test func aNewTriggerRunsOncePerEvent() async throws {
    func script(_ priority: String) -> String {
      "return { on = { event = \"x\" }, priority = \"\(priority)\", execute = function() return {} end }"
    }
    let old = ["a.lua": script("low"), "b.lua": script("high"), "c.lua": script("low")]
    let recorded = try await Recorded(old) { host in for _ in 0..<10 { try await host.send(Event("x")) } }
    var scripts = old
    scripts["new.lua"] =
      "return { on = { event = \"x\" }, execute = function(_, ctx) return { ctx:store(\"s\"):add(\"n\", 1) } end }"
    let outcome = try recorded.whatIf(scripts)
    #expect(outcome.summary.new == 10 && outcome.keys["s/n"]?.new == 10)
    let leaders = Set(recorded.records.filter { $0.trigger == "b" }.map(\.seq))
    #expect(Set(outcome.differences.map(\.seq)) == leaders)
  }

  // MARK: Emissions

  private static func emitter(_ emits: String) -> [String: String] {
    [
      "emitter.lua": """
      return { on = { event = "go" }, execute = function(event, ctx)
        return { \(emits) }
      end }
      """,
      "taker.lua": """
      return { on = { event = "part/*" }, execute = function(event, ctx)
        local list = ctx:store("list")
        local seen = list:get("all") or array{}
        return { list:put("all", array{ seen, event.n }) }
      end }
      """,
    ]
  }

  /// The nth emission of a name keeps the place of the nth, whatever is emitted before it.
  @Test func emissionsKeepTheirPlacesByName() async throws {
    let old = Self.emitter(
      #"ctx:emit("part/a", { n = 1 }), ctx:emit("part/b", { n = 2 }), ctx:emit("part/a", { n = 3 })"#)
    let recorded = try await Recorded(old) { try await $0.send(Event("go")) }
    #expect(recorded.records.map(\.event) == ["go", "part/a", "part/b", "part/a"])
    let new = Self.emitter(
      #"ctx:emit("part/x", { n = 0 }), ctx:emit("part/a", { n = 10 }), ctx:emit("part/b", { n = 2 }), ctx:emit("part/a", { n = 3 })"#
    )
    let outcome = try recorded.whatIf(new)
    #expect(outcome.differences.map(\.kind) == [.changed, .new, .changed, .changed, .changed])
    #expect(outcome.differences.map(\.seq) == [1, 1, 2, 3, 4])
    #expect(outcome.differences[1].event == "part/x")
    let second = outcome.differences[2]
    #expect(second.payload == CanonicalEncoding.encode(["n": 10]))
    #expect(second.recordedPayload == CanonicalEncoding.encode(["n": 1]))
    // The event is the same, the state is not.
    #expect(outcome.differences[3].recordedPayload == nil)
    #expect("\(outcome.keys["list/all"]!.new!)" == "[[[[[],0],10],2],3]")
  }

  @Test func fewerEmissionsLeaveTheRestInPlace() async throws {
    let old = Self.emitter(#"ctx:emit("part/a", { n = 1 }), ctx:emit("part/b", { n = 2 })"#)
    let recorded = try await Recorded(old) { try await $0.send(Event("go")) }
    let outcome = try recorded.whatIf(Self.emitter(#"ctx:emit("part/b", { n = 2 })"#))
    #expect(outcome.differences.map(\.kind) == [.changed, .gone, .changed])
    #expect(outcome.differences.map(\.seq) == [1, 2, 3])
    #expect("\(outcome.keys["list/all"]!.new!)" == "[[],2]")
  }

  @Test func aLoopFailsAfterItsHops() async throws {
    let old = ["a.lua": "return { on = { event = \"go\" }, execute = function() return {} end }"]
    let recorded = try await Recorded(old) { try await $0.send(Event("go")) }
    let new = [
      "a.lua":
        "return { on = { event = \"go\" }, execute = function(_, ctx) return { ctx:emit(\"go\") } end }"
    ]
    let outcome = try recorded.whatIf(new)
    #expect(outcome.summary.changed == 1 && outcome.summary.new == 64 && outcome.summary.failed == 1)
    #expect(outcome.differences.last?.new?.error == "loop: a emits after 64 hops from one cause")
  }

  @Test func whatEmitsWithoutEndIsStopped() async throws {
    let old = ["a.lua": "return { on = { event = \"go\" }, execute = function() return {} end }"]
    let recorded = try await Recorded(old) { try await $0.send(Event("go")) }
    let new = [
      "a.lua":
        "return { on = { event = \"go\" }, execute = function(_, ctx) return { ctx:emit(\"go\"), ctx:emit(\"go\") } end }"
    ]
    let error = #expect(throws: WhatIfError.self) { try recorded.whatIf(new) }
    #expect(
      error?.description
        == "the new scripts emit without end: seq 1 has caused more than 1000 new operations, the last of trigger 'a'"
    )
  }

  @Test func whatComesOfOneCauseIsBounded() async throws {
    let old = ["a.lua": "return { on = { event = \"go\" }, execute = function() return {} end }"]
    let recorded = try await Recorded(old) { try await $0.send(Event("go")) }
    let new = [
      "a.lua":
        "return { on = { event = \"go\" }, execute = function(_, ctx) return { ctx:emit(\"go\"), ctx:emit(\"go\") } end }"
    ]
    var configuration = EngineConfiguration(workers: 1)
    configuration.maximumOffspring = 10
    let outcome = try recorded.whatIf(new, configuration: configuration)
    // As a host would have it.
    let host = try TestHost(scripts: new, configuration: configuration)
    try await host.send(Event("go"))
    host.stop()
    let errors = host.log.all.compactMap(\.error)
    #expect(errors.first?.hasSuffix("(limits.offspring)") == true)
    #expect(
      outcome.differences.compactMap(\.new?.error) == errors && outcome.summary.new == host.log.all.count - 1)
    var real = Recorded(new, records: host.log.all)
    #expect(try real.whatIf(new, configuration: configuration).differences == [])
    #expect(try real.verify(workers: 2).difference == nil)
    real.records[real.records.count - 1].error = "loop: nothing of the kind"
    #expect(try real.verify(workers: 2).difference?.seq == Int64(real.records.count))
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

  // MARK: Failures

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
    #expect(outcome.summary.failed == 1)
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
    let stores: [String: [String: Value]] = ["s": ["k": .int(.max - 2)]]
    let recorded = try await Recorded(script("1"), stores: stores) { host in
      for _ in 1...4 { try await host.send(Event("n")) }
    }
    #expect(recorded.records.map(\.outcome) == [.committed, .committed, .failed, .failed])
    #expect(try recorded.whatIf(script("1")).differences == [])
    let outcome = try recorded.whatIf(script("2"))
    #expect(outcome.differences.map(\.seq) == [1, 2, 3, 4])
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
        while host.coordinator.stats.failed < failures { await Task.yield() }
      }
    }
    #expect(recorded.records.map(\.retryOf) == [nil, 1, 2] && recorded.records.map(\.tries) == [0, 1, 2])
    #expect(try recorded.whatIf(never).differences == [])
    let good = try recorded.whatIf(script("false"))
    #expect(good.differences.map(\.kind) == [.changed, .gone, .gone])
    #expect(good.differences[1].reason == "seq 1 is not tried again")
    #expect(good.keys["s/done"]?.new == 1)
  }

  // MARK: Order and places

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

  // MARK: Schedules, Swift

  @Test func schedulesKeepTheirFiresAndMissingTargetsAreTold() async throws {
    let old = [
      "tick.lua":
        "return { on = { every = \"1s\" }, execute = function(e, ctx) return { ctx:store(\"s\"):put(\"t\", os.time()) } end }"
    ]
    let recorded = try await Recorded(old) { await $0.advance(by: .seconds(3)) }
    #expect(recorded.records.count == 3)
    #expect(try recorded.whatIf(old).differences == [])
    // Its own schedule is another now, but history has the fires of the old one.
    let new = ["tick.lua": old["tick.lua"]!.replacing("1s", with: "1h").replacing("os.time()", with: "1")]
    #expect(try recorded.whatIf(new).summary.changed == 3)
    let none = try recorded.whatIf(["other.lua": old["tick.lua"]!])
    #expect(none.summary.gone == 3 && none.summary.missingTargets == ["tick": 3])
  }

  private struct Double: Trigger {
    var name: String { "double" }
    var options: TriggerOptions {
      var options = TriggerOptions()
      options.on = [EventPattern(.event, "n")]
      return options
    }
    func execute() async throws -> [CommitIntent] {
      [.emit("doubled", ["n": .int((ExecutionContext.current!.event["n"]?.intValue ?? 0) * 2)])]
    }
  }

  @Test func swiftTriggersKeepWhatTheyDid() async throws {
    let script =
      "return { on = { event = \"doubled\" }, execute = function(e, ctx) return { ctx:store(\"s\"):add(\"n\", e.n) } end }"
    let host = try TestHost(scripts: ["take.lua": script], triggers: [Double()])
    for n in 1...3 { try await host.send(Event("n", ["n": .int(Int64(n))])) }
    host.stop()
    let recorded = Recorded(["take.lua": script], records: host.log.all)
    let same = try recorded.whatIf(["take.lua": script])
    #expect(same.differences == [] && same.summary.kept == 3 && same.summary.same == 3)
    let outcome = try recorded.whatIf(["take.lua": script.replacing("e.n)", with: "e.n * 10)")])
    #expect(outcome.summary.changed == 3 && outcome.keys["s/n"]?.new == 120)
  }
}
