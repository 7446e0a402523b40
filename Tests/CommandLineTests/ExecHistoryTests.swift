import Foundation
import Testing

/// `exec` on what a host has kept: --at, --seq, --commit; and --trace.
@Suite struct ExecHistoryTests {
  private func report(_ till: KeptHost) async throws -> (seq: Int, intents: NSArray) {
    let record = try #require(
      try await till("log", "export", "--trigger", "report", "--outcome", "committed").jsonLines().last)
    return (try #require(record["seq"] as? Int), try #require(record["intents"] as? NSArray))
  }

  /// Event, clock, seed, script and state of a seq: the same intents, dice too.
  @Test func aSeqIsExecutedAgain() async throws {
    let till = try await KeptHost.till()
    let (seq, intents) = try await report(till)
    // Whatever the scripts are now.
    try till.directory.write("triggers/report.lua", "return {}")
    let ended = try await till("exec", "--seq", "\(seq)", "--json")
    let object = try ended.jsonObject()
    #expect(ended.status == 0 && object["intents"] as? NSArray == intents, "\(ended)")
    #expect(object["at"] as? Int == seq - 1 && object["trigger"] as? String == "report")
    let named = try await till(
      "exec", "report", "--seq", "\(seq)", "--event", #"{"item": "x", "price": 2000}"#)
    #expect(named.status == 1 && named.errors.hasPrefix("report.lua:4: too large: x\n"), "\(named)")
    let text = try await till("exec", "--seq", "\(seq)")
    #expect(text.lines.last == "report: would commit, 1 intent, on the state after seq \(seq - 1)")
  }

  @Test func aNewScriptOnAnOldState() async throws {
    let till = try await KeptHost.till()
    let (seq, _) = try await report(till)
    try till.directory.edit("triggers/report.lua") { $0.replacing("math.random(1000)", with: "os.time()") }
    let ended = try await till("exec", "triggers/report.lua", "--seq", "\(seq)", "--json").jsonObject()
    let record = try #require(
      try await till("log", "export", "--from", "\(seq)", "--to", "\(seq)").jsonLines().first)
    let value = try #require((ended["intents"] as? [[String: Any]])?.first?["value"] as? [String: Any])
    #expect(value["seq"] as? Int == record["seq"] as? Int)
    // The clock is that of the record: seconds since 1970 of its admission.
    let admitted = try #require(record["admitted"] as? String)
    let formatter = ISO8601DateFormatter()
    let seconds = try #require(formatter.date(from: admitted.prefix(19) + "Z")).timeIntervalSince1970
    #expect(value["dice"] as? Double == seconds || value["dice"] as? Int == Int(seconds))
    let byName = try await till("exec", "--scripts", "triggers", "--seq", "\(seq)", "--json").jsonObject()
    #expect(byName["intents"] as? NSArray == ended["intents"] as? NSArray)
  }

  @Test func theStateRightAfterASeq() async throws {
    let till = try await KeptHost.till()
    let event = #"{"item": "tea", "price": 1}"#
    for (at, sum) in [("0", 1), ("1", 4), ("8", 9)] {
      let object = try await till("exec", "sale", "--at", at, "--event", event, "--json").jsonObject()
      let intents = try #require(object["intents"] as? [[String: Any]])
      #expect(at == "0" || intents[0]["value"] as? Int == sum, "\(object)")
      #expect(object["reads"] as? [String] == ["sums/tea"])
    }
    let newest = try await till("exec", "sale", "--event", event)
    #expect(newest.lines.first == "put    sums/tea = 9")
    #expect(newest.lines.last == "sale: would commit, 2 intents, on the state after seq 8")
  }

