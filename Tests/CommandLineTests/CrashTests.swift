import Foundation
import Testing
import TriggerCore

import TriggerSQLite

/// A host that is killed at any moment, with SIGKILL: what it has acknowledged is there, nothing is there twice,
/// and it goes on where it was.
@Suite(.serialized) struct CrashTests {
  /// `count` counts and emits; `echo` fails when an event comes twice.
  private static let scripts: KeyValuePairs<String, String> = [
    "triggers/count.lua": """
    return { on = { event = "n" }, timeout = "1m", execute = function(event, ctx)
      local store = ctx:store("counts")
      return { store:put("k" .. event.n, (store:get("k" .. event.n) or 0) + 1), store:add("total", 1), ctx:emit("echo", event) }
    end }
    """,
    "triggers/echo.lua": """
    return { on = { event = "echo" }, priority = "low", timeout = "1m", execute = function(event, ctx)
      local store = ctx:store("echoes")
      return { store:put("k" .. event.n, (store:get("k" .. event.n) or 0) + 1), store:add("total", 1) }
    end }
    """,
  ]

  /// For both durabilities together; CRASH_ROUNDS makes it longer: `CRASH_ROUNDS=300 swift test --filter CrashTests`.
  static let rounds =
    ProcessInfo.processInfo.environment["CRASH_ROUNDS"].flatMap { Int($0) } ?? 12

