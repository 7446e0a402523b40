import Foundation
import Testing

/// What `run` says where: answers on standard output, everything else, with its time, on standard error.
@Suite struct StreamsTests {
  private static let visit = """
    return { on = { event = "visit" }, execute = function(event, ctx)
      print("seen", event.n)
      ctx:log("warning", "careful", { n = event.n })
      if event.n == 2 then error("two") end
      return { ctx:store("s"):add("n", event.n) }
    end }
    """
  private static let events = (1...2).map { #"{"event": "visit", "payload": {"n": \#($0)}}"# + "\n" }.joined()

  private func project(_ events: String = Self.events) throws -> TemporaryDirectory {
    try TemporaryDirectory([
      "triggers/visit.lua": Self.visit, "host.yaml": "workers: 1\norder: strict\n", "in.jsonl": events,
    ])
  }

  private func run(_ directory: TemporaryDirectory, _ options: String...) async throws -> EndedCommand {
    try await RunningCommand(
      ["run", "--stdin"] + options, in: directory.path, input: directory("in.jsonl")
    ).end()
  }

  /// The input is at its end, all of it is decided: the host ends by itself.
  @Test func answersAreAloneOnStandardOutput() async throws {
    let directory = try project()
    let ended = try await run(directory, "--data", "data")
    #expect(ended.status == 0, "\(ended)")
    #expect(try ended.jsonLines().map { $0["id"] as? Int } == [1, 2])
    let lines = ended.errors.split(separator: "\n")
    #expect(lines.allSatisfy { $0.prefixMatch(of: EndedCommand.time) != nil }, "\(ended.errors)")
    let said = ended.errorLines
    #expect(said[0] == "data: new, epoch 1")
    #expect(said[2] == "1 trigger: visit")
    for line in [
      "[visit 1.1] info: seen\t1", "[visit 1.1] warning: careful {\"n\":1}",
      "[visit 2.1] triggers/visit.lua:4: two", "  | stack traceback:",
      "2 seqs: 1 committed, 1 failed, 0 skipped, 0 deferred; 0 conflicts", "store s: seq 1, 1 key",
    ] { #expect(said.contains(line), "\(line) in \(said)") }
    // What was acknowledged is on disk.
    let state = try await triggerHost("replay", "--data", "data", "--json", in: directory.path)
    #expect(state.output == "{\"s\":{\"n\":1}}\n")
  }

  /// A directory in which earlier hosts have committed nothing is not new, and not of any seq.
  @Test func aDirectoryWithoutCommitsSaysSo() async throws {
    let directory = try project("")
    for state in ["new", "nothing is committed yet", "nothing is committed yet"].enumerated() {
      let said = try await run(directory, "--data", "data").errorLines
      #expect(said.first == "data: \(state.element), epoch \(state.offset + 1)")
    }
  }

  /// Nothing is taken where nothing is known of the scripts.
  @Test func unreadableScriptsAreRefusedBeforeAnyEvent() async throws {
    let directory = try project()
    // Root reads everything, unless it gives that up.
    let line = """
      chmod 000 triggers; host=("$host")
      [ "$(id -u)" = 0 ] && host=(setpriv --bounding-set=-dac_override,-dac_read_search "${host[@]}")
      "${host[@]}" run --stdin < in.jsonl; status=$?
      chmod 700 triggers; exit $status
      """
    let ended = try await RunningCommand(shell: line, in: directory.path).end()
    #expect(ended.status == 1 && ended.output == "", "\(ended)")
    #expect(ended.errors.contains("triggers: "), "\(ended)")
  }

  @Test func quietLeavesWarningsAndErrors() async throws {
    let ended = try await run(try project(), "--quiet")
    #expect(ended.lines.count == 2)
    let said = ended.errorLines.filter { !$0.hasPrefix("  | ") }
    #expect(
      said == [
        "[visit 1.1] warning: careful {\"n\":1}", "[visit 2.1] warning: careful {\"n\":2}",
        "[visit 2.1] triggers/visit.lua:4: two",
      ])
  }

  @Test func jsonIsOneObjectALine() async throws {
    let directory = try project()
    try directory.write("triggers/broken.lua", "return {\n  on = = 1\n}\n")
    let ended = try await run(directory, "--log-format", "json")
    #expect(ended.status == 0 && ended.lines.count == 2, "\(ended)")
    let entries = try ended.errors.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
    for entry in entries {
      let time = try #require(entry["time"] as? String)
      #expect((time + " ").wholeMatch(of: EndedCommand.time) != nil, "\(time)")
      #expect(["info", "warning", "error"].contains(entry["level"] as? String), "\(entry)")
      #expect(entry["message"] is String)
    }
    let warning = try #require(entries.first { $0["message"] as? String == "careful" })
    #expect(warning["level"] as? String == "warning" && warning["trigger"] as? String == "visit")
    #expect(warning["seq"] as? Int == 1 && warning["attempt"] as? Int == 1)
    #expect((warning["fields"] as? [String: Any])?["n"] as? Int == 1)
    // Whole, with its lines.
    let failure = try #require(entries.first { ($0["message"] as? String)?.contains("visit.lua:4") == true })
    #expect(failure["level"] as? String == "error" && failure["seq"] as? Int == 2)
    #expect(failure["code"] as? String == "error")
    #expect((failure["message"] as? String)?.contains("two\nstack traceback:\n\t") == true)
    let broken = try #require(entries.first { $0["file"] as? String == "triggers/broken.lua" }, "\(entries)")
    #expect(broken["line"] as? Int == 2)
    let totals = try #require(entries.last { $0["committed"] != nil })
    #expect(totals["committed"] as? Int == 1 && totals["failed"] as? Int == 1)
  }

  // MARK: When it ends

  /// Schedules or not.
  @Test func theEndOfTheInputIsTheEnd() async throws {
    let directory = try project(#"{"event": "visit", "payload": {"n": 1}}"# + "\n")
    try directory.write(
      "triggers/tick.lua",
      "return { on = { every = '1ms', start = true }, execute = function(event, ctx) return { ctx:store('s'):add('ticks', 1) } end }"
    )
    let ended = try await run(directory)
    #expect(ended.status == 0 && ended.lines.count == 1, "\(ended)")
    #expect(ended.errors.contains("tick  "), "what begins with the host ran")
  }

  /// The host has it accepted: it waits for what is put off, too.
  @Test func whatIsPutOffIsDoneBeforeTheEnd() async throws {
    let directory = try project(#"{"event": "late", "wait": "accepted"}"# + "\n")
    try directory.write(
      "triggers/late.lua",
      "return { on = { event = 'late' }, debounce = '300ms', execute = function(event, ctx) return { ctx:store('s'):add('late', 1) } end }"
    )
    let ended = try await run(directory)
    #expect(ended.errorLines.contains("  late = 1"), "\(ended)")
  }

  @Test func serveStays() async throws {
    let directory = try project()
    let host = try RunningCommand(
      ["run", "--stdin", "--serve"], in: directory.path, input: directory("in.jsonl"))
    try await host.line(containing: "Standard input has ended.")
    try await host.line(containing: "Serving; press Ctrl-C to end.")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
    let both = try await triggerHost("run", "--serve", "--exit-when-idle", in: directory.path)
    #expect(both.status == 2)
  }

  /// A terminal as input is somebody who may have more to say.
  @Test func aTerminalStays() async throws {
    let directory = try project()
    let host = try RunningCommand(["run", "--stdin"], in: directory.path, output: .console)
    try await host.line(containing: "1 trigger: visit")
    host.type(#"{"event": "visit", "payload": {"n": 1}}"# + "\n")
    try await host.line(containing: #""outcome":"committed""#)
    host.type("\u{4}")
    try await host.line(containing: "Serving; press Ctrl-C to end.")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  // MARK: How it ends

  @Test(arguments: [
    (#"{"event": "visit", "payload": {"n": 2}}"#, "1 operation failed"),
    (#"{"evnt": "visit"}"#, "1 line was refused"),
    ("{}\n{\"event\": \"visit\", \"payload\": {\"n\": 2}}", "1 operation failed, 1 line was refused"),
  ])
  func whenAllOfItFailedItEndsWith1(_ events: String, _ words: String) async throws {
    let directory = try project(events + "\n")
    for option in [[], ["--exit-when-idle"]] {
      let ended = try await RunningCommand(
        ["run", "--stdin", "--quiet"] + option, in: directory.path, input: directory("in.jsonl")
      ).end()
      #expect(ended.status == 1 && ended.errorLines.last == "Nothing succeeded: \(words)", "\(ended)")
    }
  }

  @Test func withoutAnyScriptThatRunsItEndsWith1() async throws {
    let directory = try TemporaryDirectory(["triggers/a.lua": "return {\n"])
    let ended = try await triggerHost("run", "--exit-when-idle", "--quiet", in: directory("triggers"))
    #expect(ended.status == 2, "nothing says what to run")
    let broken = try await triggerHost("run", ".", "--exit-when-idle", "--quiet", in: directory.path)
    #expect(broken.status == 1, "\(broken)")
    #expect(broken.errorLines.last == "Nothing succeeded: no script could be loaded")
  }

  // MARK: What to run

  @Test func aDirectoryIsAProject() async throws {
    let directory = try TemporaryDirectory([
      "bare/triggers/job.lua":
        "return { execute = function(event, ctx) ctx:log('info', 'job ' .. event.n) return {} end }",
      "bare/cron.yaml": "schedules:\n  - { name: job, reboot: true, trigger: job, payload: { n: 1 } }\n",
    ])
    try directory.edit("bare/cron.yaml") { $0.replacing("reboot: true", with: "cron: \"@reboot\"") }
    // Without a host.yaml its triggers and its cron.yaml are found all the same.
    let checked = try await triggerHost("check", "bare", in: directory.path)
    #expect(checked.lines == ["1 trigger found, everything is in order."], "\(checked)")
    let bare = try await triggerHost("run", "bare", "--exit-when-idle", in: directory.path)
    #expect(bare.status == 0 && bare.errorLines.contains("[job 1.1] info: job 1"), "\(bare)")
    let here = try await triggerHost("run", ".", "--exit-when-idle", in: directory("bare"))
    #expect(here.status == 0 && here.errorLines.contains("[job 1.1] info: job 1"), "\(here)")
    try directory.write("bare/host.yaml", "log_level: warning\ncron: cron.yaml\n")
    let configured = try await triggerHost("run", "bare", "--exit-when-idle", in: directory.path)
    #expect(configured.status == 0 && !configured.errors.contains("job 1"), "\(configured)")
    let two = try await triggerHost("run", "bare", "--config", "bare/host.yaml", in: directory.path)
    #expect(two.status == 2)
    let gone = try await triggerHost("run", "gone", in: directory.path)
    #expect(gone.status == 1 && gone.errors.contains("gone: the scripts directory does not exist"), "\(gone)")
  }
}
