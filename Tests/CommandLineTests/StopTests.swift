import Foundation
import Testing

/// SIGTERM and Ctrl-C: what runs is finished or cut off, what waits is left, and the end comes within bounds.
@Suite struct StopTests {
  private static let count = "return { ctx:store(\"s\"):add(\"done\", 1) }"

  /// Scripts that keep a host from being idle, each with events that set it going.
  enum Reason: String, CaseIterable, Sendable {
    case debounce, throttle, retry, queue, emits, script, every

    var script: String {
      switch self {
      case .debounce:
        "return { on = { event = \"e\" }, debounce = \"1h\", execute = function(event, ctx) \(StopTests.count) end }"
      case .throttle:
        "return { on = { event = \"e\" }, throttle = \"1h\", execute = function(event, ctx) \(StopTests.count) end }"
      case .retry:
        "return { on = { event = \"e\" }, retry = { attempts = 5, backoff = \"1h\", longest = \"2h\", order = \"free\" }, execute = function() error(\"not yet\") end }"
      case .queue:
        "return { on = { event = \"e\" }, timeout = \"10s\", execute = function(event, ctx) for i = 1, 2e7 do end \(StopTests.count) end }"
      case .emits:
        "return { on = { event = \"e\" }, execute = function(event, ctx) return { ctx:emit(\"e\"), ctx:store(\"s\"):add(\"done\", 1) } end }"
      case .script:
        "return { on = { event = \"e\" }, timeout = \"10m\", execute = function(event, ctx) while true do end end }"
      case .every:
        "return { on = { every = \"1ms\", event = \"e\" }, timeout = \"1s\", execute = function(event, ctx) for i = 1, 3e5 do end \(StopTests.count) end }"
      }
    }

    /// What the summary in memory says is lost.
    var lost: String? {
      switch self {
      case .debounce, .throttle: " held back by debounce, throttle or mode"
      case .retry: " waiting for another try"
      case .queue: " queued"
      case .script: " cut off (t)"
      case .emits, .every: nil
      }
    }
  }

  private func project(_ reason: Reason, events: Int) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory([
      "triggers/t.lua": reason.script + "\n",
      "host.yaml": "workers: 1\nstop_timeout: 200ms\nlimits: { hops: 250, offspring: 1000000 }\n",
    ])
    let lines = (1...events).map { "{\"event\":\"e\",\"payload\":{\"n\":\($0)},\"wait\":\"accepted\"}\n" }
    try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: directory("in.jsonl")))
    return directory
  }

  @Test(arguments: Reason.allCases, [SIGTERM, SIGINT])
  func aSignalEndsItWhateverWaits(_ reason: Reason, _ number: Int32) async throws {
    let events = reason == .queue ? 100 : 3
    let directory = try project(reason, events: events)
    let host = try RunningCommand(
      ["run", "--stdin", "--serve"], in: directory.path, input: directory("in.jsonl"))
    try await host.lines(events, containing: "\"accepted\":true")
    if reason == .retry { try await host.line(containing: "not yet") }
    host.signal(number)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(ended.errorLines.contains { $0.hasPrefix("Ending: ") })
    if let lost = reason.lost {
      #expect(
        ended.errorLines.contains { $0.hasPrefix("lost, as nothing is kept: ") && $0.contains(lost) },
        "\(ended)")
    }
  }

  /// What was accepted and not done is done by the next host, once.
  @Test(arguments: [Reason.debounce, .throttle, .retry, .queue, .script])
  func whatIsLeftIsDoneAtTheNextStart(_ reason: Reason) async throws {
    let events = 50
    let directory = try project(reason, events: events)
    let host = try RunningCommand(
      ["run", "--stdin", "--serve", "--data", "data"], in: directory.path, input: directory("in.jsonl"))
    try await host.lines(events, containing: "\"accepted\":true")
    if reason == .retry { try await host.lines(events, containing: "not yet") }
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(ended.errorLines.contains { $0.hasPrefix("left for the next start: ") }, "\(ended)")
    let quick = "return { on = { event = \"e\" }, execute = function(event, ctx) \(Self.count) end }\n"
    try Data(quick.utf8).write(to: URL(fileURLWithPath: directory("triggers/t.lua")))
    // A retry is due when its time has come, which the log says.
    if reason == .retry {
      let next = try RunningCommand(["run", "--data", "data"], in: directory.path)
      try await next.line(containing: "1 trigger: t")
      next.signal(SIGTERM)
      let again = try await next.end()
      #expect(again.status == 0)
      #expect(again.errorLines.contains { $0.hasPrefix("left for the next start: \(events) ") }, "\(again)")
      return
    }
    let next = try await triggerHost("run", "--data", "data", "--exit-when-idle", in: directory.path)
    #expect(next.status == 0, "\(next)")
    let committed = try await triggerHost("log", "cat", "--data", "data", "--store", "s", in: directory.path)
    let done = committed.lines.count { $0.contains("done") }
    // Those too that a gate had joined: no pass of it was decided.
    #expect(done == events, "\(committed)")
  }

  /// What a throttle held passes as one after the start: each event by itself would pass more than the span lets.
  @Test func whatAThrottleHeldPassesAsOne() async throws {
    let directory = try project(.throttle, events: 20)
    try directory.edit("triggers/t.lua") {
      $0.replacing("return { ctx:store", with: "print('n', event.n) return { ctx:store")
    }
    let host = try RunningCommand(
      ["run", "--stdin", "--serve", "--data", "data"], in: directory.path, input: directory("in.jsonl"))
    try await host.lines(20, containing: "\"accepted\":true")
    try await host.line(containing: "info: n\t1")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
    let next = try RunningCommand(["run", "--data", "data"], in: directory.path)
    try await next.line(containing: "info: n\t")
    next.signal(SIGTERM)
    let ended = try await next.end()
    #expect(ended.status == 0)
    #expect(
      ended.errorLines.filter { $0.contains("info: n\t") }.map { $0.suffix(4) } == ["n\t20"], "\(ended)")
  }

  /// Everything is waited for when nobody has asked for the end.
  @Test func withoutASignalItFinishesEverything() async throws {
    let directory = try project(.queue, events: 10)
    let host = try RunningCommand(
      ["run", "--stdin", "--exit-when-idle"], in: directory.path, input: directory("in.jsonl"))
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.errors.contains(" 10 committed, "), "\(ended)")
    #expect(!ended.errors.contains("lost, as nothing is kept"))
  }

  /// The second signal does not wait, though the first waits for a script and nobody reads.
  @Test func theSecondSignalEndsAtOnce() async throws {
    let directory = try project(.script, events: 1)
    try directory.edit("host.yaml") { $0.replacing("stop_timeout: 200ms", with: "stop_timeout: 1h") }
    let host = try RunningCommand(
      ["run", "--stdin", "--serve", "--data", "data"], in: directory.path, input: directory("in.jsonl"))
    try await host.line(containing: "\"accepted\":true")
    host.signal(SIGTERM)
    try await host.line(containing: "Ending: ")
    // What comes within 100 ms of the first is the same request.
    #expect(try await host.insist(SIGTERM).status == 130)
  }
}
