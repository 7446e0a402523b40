import Testing
import TriggerCore
import TriggerTestKit

import TriggerHost
import TriggerReplay

/// History with scripts that emit other events.
@Suite struct WhatIfEmissionTests {
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
    real.records[real.records.count - 1].code = .error
    #expect(try real.verify(workers: 2).difference?.seq == Int64(real.records.count))
  }
}
