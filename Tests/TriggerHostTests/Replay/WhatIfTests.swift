import Testing
import TriggerCore
import TriggerTestKit

import TriggerHost

/// History with scripts that are bound otherwise, or do something else with the same events; schedules and Swift
/// triggers keep what they did.
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
