import TestSupport
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// Messages: what scripts and Swift triggers send, as the log has it.
@Suite struct MessageTests {
  private func host(_ body: String) throws -> TestHost {
    try TestHost(
      scripts: ["m.lua": "return { on = { event = 'm' }, execute = function(event, ctx) \(body) end }"],
      configuration: EngineConfiguration(workers: 1))
  }

  private func failure(_ body: String) async throws -> String? {
    let host = try host(body)
    defer { host.stop() }
    return try await host.send(Event("m", ["n": 1]))[0].error
  }

  @Test func theLogHasThemInTheOrderOfTheList() async throws {
    let host = try host(
      """
      local first = ctx:broadcast("news", { type = "headline", at = { 1, 2 } })
      return { ctx:send("s-1", event), ctx:store("s"):put("k", 1), first, ctx:emit("x") }
      """)
    defer { host.stop() }
    #expect(try await host.send(Event("m", ["n": 1]))[0].outcome == .committed)
    let intents = host.log.all[0].intents
    #expect(intents.map(\.kind) == ["send", "put", "broadcast", "emit"])
    #expect(intents.map(\.action.effect) == [.send, nil, .broadcast, nil])
    #expect(intents.map { String(decoding: $0.key, as: UTF8.self) } == ["s-1", "k", "news", "x"])
    let effects = intents.filter { $0.action.effect != nil }.map { intent in
      Effect(
        id: .init(epoch: 1, seq: 1, index: 0), kind: intent.action.effect!, target: "", message: intent.value)
    }
    #expect(effects.map(\.value) == [["n": 1], ["type": "headline", "at": [1, 2]]])
    // What a record says can be read, and its copy is the same.
    let bytes = host.log.encoded[0]
    #expect(try bytes.withUnsafeBytes { try LogRecord(decoding: $0) } == host.log.all[0])
  }

  @Test(arguments: [
    ("ctx:send('s', 'hello')", "m.lua:1: ctx:send: the message must be a table, not string"),
    ("ctx:send('s')", "m.lua:1: ctx:send: the message must be a table, not nil"),
    (
      "ctx:send('s', { 1, 2 })",
      "m.lua:1: ctx:send: the message must be a table with names, like { type = \"news\" }"
    ),
    (
      "ctx:broadcast('t', { token = 7 })",
      "m.lua:1: ctx:broadcast: the message has a field 'token', which the host adds; use another name"
    ),
    ("ctx:send('s', { type = 7 })", "m.lua:1: ctx:send: the message's type must be a text"),
    (
      "ctx:send('s', { a = { token = 1, type = '$x' }, type = '$ack' })",
      "m.lua:1: ctx:send: the message's type begins with '$', as those of the host do; use another one"
    ),
    (
      "ctx:send('s', { type = '$' .. ('x'):rep(300) })",
      "m.lua:1: ctx:send: the message's type begins with '$', as those of the host do; use another one"
    ),
    ("ctx:send('', {})", "m.lua:1: ctx:send: the session must not be empty"),
    ("ctx:broadcast(7, {})", "m.lua:1: ctx:broadcast: the topic must be a string, not number"),
    (
      "ctx:send('s', { f = print })", "m.lua:1: message.f: a function cannot be stored"
    ),
    ("ctx.send('s', {})", "m.lua:1: call it with a colon: ctx:send(...)"),
  ]) func refusesWhatIsNoMessage(_ call: String, _ error: String) async throws {
    #expect(try await failure("return \(call)")?.split(separator: "\n").first.map(String.init) == error)
  }

  /// The head of a text's encoding may look like what it says.
  @Test(arguments: [0, 1, 23, 24, 35, 36, 37, 255, 256, 292, 9_252]) func typesOfAnyLength(_ length: Int)
    async throws
  {
    let host = try host("return ctx:send('s', { type = ('x'):rep(\(length)), n = ('$'):rep(\(length)) })")
    defer { host.stop() }
    #expect(try await host.send(Event("m"))[0].error == nil)
  }

  /// Whatever a script prepares and does not return, or returns in an execution that fails, does not leave.
  @Test func onlyWhatIsReturnedLeaves() async throws {
    let host = try host(
      "ctx:send('s', { n = 1 }) if event.fail then error('no') end return ctx:send('s', { n = 2 })")
    defer { host.stop() }
    try await host.send(Event("m", ["fail": true]))
    try await host.send(Event("m"))
    let records = host.log.all
    #expect(records[0].intents.isEmpty && records[0].outcome == .failed)
    #expect(records[1].intents.map(\.value) == [CanonicalEncoding.encode(["n": 2])])
  }

  /// They are what scripts call, and part of the log's format.
  @Test func kindsAreNamedAndNumbered() {
    #expect(EffectKind.allCases.map(\.description) == ["send", "broadcast"])
    #expect(EffectKind.allCases.map(\.rawValue) == [10, 11])
  }

  private struct Sender: Trigger {
    let name = "sender"
    let options = TriggerOptions(on: [EventPattern(.event, "go")])
    let message: Value.Map
    func execute() -> [CommitIntent] { [.send("s", message), .broadcast("t", ["type": "x"])] }
  }

  @Test func swiftTriggersSend() async throws {
    func send(_ message: Value.Map) async throws -> (OperationResult, [LogRecord.Intent]) {
      let host = try TestHost(
        triggers: [Sender(message: message)], configuration: EngineConfiguration(workers: 1))
      defer { host.stop() }
      return (try await host.send(Event("go"))[0], host.log.all[0].intents)
    }
    let (result, intents) = try await send(["a": 1])
    #expect(result.outcome == .committed && intents.map(\.kind) == ["send", "broadcast"])
    let (refused, none) = try await send(["token": 1])
    #expect(refused.error?.contains("send s: the message has a field 'token'") == true && none.isEmpty)
  }
}
