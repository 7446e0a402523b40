import Foundation
import Testing

/// `trigger-host repl`, with lines from a file and with a person at a terminal.
@Suite struct ReplTests {
  private func repl(_ lines: String..., arguments: [String] = [], in directory: TemporaryDirectory)
    async throws -> EndedCommand
  {
    try directory.write("input.lua", lines.joined(separator: "\n") + "\n")
    return try await RunningCommand(
      ["repl"] + arguments, in: directory.path, input: directory("input.lua"),
      environment: ["HOME": directory.path]
    ).end()
  }

  private func project() throws -> TemporaryDirectory {
    try TemporaryDirectory([
      "host.yaml": "stores: { charts: {} }\n", "triggers/t.lua": Script.good,
      "triggers/lib/twice.lua": "return function(x) return 2 * x end\n",
    ])
  }

  @Test func expressionsArePrintedAndStatementsRun() async throws {
    let directory = try project()
    let ended = try await repl(
      "1 + 1", "= 'a' .. 'b'", "x = { 3, name = 'y' }", "x", "for i = 1, 2 do", "  print(i)", "end",
      "local hidden = 1",
      "hidden", "{", "1 }", "nil, 2", "require 'lib.twice' (21)", "ctx.trigger", in: directory)
    #expect(ended.status == 0, "\(ended)")
    #expect(
      ended.lines == [
        "2", "\"ab\"", "{ 3, name = \"y\" }", "[info] 1", "[info] 2", "nil", "{ 1 }", "nil", "2", "42",
        "\"repl\"",
      ])
  }

  @Test func errorsOfModulesCanBeOpened() async throws {
    let directory = try project()
    let ended = try await repl("(require 'lib.twice' 'x')", "error('lib/gone.lua:1: x', 0)", in: directory)
    #expect(ended.errorLines.first?.hasPrefix("triggers/lib/twice.lua:1: attempt to") == true, "\(ended)")
    #expect(ended.errorLines.contains { $0.hasPrefix("  | \ttriggers/lib/twice.lua:1: in ") }, "\(ended)")
    #expect(ended.errorLines.contains("lib/gone.lua:1: x"), "\(ended)")
  }

  @Test func aLocalThatIsGoneIsExplained() async throws {
    let directory = try project()
    let ended = try await repl(
      "nosuch", "local a, b <const> = 1, 2", "b", "local function f() return 3 end return f()", "f()",
      "a = 4",
      "a", "do local inner = 1 end", "inner", "({ a = 1, b = 2 }).b", in: directory)
    #expect(ended.lines == ["nil", "nil", "3", "4", "nil", "2"], "\(ended)")
    #expect(
      ended.errorLines.filter { $0.contains("local of") }.map { $0.replacing("  | ", with: "") }
        == ["b", "f"].map {
          "'\($0)' was a local of an earlier line, and was gone with it: leave out 'local' to keep it"
        }, "\(ended)")
  }

  @Test func storesAreReadAndNeverChanged() async throws {
    let directory = try project()
    let ended = try await repl(
      "store 'charts':get 'EURUSD'", "store 'charts':put('EURUSD', 2)", "store 'charts':get 'EURUSD'",
      "{ ctx:store('charts'):add('n', 1), ctx:emit('e', { a = 1 }) }", "store 'charts':keys()",
      "store 'charts':count 'E'",
      "(store 'charts':read_snapshot())", "store 'new':get 'k'",
      arguments: ["--stores", "{\"charts\": {\"EURUSD\": {\"rsi\": 70.5}, \"GBPUSD\": 1}}"], in: directory)
    #expect(
      ended.lines == [
        "{ rsi = 70.5 }", "put charts/EURUSD = 2  (shown, not applied)", "{ rsi = 70.5 }",
        "{ add charts/n = 1, emit e = { a = 1 } }  (shown, not applied)", "{ \"EURUSD\", \"GBPUSD\" }", "1",
        "0", "nil",
      ], "\(ended)")
  }

  @Test func mistakesAreSaidAndTheSessionGoesOn() async throws {
    let directory = try project()
    let ended = try await repl(
      "\u{FEFF}local t\\", "local t return t.x", "nosuch()", "1", "# = 1", "for", in: directory)
    #expect(ended.status == 1)
    #expect(ended.lines == ["1"])
    #expect(ended.errors.contains("repl:1: attempt to index a nil value (local 't')"), "\(ended)")
    #expect(ended.errors.contains("attempt to call a nil value (global 'nosuch')"))
    #expect(ended.errors.contains("repl:1: unexpected symbol near '#'"))
    #expect(!ended.errors.contains("<\\239>"))
    #expect(ended.errors.contains("repl: the input ends in the middle of: for"))
    #expect(!ended.errors.contains("[session]"))
  }

  @Test func helpComesFromTheDefinition() async throws {
    let directory = try project()
    let ended = try await repl("help 'store:scan'", "help()", "help 'prnt'", "help(print)", in: directory)
    #expect(ended.lines.first == "store:scan(prefix?, limit?)")
    #expect(ended.output.contains("nothing is known of 'prnt'; did you mean 'print'?"))
    // As other consoles have it.
    let word = try await repl("help", in: directory)
    #expect(word.output.contains("Tab completes"), "\(word)")
  }

  @Test(arguments: ["exit", "quit"])
  func aWordEndsTheSession(word: String) async throws {
    let directory = try project()
    #expect(try await repl("1", word, "2", in: directory).lines == ["1"])
    // Unless it is a name of this session.
    #expect(try await repl("\(word) = 5", word, "2", in: directory).lines == ["5", "2"])
  }

  @Test func aStoreThatWasNeverThereIsSaid() async throws {
    let directory = try project()
    let ended = try await repl("store 'chart':get 'a'", "store 'charts':get 'a'", in: directory)
    #expect(ended.lines == ["nil", "nil"])
    #expect(
      ended.errorLines == ["nothing was ever in a store 'chart'; did you mean 'charts'?"], "\(ended)")
  }

  @Test func aTracebackOfOnePlaceIsNone() async throws {
    let directory = try project()
    #expect(
      try await repl("x.y", in: directory).errorLines
        == ["repl:1: attempt to index a nil value (global 'x')"])
  }

  @Test func aDataDirectoryIsReadAtAnySeq() async throws {
    let directory = try TemporaryDirectory([
      "host.yaml": "stores: { counts: {} }\norder: strict\n",
      "triggers/count.lua": """
      local step = require "step"
      return { on = { event = "go" }, execute = function(event, ctx)
        return { ctx:store("counts"):add("n", step) }
      end }
      """, "triggers/lib/step.lua": "return 1",
      "events.jsonl": String(
        repeating: "{\"event\": \"go\"}\n", count: 5),
    ])
    let run = try await RunningCommand(
      ["run", "--data", "data", "--stdin", "--exit-when-idle"], in: directory.path,
      input: directory("events.jsonl")
    ).end()
    #expect(run.status == 0, "\(run)")
    // The modules are those of then.
    try directory.write("triggers/lib/step.lua", "return 7")
    let newest = try await repl(
      "store 'counts':get 'n'", "ctx.seq", "require 'step'", arguments: ["--data", "data"], in: directory)
    #expect(newest.lines == ["5", "5", "1"], "\(newest) after \(run)")
    let third = try await repl(
      "store 'counts':get 'n'", "store 'counts':add('n', 1)", "ctx.seq", "ctx.time > 1.6e9",
      "(store 'counts':read_snapshot())", arguments: ["--data", "data", "--at", "3"], in: directory)
    #expect(third.lines == ["3", "add counts/n = 1  (shown, not applied)", "3", "true", "3"], "\(third)")
    let late = try await repl("1", arguments: ["--data", "data", "--at", "9"], in: directory)
    #expect(late.status == 1 && late.errorLines == ["seq 9 is not there: the log ends at seq 5"])
  }

  @Test func whatDoesNotEndIsEndedByCtrlC() async throws {
    let directory = try project()
    try directory.write(
      "input.lua", "print('begins') while true do pcall(function() while true do end end) end\n1 + 1\n")
    let command = try RunningCommand(["repl"], in: directory.path, input: directory("input.lua"))
    try await command.line(containing: "begins")
    command.signal(SIGINT)
    let ended = try await command.end()
    #expect(ended.lines == ["[info] begins", "interrupted", "2"])
  }

  @Test func aPersonAtATerminalEditsRecallsAndCompletes() async throws {
    let directory = try project()
    let command = try RunningCommand(
      ["repl"], in: directory.path, output: .console,
      environment: ["HOME": directory.path, "XDG_STATE_HOME": "", "TERM": "xterm", "NO_COLOR": "1"])
    try await command.line(containing: "empty stores. Stores: charts. help() says more; Ctrl-D ends.")
    // Typed with a mistake and mended; a name completed; the line before recalled and changed.
    command.type("4 + 1\u{7f}0\r")
    try await command.line(containing: "4 + 40".dropLast(2) + "0")
    command.type("store \"ch\t\":cou\t()\r")
    try await command.line(containing: "store \"charts\":count()")
    command.type("\u{1b}[A\u{1b}[A\u{7f}8\r")
    try await command.line(containing: "4 + 8")
    // A terminal that is not the process's own sends no signal for its Ctrl-C.
    command.type("print(1) while true do end\r")
    try await command.line(containing: "[info] 1")
    // Typed while it runs: a key for the prompt that comes.
    command.type("\u{04}")
    command.signal(SIGINT)
    try await command.line(containing: "interrupted")
    let ended = try await command.end()
    #expect(ended.status == 0)
    let shown = ended.output.split(whereSeparator: \.isNewline).map(String.init)
    #expect(shown.contains("4") && shown.contains("0") && shown.contains("12"), "\(ended)")
    #expect(
      try directory.read(".trigger-host_history")
        == "4 + 0\nstore \"charts\":count()\n4 + 8\nprint(1) while true do end\n")
  }
}