  @Test func committedByAHostOfItsOwn() async throws {
    let till = try await KeptHost.till()
    let ended = try await till(
      "exec", "sale", "--config", "kept.yaml", "--scripts", "triggers", "--event",
      #"{"item": "lamp", "price": 70}"#, "--commit", "--json")
    let object = try ended.jsonObject()
    #expect(ended.status == 0 && object["seq"] as? Int == 9, "\(ended)")
    // What it emits is done as well.
    let state = try await till("replay", "--json").jsonObject()
    #expect((state["sums"] as? [String: Any])?["lamp"] as? Int == 70)
    #expect((state["reports"] as? [String: Any])?["lamp"] != nil)
    #expect(try await till("replay", "--verify").status == 0)
    let failed = try await till(
      "exec", "report", "--config", "kept.yaml", "--scripts", "triggers", "--event",
      #"{"item": "ship", "price": 7000}"#, "--commit")
    #expect(
      failed.status == 1 && failed.errors.hasPrefix("triggers/report.lua:4: too large: ship\n"), "\(failed)")
    #expect(failed.lines == ["report: failed (error), 0 intents, as seq 11"])
  }

  @Test func linesAreTraced() async throws {
    let till = try await KeptHost.till()
    let (seq, _) = try await report(till)
    let ended = try await till("exec", "--seq", "\(seq)", "--trace")
    #expect(
      ended.errorLines == [
        "    event = {item = \"cake\", price = 50}",
        "report.lua:4      if event.price > 1000 then error(\"too large: \" .. event.item) end",
        "report.lua:5      ctx:log(\"info\", \"large\", { item = event.item })",
        "report.lua:6      return { ctx:store(\"reports\"):put(event.item, { price = event.price, dice = math.random(1000), seq = ctx.seq }) }",
      ], "\(ended)")
    #expect(ended.status == 0 && ended.lines.last?.hasPrefix("report: would commit") == true)
    // Without a data directory too; and an endless script ends, a long trace before that.
    func loop(_ condition: String, timeout: String) async throws -> EndedCommand {
      try till.directory.write(
        "loop/loop.lua",
        "return { on = { event = \"x\" }, timeout = \"\(timeout)\", execute = function()\n  local n = 0\n  while \(condition) do\n    n = n + 1\n  end\nend }\n"
      )
      return try await triggerHost("exec", "loop/loop.lua", "--trace", in: till.directory.path)
    }
    let endless = try await loop("true", timeout: "50ms")
    #expect(endless.status == 1 && endless.errors.contains("timeout: the attempt used up its time"))
    let long = try await loop("n < 10000", timeout: "1m")
    #expect(long.status == 0 && long.errors.contains("... the trace is cut after 10000 lines\n"), "\(long)")
  }

  @Test(arguments: [
    (["x", "--at", "3"], "--at needs --data DIR, the directory of the host's log"),
    (["--seq", "3"], "--seq needs --data DIR, the directory of the host's log"),
    (["x", "--commit"], "--commit needs --data DIR, the directory of the host's log"),
    (
      ["x", "--data", "d", "--at", "3", "--commit"],
      "--commit adds to the end of the log, and --at names the past: leave one of them out"
    ),
    (
      ["x", "--data", "d", "--seq", "3", "--commit"],
      "--commit adds to the end of the log, and --seq names the past: leave one of them out"
    ),
    (
      ["x", "--data", "d", "--trace", "--commit"],
      "--commit runs like a host does, which traces nothing: leave --trace out"
    ),
    (["x", "--data", "d", "--stores", "{}"], "--stores and --data exclude each other"),
    (["--data", "d"], "Say which script to run, or --seq N with --data."),
    (["--data", "d", "--seq", "0"], "seqs count from 1, got 0"),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String) async throws {
    let ended = try await RunningCommand(["exec"] + arguments).end()
    #expect(ended.status == 2 && ended.errorLines.first == "Error: \(message)", "\(ended)")
  }

  @Test func whatIsNotThereIsSaid() async throws {
    let till = try await KeptHost.till()
    let late = try await till("exec", "--seq", "99")
    #expect(late.status == 1 && late.errors == "seq 99 is not there: the log ends at seq 8\n")
    let unknown = try await till("exec", "repotr", "--at", "3", "--event", "{}")
    #expect(unknown.status == 2)
    #expect(
      unknown.errorLines.first
        == "Error: no trigger 'repotr' among the scripts in force at seq 3 (tree 1); did you mean 'report'?")
    let other = try await till("exec", "report", "--seq", "1")
    #expect(
      other.status == 2 && other.errorLines.first == "Error: seq 1 ran 'sale': say --event for 'report'")
  }
}
