import Foundation
import Testing

/// `run` on small projects: what fires, what is said, how it ends.
@Suite struct RunTests {
  // MARK: Ends

  @Test(arguments: [SIGINT, SIGTERM])
  func aSignalEndsItWithASummary(_ number: Int32) async throws {
    let directory = try TemporaryDirectory()
    let hello = try directory.copy(example: "hello")
    try directory.edit("\(hello)/cron.yaml") { $0.replacing("every: 5s", with: "every: 50ms") }
    let host = try RunningCommand(["run", "--config", directory("hello/host.yaml")])
    try await host.line(containing: "hello for the 2. time")
    host.signal(number)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.output.isEmpty)
    #expect(ended.errorLines.contains("Serving; press Ctrl-C to end."))
    #expect(ended.errorLines.contains { $0.hasPrefix("Ending: ") })
    #expect(ended.errorLines.contains { $0.hasPrefix("store greetings:") })
    let row = try #require(ended.errorLines.last { $0.hasPrefix("hello ") })
    #expect(try #require(Int(row.split(separator: " ")[1])) >= 2)
  }

  @Test func logLinesSayTriggerSeqAndAttempt() async throws {
    let directory = try TemporaryDirectory([
      "triggers/once.lua": """
      return { on = { start = true }, execute = function(event, ctx)
        print("one", 2)
        ctx:log("warning", "two", { b = 1, a = { true } })
        ctx:log("debug", "not shown")
        warn("three")
        return {}
      end }
      """,
      "triggers/wrong.lua": "return { on = { start = true }, execute = function() error('four') end }",
      "host.yaml": "workers: 1\norder: strict\n",
    ])
    let ended = try await triggerHost("run", "--exit-when-idle", in: directory.path)
    let lines = ended.errorLines.filter { $0.hasPrefix("[once") }
    #expect(
      lines
        == ["info: one\t2", "warning: two {\"a\":[true],\"b\":1}", "warning: three"].map {
          "[once 1.1] \($0)"
        })
    #expect(ended.errorLines.contains("[wrong 2.1] triggers/wrong.lua:1: four"))
  }

  /// A job that is always late says so once in a while.
  @Test func noticesDoNotFillTheLog() async throws {
    let directory = try TemporaryDirectory([
      "triggers/slow.lua": """
      return { on = { every = "1ms" }, timeout = "10s", execute = function(event, ctx)
        for i = 1, 3000000 do end
        if (ctx:store("s"):get("n") or 0) >= 5 then ctx:log("info", "five times") end
        return { ctx:store("s"):add("n", 1) }
      end }
      """
    ])
    let start = ContinuousClock.now
    let host = try RunningCommand(["run", "--scripts", directory("triggers")])
    try await host.line(containing: "info: five times")
    host.signal(SIGTERM)
    let ended = try await host.end()
    let dropped = ended.errorLines.filter { $0.contains("is dropped") }
    let most = 1 + Int((ContinuousClock.now - start) / .seconds(10))
    #expect((1...most).contains(dropped.count), "one in ten seconds")
  }

  /// `timeout -s INT` and others send the same request twice.
  @Test func twoSignalsAtOnceAreOneRequest() async throws {
    let directory = try TemporaryDirectory(["triggers/a.lua": Script.saying("begun", on: "start = true")])
    let host = try RunningCommand(["run", "--scripts", directory("triggers")])
    try await host.line(containing: "info: begun")
    host.signal(SIGTERM)
    host.signal(SIGINT)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.errorLines.contains { $0.hasPrefix("store ") || $0.hasPrefix("trigger ") })
  }

  @Test func controlCharactersAreSpeltOut() async throws {
    let directory = try TemporaryDirectory([
      "triggers/a.lua": Script.saying("red \\27[31m\\r\u{9b}2J\\tend", on: "start = true")
    ])
    let host = try RunningCommand(["run", "--scripts", directory("triggers")])
    try await host.line(containing: "info: red \\u{1b}[31m\\u{d}\\u{9b}2J\tend")
    host.signal(SIGTERM)
    #expect(try await host.end().status == 0)
  }

  @Test func aSecondSignalEndsAtOnce() async throws {
    let directory = try TemporaryDirectory([
      "triggers/long.lua": """
      return { on = { every = "10ms" }, timeout = "50s", execute = function() while true do end end }
      """,
      "host.yaml": "stop_timeout: 1h\n",
    ])
    let host = try RunningCommand(["run"], in: directory.path)
    try await host.line(containing: "seq ")
    host.signal(SIGINT)
    try await host.line(containing: "Press Ctrl-C again")
    // The second signal counts when it is not an echo of the first: pressed until it works.
    let ended = try await host.insist(SIGINT)
    #expect(ended.status == 130)
    #expect(!ended.errors.contains("store "), "no summary")
  }

  // MARK: Terminals

  @Test func aTerminalHasALiveLine() async throws {
    let directory = try TemporaryDirectory([
      "triggers/tick.lua": """
      return { on = { every = "50ms" }, execute = function() print("tick") error("oh no") end }
      """
    ])
    let arguments = ["run", "--scripts", directory("triggers")]
    let host = try RunningCommand(arguments, output: .terminal)
    // The live line: taken back before the next one.
    try await host.line(containing: "\u{1b}[Kseq ")
    try await host.line(containing: "oh no")
    host.signal(SIGINT)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.output.contains("\(directory("triggers"))/tick.lua:1: oh no"))
    #expect(ended.output.contains("trigger "), "the summary")
  }

  // MARK: Schedules

  @Test func aCronFileInYAMLFires() async throws {
    let directory = try TemporaryDirectory([
      "triggers/job.lua": """
      return {
        execute = function(event, ctx)
          ctx:log("info", "hello " .. event.name)
          return {}
        end,
      }
      """,
      "jobs.yaml": """
      schedules:
        - { name: quick, every: 50ms, trigger: job, payload: { name: world } }
      """,
    ])
    let host = try RunningCommand([
      "run", "--scripts", directory("triggers"), "--cron", directory("jobs.yaml"),
    ])
    try await host.line(containing: "info: hello world")
    host.signal(SIGINT)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(!ended.errors.contains("nothing triggers"), "a trigger that a job names is bound")
  }

  @Test func aCrontabFires() async throws {
    let directory = try TemporaryDirectory([
      "triggers/often.lua": Script.unbound, "triggers/once.lua": Script.unbound,
      "crontab": "# plain\n@every 1s often\n@reboot once\n",
    ])
    let host = try RunningCommand(["run", "--scripts", directory("triggers"), "--cron", directory("crontab")])
    try await host.line(containing: "[often ")
    try await host.line(containing: "[once ")
    host.signal(SIGINT)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.errorLines.contains { $0.split(separator: " ") == ["once", "1", "0", "0"] })
  }

  @Test func scriptsFireByTheirOwnOn() async throws {
    let directory = try TemporaryDirectory([
      "triggers/tick.lua": Script.saying("tick", on: "every = \"100ms\""),
      "triggers/begin.lua": Script.saying("begun", on: "start = true"),
    ])
    let host = try RunningCommand(["run", "--scripts", directory("triggers")])
    try await host.line(containing: "[begin ")
    try await host.line(containing: "[tick ")
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0)
    #expect(ended.errorLines[1] == "2 triggers: begin, tick")
    #expect(ended.errorLines.contains { $0.split(separator: " ") == ["begin", "1", "0", "0"] })
  }

  // MARK: Mistakes

  @Test func aBrokenScriptIsSaidAndTheOthersRun() async throws {
    let directory = try TemporaryDirectory([
      "triggers/a.lua": Script.good, "triggers/b.lua": "return {\n  on = = 1\n}\n",
    ])
    let ended = try await triggerHost("run", "--scripts", directory("triggers"), "--exit-when-idle")
    #expect(ended.status == 0)
    #expect(ended.errorLines.first == "\(directory("triggers"))/b.lua:2: unexpected symbol near '='")
    #expect(ended.errorLines.contains("1 trigger: a"))
    #expect(ended.errorLines.contains("scripts: b.lua is not taken up; no version of it is in force"))
  }

  @Test func aJobWithoutATriggerIsSaidAtTheStart() async throws {
    let directory = try TemporaryDirectory([
      "triggers/alpha.lua": Script.good,
      "crontab": "@every 1h alpa\n",
    ])
    let ended = try await triggerHost(
      "run", "--scripts", directory("triggers"), "--cron", directory("crontab"), "--exit-when-idle")
    #expect(
      ended.errorLines.prefix(1) == [
        "\(directory("crontab")):1: no trigger is named 'alpa'; did you mean 'alpha'?"
      ])
  }

  @Test func nothingToRunIsAUsageError() async throws {
    let directory = try TemporaryDirectory()
    let ended = try await triggerHost("run", in: directory.path)
    #expect(ended.status == 2)
    #expect(
      ended.errors.hasPrefix("Error: Say what to run: a directory, --config host.yaml or --scripts DIR"))
    #expect(ended.errors.contains("See 'trigger-host run --help'"))
  }

  @Test func aMissingConfigurationOrDirectoryEndsWith1() async throws {
    let directory = try TemporaryDirectory()
    let config = try await triggerHost("run", "--config", directory("host.yaml"))
    #expect(config.status == 1)
    #expect(config.errorLines == ["\(directory("host.yaml")): cannot be read: no such file or directory"])
    let scripts = try await triggerHost("run", "--quiet", "--scripts", directory("gone"))
    #expect(scripts.status == 1)
    #expect(scripts.errorLines == ["\(directory("gone")): the scripts directory does not exist"])
  }

  // MARK: Feeds

  private func feedProject(_ rows: String) throws -> TemporaryDirectory {
    try TemporaryDirectory([
      "host.yaml": """
      order: strict
      feeds:
        - name: rows
          file: rows.csv
          event: row
          columns: { a: integer }
      """,
      "rows.csv": rows,
      "triggers/sum.lua": """
      return {
        on = { data = "row" },
        execute = function(event, ctx) return { ctx:store("sums"):add("a", event.a) } end,
      }
      """,
    ])
  }

  @Test func aRowThatDoesNotParseIsSaidAndTheRestGoesOn() async throws {
    let directory = try feedProject("a,b\n1,x\ntwo,x\n3\n4,\"x\n5,x\n")
    let ended = try await triggerHost("run", "--exit-when-idle", in: directory.path)
    #expect(ended.status == 0)
    #expect(
      ended.errorLines.filter { $0.hasPrefix("rows.csv:") } == [
        "rows.csv:3: column `a`: expected an integer, got `two`", "rows.csv:4: expected 2 columns, got 1",
        "rows.csv:5: a quote is opened and never closed",
      ])
    #expect(ended.errorLines.contains { $0.hasPrefix("2 rows fed, 3 bad; 2 seqs: 2 committed, 0 failed") })
    #expect(ended.errorLines.contains("  a = 6"))
  }

  @Test func aFeedThatCannotBeOpenedEndsIt() async throws {
    let directory = try feedProject("x,b\n1,x\n")
    let ended = try await triggerHost("run", "--quiet", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.errorLines == ["rows.csv:1: header: no column `a`"])
    #expect(ended.output.isEmpty)
    let checked = try await triggerHost("check", in: directory.path)
    #expect(checked.status == 1)
    #expect(checked.lines == ended.errorLines)
  }

  @Test func aReaderThatGoesAwayDoesNotEndIt() async throws {
    let directory = try TemporaryDirectory([
      "triggers/tick.lua": """
      return {
        on = { every = "20ms" },
        execute = function(event, ctx)
          local count = (ctx:store("t"):get("n") or 0) + 1
          ctx:log("info", "to nobody")
          if count == 3 then error("third time") end
          return { ctx:store("t"):put("n", count) }
        end,
      }
      """
    ])
    let host = try RunningCommand(["run", "--scripts", directory("triggers")], output: .closedPipe)
    try await host.line(containing: "third time")
    host.signal(SIGINT)
    #expect(try await host.end().status == 0)
  }
}
