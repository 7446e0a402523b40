import Foundation
import Testing
import TriggerRuntime

import trigger_host

/// Texts of scripts and events, through every command: none of them reaches the terminal as it is, and none looks like a
/// line of the host's.
@Suite struct HostileTextTests {
  private static let texts = [
    "x\n[other 9.9] error: forged", "\u{1b}[2J\u{1b}]0;title\u{7}", "\u{9b}31m and \u{85}",
    "\u{7f}\u{8}\u{0}",
    "over\rwritten", "line\u{2028}paragraph\u{2029}", "\u{202e}turned\u{2066}\u{200f}\u{61c}",
    "seq 1\nforged\n\nforged",
  ]

  private static let script = """
    -- \u{1b}[31m \u{202e}
    return { on = { event = "e" }, retry = { attempts = 1 }, execute = function(event, ctx)
      local text, s = event.text, ctx:store("s")
      print(text, { text, [text] = 1 })
      ctx:log("warning", text, { text = text, [text] = text })
      io.write(text) warn(text)
      if event.fails then error(text) end
      return { s:put("k", text), s:put("key" .. text, { [text] = text }), ctx:emit(text, text) }
    end }
    """

  /// Neither control characters, but for those of lines, nor lines that are the text's own.
  private func expectHarmless(_ command: [String], _ ended: EndedCommand) {
    for (name, text) in [("output", ended.output), ("errors", ended.errors)] {
      for scalar in text.unicodeScalars where scalar != "\n" && scalar != "\t" {
        let steers =
          [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
          || scalar.properties.isBidiControl
        if steers {
          Issue.record("\(command): \(name) has U+\(String(scalar.value, radix: 16)): \(text.prefix(2000))")
          break
        }
      }
    }
    for line in ended.lines + ended.errorLines where line.hasPrefix("[other") || line.hasPrefix("forged") {
      Issue.record("\(command): a line is forged: \(line)")
    }
  }

  private func expectExact(_ command: [String], _ text: String) throws {
    let found = try text.split(separator: "\n").map {
      try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
    }
    func texts(_ value: Any) -> [String] {
      if let text = value as? String { return [text] }
      if let list = value as? [Any] { return list.flatMap(texts) }
      return (value as? [String: Any])?.flatMap { [$0.key] + texts($0.value) } ?? []
    }
    let all = Set(found.flatMap(texts))
    for hostile in Self.texts {
      #expect(
        all.contains { $0.contains(hostile) },
        "\(command): '\(hostile.debugDescription)' is not in \(text.prefix(3000))")
    }
  }

  private func json(_ value: Any) throws -> String {
    String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
  }

