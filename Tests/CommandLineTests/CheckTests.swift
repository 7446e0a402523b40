import Foundation
import Testing

/// `check` says every mistake as `file:line: message`, and the same as JSON.
@Suite struct CheckTests {
  struct Mistake: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// Beside a good `triggers/alpha.lua`.
    var files: [(name: String, text: String)]
    var problems: [String]
    var isError = true
  }

  private static func script(_ lines: String...) -> String {
    (["return {"] + lines + ["  execute = function(event, ctx) return {} end,", "}"]).joined(separator: "\n")
  }

  private static let onEvent = "  on = { event = \"x\" },"

  static let mistakes = [
    Mistake(
      testDescription: "Lua syntax",
      files: [("triggers/b.lua", "return {\n  on = { event = \"x\" }\n  execute = function() end,\n}\n")],
      problems: ["triggers/b.lua:3: '}' expected (to close '{' at line 1) near 'execute'"]),
    Mistake(
      testDescription: "unknown field",
      files: [("triggers/b.lua", script(onEvent, "  priorty = \"high\","))],
      problems: ["triggers/b.lua:3: unknown field 'priorty'; did you mean 'priority'?"]),
    Mistake(
      testDescription: "wrong priority",
      files: [("triggers/b.lua", script(onEvent, "  priority = \"hihg\","))],
      problems: [
        "triggers/b.lua:3: priority is one of critical, high, normal, low, got \"hihg\"; did you mean 'high'?"
      ]),
    Mistake(
      testDescription: "several in one table",
      files: [
        ("triggers/b.lua", script("  on = { cron = \"61 * * * *\" },", "  timeout = 1,", "  priorty = 1,"))
      ],
      problems: [
        "triggers/b.lua:2: on.cron '61 * * * *': column 1: minute 61 is out of range 0-59",
        "triggers/b.lua:3: timeout must be a string, got 1",
        "triggers/b.lua:4: unknown field 'priorty'; did you mean 'priority'?",
      ]),
    Mistake(
      testDescription: "two triggers of one name",
      files: [("triggers/b.lua", script(onEvent, "", "  name = \"alpha\","))],
      problems: [
        "triggers/b.lua:4: a trigger named 'alpha' is already in alpha.lua; give one of them a name"
      ]),
    Mistake(
      testDescription: "a module with a mistake",
      files: [
        ("triggers/b.lua", "local m = require \"lib.m\"\n" + script(onEvent)),
        ("triggers/lib/m.lua", "local m = {}\nreturn m m\n"),
      ],
      problems: [
        "triggers/lib/m.lua:2: <eof> expected near 'm'",
        "triggers/b.lua:1: needs lib/m.lua, which does not load",
      ]),
    Mistake(
      testDescription: "a module that nothing requires", files: [("triggers/lib/m.lua", "return return\n")],
      problems: ["triggers/lib/m.lua:1: unexpected symbol near 'return'"]),
    Mistake(
      testDescription: "no execute", files: [("triggers/b.lua", "local a\nreturn {\n  on = {},\n}\n")],
      problems: ["triggers/b.lua:2: no execute function"]),
    Mistake(
      testDescription: "no table", files: [("triggers/b.lua", "local a\n\nreturn 5\n")],
      problems: ["triggers/b.lua:3: a script returns a table with execute, this one returned a number"]),
    Mistake(
      testDescription: "bound to nothing", files: [("triggers/b.lua", script())],
      problems: [
        "triggers/b.lua:1: warning: nothing triggers 'b': it has no 'on'; bind it there or in a cron file"
      ], isError: false),
    Mistake(
      testDescription: "a list of triggers",
      files: [("triggers/b.lua", "return {\n  { execute = function() end },\n}\n")],
      problems: [
        "triggers/b.lua:1: a file makes one trigger, this one returned a list: give each a file of its own"
      ]),
    Mistake(
      testDescription: "a misspelt method",
      files: [
        (
          "triggers/b.lua",
          "return {\n  on = { event = \"x\" },\n  execute = function(event, ctx)\n    return ctx:stor(\"a\")\n  end,\n}\n"
        )
      ], problems: ["triggers/b.lua:4: ctx has no 'stor'; did you mean 'store'?"]),
    Mistake(
      testDescription: "a store that the configuration lacks",
      files: [
        ("host.yaml", "stores: { charts: {} }\nstrict_stores: true\n"),
        (
          "triggers/b.lua",
          "return {\n  on = { event = \"x\" },\n  execute = function(event, ctx)\n    return ctx:store(\"chart\"):put(\"a\", 1)\n  end,\n}\n"
        ),
      ], problems: ["triggers/b.lua:4: the configuration has no store 'chart'; did you mean 'charts'?"]),
    Mistake(
      testDescription: "a test that is no Lua", files: [("triggers/b_test.lua", "it(\"x\"\n")],
      problems: ["triggers/b_test.lua:2: ')' expected (to close '(' at line 1) near <eof>"]),
    Mistake(
      testDescription: "a module for nothing", files: [("triggers/lib/m.lua", "return {}\n")],
      problems: ["triggers/lib/m.lua:1: warning: nothing requires this module"], isError: false),
    Mistake(
      testDescription: "unknown key", files: [("host.yaml", "# mine\nsripts: triggers\n")],
      problems: ["host.yaml:2: unknown key `sripts`; did you mean 'scripts'?"]),
    Mistake(
      testDescription: "cron mistake",
      files: [
        ("host.yaml", "cron: cron.yaml\n"),
        ("cron.yaml", "schedules:\n  - name: a\n    cron: \"0 25 * * *\"\n    trigger: alpha\n"),
      ],
      problems: ["cron.yaml:3: schedules[0].cron: column 3: hour 25 is out of range 0-23"]),
    Mistake(
      testDescription: "crontab mistake",
      files: [("host.yaml", "cron: crontab\n"), ("crontab", "# daily\n0 9 * * monn alpha\n")],
      problems: [
        "crontab:2: column 9: `monn` is no day of week (0-7 (0 and 7 are Sunday), or sun-sat); did you mean 'mon'?"
      ]),
    Mistake(
      testDescription: "unknown trigger",
      files: [
        ("host.yaml", "cron: cron.yaml\n"),
        ("cron.yaml", "schedules:\n  - { name: a, every: 1s, trigger: alpa }\n"),
      ],
      problems: ["cron.yaml:2: no trigger is named 'alpa'; did you mean 'alpha'?"]),
    Mistake(
      testDescription: "an event that nobody hears",
      files: [("host.yaml", "schedules:\n  - { name: a, every: 1s, event: y }\n")],
      problems: ["host.yaml:2: warning: no trigger has on = { event = \"y\" }"], isError: false),
    Mistake(
      testDescription: "a feed whose rows a trigger takes as events",
      files: [
        ("host.yaml", "feeds:\n  - { name: a, file: a.csv, event: y, kind: data }\n"), ("a.csv", "a\n1\n"),
        ("triggers/b.lua", "return { on = { event = 'y' }, execute = function() end }\n"),
      ],
      problems: [], isError: false),
    Mistake(
      testDescription: "missing directory", files: [("host.yaml", "\nscripts: scripst\n")],
      problems: ["host.yaml:2: scripts directory `scripst` cannot be used: no such file or directory"]),
    Mistake(
      testDescription: "missing feed",
      files: [("host.yaml", "feeds:\n  - { name: a, file: a.csv, event: x, kind: event }\n")],
      problems: ["host.yaml:2: feed file `a.csv` cannot be used: no such file or directory"]),
    Mistake(
      testDescription: "wrong columns",
      files: [
        (
          "host.yaml",
          "feeds:\n  - { name: a, file: a.csv, event: x, kind: event, columns: { closs: number } }\n"
        ),
        ("a.csv", "open,close\n1,2\n"),
      ],
      problems: ["a.csv:1: header: no column `closs`; did you mean 'close'?"]),
  ]

  @Test(arguments: mistakes)
  func aMistakeIsSaidWithItsPlace(_ mistake: Mistake) async throws {
    let directory = try TemporaryDirectory(["triggers/alpha.lua": Script.good, "host.yaml": "{}\n"])
    for (name, text) in mistake.files { try directory.write(name, text) }
    let said = try await triggerHost("check", in: directory.path)
    // Tracebacks of Lua follow their message and are indented.
    let lines = said.lines.filter { !$0.hasPrefix("\t") && $0 != "stack traceback:" }
    #expect(lines.filter { !$0.contains(" found, ") } == mistake.problems)
    #expect(said.status == (mistake.isError ? 1 : 0))
    #expect(said.errors == "")

    let object = try await triggerHost("check", "--json", in: directory.path)
    #expect(object.status == said.status)
    let json = try object.jsonObject()
    #expect(json["good"] as? Bool == !mistake.isError)
    let problems = try #require(json["problems"] as? [[String: Any]])
    #expect(
      problems.map { ($0["message"] as? String)?.prefix { $0 != "\n" } } == mistake.problems.map { $0[...] })
    for problem in problems {
      #expect(problem["severity"] as? String == (mistake.isError ? "error" : "warning"))
      let place = [problem["file"] as? String, (problem["line"] as? Int).map { "\($0)" }].compactMap(\.self)
      #expect(
        (problem["message"] as? String)?.hasPrefix(place.joined(separator: ":") + ":") == true, "\(problem)")
    }
  }

  @Test func anEmptyDirectoryIsNotInOrder() async throws {
    let directory = try TemporaryDirectory(["triggers/notes.txt": ""])
    let ended = try await triggerHost("check", in: directory.path)
    #expect(
      ended.status == 1 && ended.lines == ["triggers: neither a script nor host.yaml is in here"],
      "\(ended)")
    // One that has a configuration is at its beginning.
    try directory.write("host.yaml", "")
    let begun = try await triggerHost("check", in: directory.path)
    #expect(begun.status == 0)
    #expect(
      begun.lines == ["triggers: warning: no script is in here", "0 triggers found, 1 warning."], "\(begun)")
  }

  @Test func allMistakesAreSaidAtOnce() async throws {
    let directory = try TemporaryDirectory([
      "p/host.yaml": "cron: crontab\nstors: {}\n", "p/crontab": "61 * * * * a\n@every 1s b\n",
      "p/triggers/a.lua": Script.good, "p/triggers/b.lua": "return {", "p/triggers/c.lua": Script.unbound,
    ])
    let ended = try await triggerHost("check", "p", in: directory.path)
    #expect(ended.status == 1)
    #expect(
      ended.lines.map { $0.split(separator: " ")[0] } == [
        "p/host.yaml:2:", "p/crontab:1:", "p/triggers/b.lua:1:", "p/triggers/c.lua:1:",
      ], "b is there and broken: the job that names it is good")
  }

  @Test func mistakesAreInTheOrderOfTheFile() async throws {
    func script(_ place: String) -> String {
      "return {\n  execute = function()\n    return \(place)\n  end,\n  priorty = 1,\n  on = { event = \"x\" },\n}\n"
    }
    let directory = try TemporaryDirectory(["a.lua": script("one"), "b.lua": script("two")])
    let ended = try await triggerHost("check", in: directory.path)
    #expect(
      ended.lines.map { $0.split(separator: " ")[0] } == ["a.lua:3:", "a.lua:5:", "b.lua:3:", "b.lua:5:"],
      "\(ended)")
    let problems = try await triggerHost("check", "--json", in: directory.path).jsonObject()["problems"]
    #expect((problems as? [[String: Any]])?.map { $0["message"] as? String } == ended.lines)
  }

  @Test func aGoodProjectIsGood() async throws {
    let directory = try TemporaryDirectory([
      "triggers/job.lua": Script.unbound, "triggers/good.lua": Script.good, "crontab": "@daily job\n",
    ])
    let scripts = directory("triggers")
    let ended = try await triggerHost("check", "--scripts", scripts, "--cron", directory("crontab"))
    #expect(ended.status == 0)
    #expect(ended.output == "2 triggers found, everything is in order.\n")
    let json = try await triggerHost("check", scripts, "--json").jsonObject()
    #expect(json["good"] as? Bool == true)
    #expect(json["triggers"] as? [String] == ["good", "job"])
  }

  @Test func theExamplesAreGood() async throws {
    let directory = try TemporaryDirectory()
    for example in ["hello", "home", "market"] {
      let ended = try await triggerHost("check", directory(try directory.copy(example: example)))
      #expect(ended.status == 0)
      #expect(ended.lines.count == 1, "\(ended)")
    }
  }

  @Test func notesAreForThoseWhoAsk() async throws {
    let directory = try TemporaryDirectory([
      "triggers/a.lua":
        "local m = require \"m\"\nreturn { on = { event = \"x\" }, execute = function() return m end }\n",
      "triggers/lib/m.lua": "return function() return os.getenv(\"HOME\") end\n",
    ])
    let plain = try await triggerHost("check", in: directory.path)
    #expect(plain.status == 0)
    #expect(plain.lines == ["1 trigger found, everything is in order (1 note on modules: --notes)."])
    let noted = try await triggerHost("check", "--notes", in: directory.path)
    #expect(noted.status == 0)
    #expect(
      noted.lines == [
        "triggers/lib/m.lua:1: note: 'os.getenv' is not there: put settings into a store or a module",
        "1 trigger found, everything is in order.",
      ])
    let problems = try await triggerHost("check", "--json", in: directory.path).jsonObject()["problems"]
    #expect((problems as? [[String: Any]])?.first?["severity"] as? String == "note")
  }

  @Test func aMissingPlaceIsSaidOnce() async throws {
    let directory = try TemporaryDirectory()
    let missing = try await triggerHost("check", "gone", in: directory.path)
    #expect(missing.status == 1)
    #expect(missing.output == "gone: the scripts directory does not exist\n")
    let config = try await triggerHost("check", "--config", "gone.yaml", in: directory.path)
    #expect(config.status == 1)
    #expect(config.output == "gone.yaml: cannot be read: no such file or directory\n")
    let both = try await triggerHost("check", "a", "--config", "b", in: directory.path)
    #expect(both.status == 2)
  }

  @Test func aNameInTheConfigurationAndInCronIsAMistake() async throws {
    let directory = try TemporaryDirectory([
      "host.yaml": "schedules:\n  - { name: a, every: 1s, trigger: good }\n",
      "triggers/good.lua": Script.good,
      "more.yaml": "schedules:\n  - { name: a, every: 2s, trigger: good }\n",
    ])
    let ended = try await triggerHost("check", "--cron", "more.yaml", in: directory.path)
    #expect(ended.status == 1)
    #expect(ended.lines == ["more.yaml:2: the schedule name `a` is used twice; first in host.yaml:2"])
  }
}