  @Test(arguments: ["group", "async"]) func killedAtAnyMoment(_ durability: String) async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let arguments = [
      "run", "--scripts", directory("triggers"), "--data", directory("data"), "--durability", durability,
    ]
    let seed = UInt64.random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    var acknowledged: Set<Int64> = []
    var next: Int64 = 1
    for round in 0..<(Self.rounds + 1) / 2 {
      let events = (next..<next + 3000).map { #"{"event": "n", "id": \#($0), "payload": {"n": \#($0)}}"# }
      next += 3000
      let input = directory("events.jsonl")
      try Data((events.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: input))
      let host = try RunningCommand(arguments + ["--stdin", "--serve"], input: input)
      _ = await host.lines(Int.random(in: 0...1500, using: &random))
      host.signal(SIGKILL)
      let ended = try await host.end()
      for line in ended.output.split(separator: "\n") { collect(String(line), into: &acknowledged) }
      #expect(!ended.errors.contains("rror"), "round \(round), seed \(seed): \(ended.errors.prefix(500))")
    }
    let last = try await triggerHost(
      "run", "--scripts", directory("triggers"), "--data", directory("data"), "--exit-when-idle")
    #expect(last.status == 0, "\(last.errors)")
    let state = try await triggerHost("replay", "--data", directory("data"), "--json")
    guard case .map(let stores) = try JSON.parse(state.output), case .map(let counts)? = stores["counts"],
      case .map(let echoes)? = stores["echoes"]
    else { return #expect(Bool(false), "\(state)") }
    #expect(!acknowledged.isEmpty)
    for id in acknowledged where counts["k\(id)"] == nil {
      Issue.record("seed \(seed): \(id) was acknowledged and is gone")
    }
    // Each event, and each that it emitted, exactly once.
    for (key, value) in counts where key != "total" { #expect(value == 1, "seed \(seed): \(key)") }
    #expect(Set(counts.keys) == Set(echoes.keys), "seed \(seed)")
    for (key, value) in echoes where key != "total" { #expect(value == 1, "seed \(seed): echo \(key)") }
    #expect(counts["total"] == .int(Int64(counts.count - 1)))
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
  }

  /// Checkpoints are taken while hundreds of keys come beside some that nobody touches, and then it is killed: every
  /// key that was acknowledged is there.
  @Test func killedAfterACheckpointBesideInserts() async throws {
    let directory = try TemporaryDirectory([
      "triggers/put.lua": """
      return { on = { event = "put" }, timeout = "1m", execute = function(event, ctx)
        local intents = {}
        for i = 1, event.count do intents[i] = ctx:store("s"):put(event.prefix .. "/" .. i, i) end
        return intents
      end }
      """,
      "host.yaml": "scripts: triggers\ndata: data\nworkers: 2\nlog: { checkpoint: 1s }\n",
    ])
    let first = #"{"event": "put", "id": 0, "payload": {"prefix": "z", "count": 24}}"#
    let rest = (1...1500).map {
      #"{"event": "put", "id": \#($0), "payload": {"prefix": "y/\#($0)", "count": 100}}"#
    }
    try Data(([first] + rest).map { $0 + "\n" }.joined().utf8).write(
      to: URL(fileURLWithPath: directory("events.jsonl")))
    let host = try RunningCommand(
      ["run", "--config", directory("host.yaml"), "--stdin", "--serve"], input: directory("events.jsonl"))
    try await waitForCheckpoint(of: host, in: directory("data/log.sqlite"))
    host.signal(SIGKILL)
    var acknowledged: Set<Int64> = []
    for line in try await host.end().output.split(separator: "\n") {
      collect(String(line), into: &acknowledged)
    }
    let state = try await triggerHost("replay", "--data", directory("data"), "--json")
    guard case .map(let stores) = try JSON.parse(state.output), case .map(let keys)? = stores["s"]
    else { return #expect(Bool(false), "\(state)") }
    #expect(acknowledged.contains(0))
    for id in acknowledged {
      let (prefix, count) = id == 0 ? ("z", 24) : ("y/\(id)", 100)
      #expect((1...count).allSatisfy { keys["\(prefix)/\($0)"] != nil }, "of event \(id)")
    }
  }

  private func waitForCheckpoint(of host: RunningCommand, in log: String) async throws {
    var found: Int64 = 0
    await host.look {
      // Not a word of it may be there yet.
      if FileManager.default.fileExists(atPath: log) {
        try? Database(path: log).run("SELECT count(*) FROM checkpoints WHERE last > 0") { found = $0.int(0) }
      }
      return found > 0
    }
    try #require(found > 0, "no checkpoint")
  }

  private func collect(_ line: String, into acknowledged: inout Set<Int64>) {
    guard line.hasPrefix("{"), case .map(let fields)? = try? JSON.parse(line),
      case .int(let id)? = fields["id"],
      case .array(let results)? = fields["results"], case .map(let result)? = results.first,
      result["outcome"] == "committed"
    else { return }
    acknowledged.insert(id)
  }

  /// `count` and `audit` both get each event: whole or not at all. `fire` counts the fires of a schedule.
  private static let manyTriggers: KeyValuePairs<String, String> = [
    "triggers/count.lua": """
    return { on = { event = "n", data = "rows" }, order_by = "n", timeout = "1m", execute = function(event, ctx)
      local store = ctx:store(ctx.event_name == "rows" and "rows" or "counts")
      return { store:put("k" .. event.n, (store:get("k" .. event.n) or 0) + 1) }
    end }
    """,
    "triggers/audit.lua": """
    return { on = { event = "n", data = "rows" }, priority = "low", timeout = "1m", execute = function(event, ctx)
      local store = ctx:store(ctx.event_name == "rows" and "row_audits" or "audits")
      for i = 1, event.n % 7 * 1000 do end
      return { store:put("k" .. event.n, (store:get("k" .. event.n) or 0) + 1) }
    end }
    """,
    "triggers/fire.lua": """
    return { on = { every = "20ms" }, timeout = "1m", execute = function(event, ctx)
      return { ctx:store("fires"):add(event.fire_time, 1) }
    end }
    """,
    "host.yaml": """
    scripts: triggers
    data: data
    feeds:
      - { name: rows, file: rows.jsonl, event: rows, kind: data }
    """,
  ]

  /// Accepted events, keys that are sent again, a feed and a schedule: each exactly once.
  @Test func whatWasAcceptedHappensOnce() async throws {
    let directory = try TemporaryDirectory(Self.manyTriggers)
    let rows = (1...20_000).map { #"{"n": \#($0)}"# }
    try Data((rows.joined(separator: "\n") + "\n").utf8)
      .write(to: URL(fileURLWithPath: directory("rows.jsonl")))
    let arguments = ["run", "--config", directory("host.yaml"), "--stdin", "--serve"]
    let seed = UInt64.random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    var answered: Set<Int64> = []
    var next: Int64 = 1
    for round in 0..<Self.rounds {
      // Some of the round before come again, with their keys.
      let first = max(1, next - 300)
      let events = (first..<next + 1500).map { id -> String in
        let wait = id % 3 == 0 ? "committed" : "accepted"
        return
          #"{"event": "n", "id": \#(id), "payload": {"n": \#(id)}, "key": "k\#(id)", "wait": "\#(wait)"}"#
      }
      next += 1500
      let input = directory("events.jsonl")
      try Data((events.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: input))
      let host = try RunningCommand(arguments, input: input)
      _ = await host.lines(Int.random(in: 0...1200, using: &random))
      host.signal(SIGKILL)
      let ended = try await host.end()
      for line in ended.output.split(separator: "\n") {
        guard line.hasPrefix("{"), case .map(let fields)? = try? JSON.parse(String(line)),
          case .int(let id)? = fields["id"]
        else { continue }
        #expect(fields["error"] == nil, "round \(round), seed \(seed): \(line)")
        answered.insert(id)
      }
    }
    let last = try await triggerHost("run", "--config", directory("host.yaml"), "--exit-when-idle")
    #expect(last.status == 0, "\(last.errors)")
    let state = try await triggerHost("replay", "--data", directory("data"), "--json")
    guard case .map(let stores) = try JSON.parse(state.output) else { return #expect(Bool(false)) }
    func store(_ name: String) -> Value.Map {
      if case .map(let content)? = stores[name] { content } else { [:] }
    }
    for name in ["counts", "audits", "rows", "row_audits", "fires"] {
      #expect(!store(name).isEmpty, "\(name)")
      for (key, value) in store(name) { #expect(value == 1, "seed \(seed): \(name)/\(key)") }
    }
    #expect(Set(store("counts").keys) == Set(store("audits").keys), "seed \(seed)")
    for id in answered where store("counts")["k\(id)"] == nil {
      Issue.record("seed \(seed): \(id) was acknowledged and is gone")
    }
    // Killed in the middle of its file, the feed went on behind what was decided.
    #expect(store("rows").count == rows.count && store("row_audits").count == rows.count, "seed \(seed)")
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
  }

  @Test func aSecondHostIsRefused() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let arguments = ["run", "--scripts", directory("triggers"), "--data", directory("data")]
    let first = try RunningCommand(arguments)
    try await first.line(containing: "Serving")
    let second = try await triggerHost("run", "--scripts", directory("triggers"), "--data", directory("data"))
    #expect(second.status == 1)
    #expect(second.errors.contains("in use by another host"), "\(second.errors)")
    first.signal(SIGTERM)
    #expect(try await first.end().status == 0)
  }

  @Test func toolsReadTheLog() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    // So that seqs are as they come.
    try directory.write("host.yaml", "order: strict\n")
    let input = directory("events.jsonl")
    let lines =
      (1...5).map { #"{"event": "n", "payload": {"n": \#($0)}}"# } + [
        "{n: 1}", #"{"evnt": "n"}"#, #"{"message": "n"}"#,
      ]
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: input))
    let host = try RunningCommand(
      [
        "run", "--config", directory("host.yaml"), "--scripts", directory("triggers"), "--data",
        directory("data"), "--stdin", "--exit-when-idle",
      ],
      input: input)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")
    #expect(ended.output.contains("line 7: unknown field 'evnt'; did you mean 'event'?"), "\(ended.output)")
    #expect(ended.output.contains("line 6: column 2: expected a key in double quotes"), "\(ended.output)")
    #expect(
      ended.output.contains(
        #"line 8: unknown field 'message'; write \"event\": NAME, \"kind\": \"message\""#),
      "\(ended.output)")
    let why = try await triggerHost("why", "echoes", "k3", "--data", directory("data"))
    #expect(why.status == 0)
    #expect(
      why.output.contains("put echoes/k3 = 1") && why.output.contains("count  event n"), "\(why.output)")
    let nothing = try await triggerHost("why", "echoes", "k9", "--data", directory("data"))
    #expect(
      nothing.status == 1 && nothing.errors.contains("nothing has written echoes/k9; did you mean 'k1'?"))
    let store = try await triggerHost("why", "echos", "k3", "--data", directory("data"))
    #expect(store.errors.contains("nothing has written echos/k3; did you mean 'echoes'?"), "\(store)")
    // A directory that host.yaml names need not be named again.
    try directory.write("host.yaml", "data: data\n")
    let here = try await triggerHost("why", "echoes", "k3", in: directory.path)
    #expect(here.status == 0 && here.output == why.output, "\(here)")
    try directory.write("host.yaml", "scripts: triggers\n")
    let file = try await triggerHost(
      "run", "--data", "host.yaml", "--scripts", "triggers", in: directory.path)
    #expect(file.status == 1)
    #expect(file.errorLines == ["host.yaml is a file; name a directory to keep everything in"], "\(file)")
    let nowhere = try await triggerHost("log", "cat", in: directory.path)
    #expect(nowhere.status == 2)
    #expect(
      nowhere.errorLines.first == "Error: Say what to read: --data DIR; host.yaml here says no `data`.",
      "\(nowhere)")
    let state = try await triggerHost("replay", "--data", directory("data"), "--to", "1")
    #expect(state.output.contains("seq 1\nstore counts, 2 keys\n  k1 = 1\n  total = 1\n"), "\(state.output)")
    let export = try await triggerHost("log", "export", "--data", directory("data"), "--trigger", "count")
    #expect(export.output.split(separator: "\n").count == 5)
    let intact = try await triggerHost("log", "verify", "--data", directory("data"))
    #expect(intact.lines.first == "10 records are intact.", "\(intact)")
    let missing = try await triggerHost("replay", "--data", directory("nothing"))
    #expect(missing.status == 1, "\(missing)")
  }
}