  private func project() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory([
      "triggers/t.lua": Self.script, "host.yaml": "scripts: triggers\norder: strict\nworkers: 1\n",
    ])
    let lines = try Self.texts.flatMap { text in
      try [false, true].map {
        try json(["event": "e", "payload": ["text": text, "fails": $0], "id": text] as [String: Any]) + "\n"
      }
    }
    try directory.write("in.jsonl", lines.joined())
    let tests = Self.texts.map { text in
      let literal = "\"" + text.utf8.map { "\\x" + String(format: "%02x", $0) }.joined() + "\""
      return "it(\(literal), function() print(\(literal)) expect(\(literal)):equals(\"other\") end)"
    }
    try directory.write(
      "triggers/t_test.lua", "describe('t', function() \(tests.joined(separator: "\n")) end)\n")
    return directory
  }

  @Test func everyCommand() async throws {
    let directory = try project()
    for options in [[], ["--log-format", "json"]] {
      let data = "data\(options.count)"
      let command = ["run", ".", "--stdin", "--data", data] + options
      let ended = try await RunningCommand(command, in: directory.path, input: directory("in.jsonl")).end()
      #expect(ended.status == 0)
      expectHarmless(command, ended)
      try expectExact(command, ended.output)
      if !options.isEmpty { try expectExact(command, ended.errors) }
    }
    let failed = "2"
    try directory.write(
      "other/t.lua", Self.script.replacing("if event.fails then", with: "if not event.fails then"))
    let commands: [[String]] = [
      ["log", "cat"], ["log", "cat", "--json"], ["log", "export"], ["dead", "list"],
      ["dead", "list", "--json"],
      ["dead", "show", failed], ["dead", "show", failed, "--json"], ["replay"], ["replay", "--json"],
      ["replay", "--export", "-"], ["replay", "--with", "other", "--all"],
      ["replay", "--with", "other", "--all", "--json"], ["replay", "--verify"], ["why", "s", "k"],
      ["why", "s", "k", "--history", "100"], ["why", "s", "k", "--history", "100", "--json"],
      ["exec", "--seq", failed], ["exec", "--seq", failed, "--trace"], ["exec", "--seq", failed, "--json"],
      ["scripts", "log"], ["scripts", "diff", "tree:1"],
    ]
    for command in commands {
      let command = command + ["--data", "data0"]
      let ended = try await RunningCommand(command, in: directory.path).end()
      #expect(ended.status < 2, "\(command): \(ended)")
      expectHarmless(command, ended)
      if command.contains("--json") && !command.contains(failed) || command.contains("export") {
        try expectExact(command, ended.output)
      }
    }
  }

  @Test func withoutData() async throws {
    let directory = try project()
    for text in Self.texts {
      for fails in [false, true] {
        let event = try json(["text": text, "fails": fails] as [String: Any])
        for option in [[], ["--trace"], ["--json"]] {
          let command = ["exec", "triggers/t.lua", "--event", event] + option
          expectHarmless(command, try await RunningCommand(command, in: directory.path).end())
        }
      }
    }
    for command in [["test"], ["test", "--verbose"], ["test", "--json"]] {
      let ended = try await RunningCommand(command, in: directory.path).end()
      #expect(ended.status == 1)
      expectHarmless(command, ended)
    }
    // A script that raises it while it loads, and one that is named like it.
    for (index, text) in Self.texts.enumerated() {
      let bytes = text.utf8.map { "\\x" + String(format: "%02x", $0) }.joined()
      try directory.write("triggers/load\(index).lua", "error(\"\(bytes)\", 0)\n")
    }
    try directory.write("triggers/\u{1b}[31m.lua", "return {\n")
    for command in [["check"], ["check", "--json"], ["run", ".", "--exit-when-idle"]] {
      let ended = try await RunningCommand(command, in: directory.path).end()
      expectHarmless(command, ended)
    }
    let lines = Self.texts.map { text in
      let bytes = text.utf8.map { "\\x" + String(format: "%02x", $0) }.joined()
      return
        "print(\"\(bytes)\")\n\"\(bytes)\"\n{ [\"\(bytes)\"] = 1 }\nerror(\"\(bytes)\")\nctx:store(\"s\"):put(\"\(bytes)\", 1)\n"
    }
    try directory.write("repl.txt", lines.joined())
    let repl = try await RunningCommand(
      ["repl", "--scripts", "other"], in: directory.path, input: directory("repl.txt")
    ).end()
    expectHarmless(["repl"], repl)
    #expect(repl.lines.count > Self.texts.count)
  }

  /// There is one way out. Who else writes to a descriptor has a reason, which its file says.
  @Test func noCommandPrintsByItself() throws {
    let others = [
      "Output.swift", "OutputWriter.swift", "LineWriter.swift", "Terminal.swift", "ScriptsCommand.swift",
      "Bench.swift",
    ]
    let sources = URL(fileURLWithPath: #filePath + "/../../../Sources").standardized
    let files = try ["TriggerHostCLI", "TriggerRuntime"].flatMap { name in
      let root = sources.appendingPathComponent(name)
      let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
      return files.compactMap { $0 as? URL }
    }
    var count = 0
    for file in files where file.pathExtension == "swift" {
      count += 1
      if others.contains(file.lastPathComponent) { continue }
      let text = try String(contentsOf: file, encoding: .utf8)
      let found = text.firstMatch(
        of: #/(^|[^\w.])(print|debugPrint|puts|putchar)\(|FileHandle\.standard(Output|Error)/#)
      #expect(found == nil, "\(file.lastPathComponent): \(found?.output.0 ?? "")")
    }
    #expect(count > 60)
  }

  // MARK: Pieces

  @Test func literalsStayAndTheRestIsMarked() {
    let (text, other) = ("a\nb\u{1b}", "x\ny")
    let line: TerminalText = "\u{1b}[1m\(text)\n\(5)\(TerminalText(other))"
    #expect(line.shown == "\u{1b}[1ma\n  | b\\u{1b}\n5x\n  | y")
    #expect(line.plain == "\u{1b}[1ma\nb\u{1b}\n5x\ny")
    #expect(TerminalText(lines: "a\nb\u{7}").shown == "a\nb\\u{7}")
    #expect(
      TerminalText("\u{e9} \u{1f468}\u{200d}\u{1f469} \t ok").shown
        == "\u{e9} \u{1f468}\u{200d}\u{1f469} \t ok")
    #expect(#"{"a":"\#u{9b}\#u{202e}é"}"#.withJSONEscapes == #"{"a":"\u009b\u202eé"}"#)
  }

  @Test func aTriggersLinesAreBoundedInASecond() {
    let (limit, start) = (LineLimit(), ContinuousClock.now)
    for index in 0..<150 {
      let isFirst = limit.passes(10_000, of: "orders", at: start + .milliseconds(index))
      #expect(isFirst == (index < 100))
      #expect(limit.passes(10, of: "others", at: start + .milliseconds(index)))
    }
    #expect(limit.passes(10_000, of: "orders", .failures, at: start))
    limit.drop(1184, of: "orders")
    #expect(limit.takeDropped().map { "\($0.trigger) \($0.count)" } == ["orders 1234"])
    #expect(limit.takeDropped().isEmpty)
    #expect(limit.passes(10_000, of: "orders", at: start + .seconds(2)))
  }

  @Test func whatIsDroppedIsSaidOnce() async throws {
    let directory = try TemporaryDirectory([
      "triggers/orders.lua": """
      return { on = { start = true }, timeout = "1m", execute = function(event, ctx)
        for i = 1, 2234 do print(i) end
        return {}
      end }
      """
    ])
    let ended = try await triggerHost("run", ".", "--exit-when-idle", in: directory.path)
    let said = ended.errorLines.filter { $0.contains("dropped") }
    let kept = ended.errorLines.count { $0.hasPrefix("[orders 1.1] info: ") }
    #expect(said == ["… and \(grouped(2234 - kept)) more lines of orders dropped"], "\(said)")
    #expect(kept == 1000)
    let exec = try await triggerHost("exec", "triggers/orders.lua", in: directory.path)
    #expect(
      exec.lines.contains("log    … and \(grouped(2234 - kept)) more lines dropped"),
      "\(exec.lines.suffix(3))")
    let json = try await triggerHost("exec", "triggers/orders.lua", "--json", in: directory.path)
    #expect(try json.jsonObject()["log_dropped"] as? Int == 2234 - kept)
  }
}
