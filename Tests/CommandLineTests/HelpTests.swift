import Foundation
import Testing

/// What every command does alike.
@Suite struct HelpTests {
  @Test(arguments: [
    [], ["run"], ["new"], ["check"], ["exec"], ["cron"], ["cron", "next"], ["cron", "explain"],
    ["cron", "check"],
    ["bench"], ["test"], ["repl"], ["scripts"], ["scripts", "log"], ["scripts", "show"], ["scripts", "diff"],
    ["scripts", "rollback"], ["annotations"], ["replay"], ["log"], ["log", "cat"], ["log", "export"],
    ["log", "verify"], ["why"], ["dead"], ["dead", "list"], ["dead", "show"], ["dead", "requeue"],
    ["dead", "drop"], ["token"], ["token", "create"], ["token", "list"], ["token", "revoke"],
  ])
  func helpIsGood(_ command: [String]) async throws {
    let ended = try await RunningCommand(command + ["--help"]).end()
    #expect(ended.status == 0)
    #expect(ended.errors == "")
    #expect(ended.output.contains("USAGE: \((["trigger-host"] + command).joined(separator: " "))"))
    // Eighty columns wide, and no line was broken twice: before its end, and again at the end of the text's own line.
    let prose = ended.output.split(separator: "USAGE: ")[0].split(
      separator: "\n", omittingEmptySubsequences: false)
    for (line, next) in zip(prose, prose.dropFirst())
    where !line.hasPrefix(" ") && !line.isEmpty && !next.isEmpty {
      let word = next.split(separator: " ").first ?? ""
      let isShort = line.count + 1 + word.count < 80
      #expect(
        !isShort || next.hasPrefix(" ") || line.contains("  ") || line.hasSuffix(".") || line.hasSuffix(":"),
        "\(line)")
    }
    for line in prose { #expect(line.count <= 80, "\(line)") }
  }

  /// Which Lua it is, and what in it is guarded against; the start of a host says the same.
  @Test func theVersionNamesTheLua() async throws {
    let ended = try await triggerHost("--version")
    #expect(ended.status == 0 && ended.errors == "")
    let lua = try #require(ended.lines.dropFirst().first)
    #expect(lua.contains(/^Lua 5\.4\.\d+ \((guards: [a-z, ]+|no guards needed)\)$/), "\(lua)")
    if lua.hasPrefix("Lua 5.4.4 ") { #expect(lua == "Lua 5.4.4 (guards: stacks, handlers, code, names)") }
    let directory = try TemporaryDirectory([
      "triggers/a.lua": "return { on = { event = 'a' }, execute = print }"
    ])
    let run = try await triggerHost("run", "--scripts", directory("triggers"), "--exit-when-idle")
    #expect(run.errorLines.contains(lua), "\(run)")
  }

  @Test(arguments: [("bash", "complete"), ("zsh", "#compdef trigger-host"), ("fish", "complete -c")])
  func completionScriptsAreMade(_ shell: String, _ words: String) async throws {
    let ended = try await triggerHost("--generate-completion-script", shell)
    #expect(ended.status == 0)
    #expect(ended.output.contains(words))
    #expect(ended.output.contains("trigger-host") && ended.output.contains("exit-when-idle"))
  }

  @Test func theVersionIsANumber() async throws {
    let ended = try await triggerHost("--version")
    #expect(ended.status == 0)
    #expect(ended.output.prefixMatch(of: /\d+\.\d+\.\d+\n/) != nil)
  }

  @Test(arguments: [
    (["rnu"], "Unexpected argument 'rnu'", "trigger-host"),
    (["--verbose"], "Unknown option '--verbose'", "trigger-host"),
    (["run", "--confg", "x"], "Unknown option '--confg'. Did you mean '--config'?", "trigger-host run"),
    (["run", "a", "extra"], "Unexpected argument 'extra'", "trigger-host run"),
    (["run", "--workers", "0"], "--workers is 1 to 64, got 0", "trigger-host run"),
    (["cron", "nxt"], "Unexpected argument 'nxt'", "trigger-host cron"),
    (["new"], "Missing expected argument '<directory>'", "trigger-host new"),
    (
      ["--generate-completion-script", "pwsh"], "Can't generate completion scripts for 'pwsh'.",
      "trigger-host"
    ),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String, _ command: String) async throws {
    let ended = try await RunningCommand(arguments).end()
    #expect(ended.status == 2)
    #expect(ended.output == "")
    #expect(ended.errorLines.first == "Error: \(message)")
    #expect(ended.errors.contains("'\(command) --help'"))
  }
}
