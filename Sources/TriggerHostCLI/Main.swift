import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerWorkshop

@main
struct TriggerHostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trigger-host",
    abstract: "Runs Lua triggers over versioned stores, committed in one order.",
    discussion: """
      Start here:

        trigger-host new mine                            # a working starter project
        trigger-host run mine

      Exit codes: 0 good, 1 the thing checked or run is bad, 2 usage, 70 a defect of trigger-host itself, \
      130 ended at once by a second Ctrl-C or SIGTERM.
      Completion scripts: trigger-host --generate-completion-script bash|zsh|fish
      """,
    version: "0.1.0\n\(EnvironmentVersions.lua)",
    subcommands: [
      Run.self, New.self, Check.self, Test.self, Exec.self, ReplCommand.self, CronCommand.self,
      ScriptsCommand.self, Annotations.self, Replay.self, LogCommand.self, Why.self, DeadCommand.self,
      TokenCommand.self, Bench.self,
    ])

  static func main() async {
    StandardDescriptors.fill()
    if let fault = faultOfArguments() {
      Output.usage("Error: \(fault)\n  See 'trigger-host --help' for more information.")
      exit(withError: ExitCode(2))
    }
    var command: any ParsableCommand
    do { command = try parseAsRoot() } catch { exit(withCode: error) }
    defer { Output.flush() }
    do {
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as ValidationError {
      // What only running could find. Usage lines would not help with it.
      Output.usage(
        "Error: \(TerminalText(lines: error.message))\n  See '\(path(of: type(of: command))) --help' for more information."
      )
      Output.flush()
      exit(withError: ExitCode(2))
    } catch { exit(withCode: error) }
  }

  /// `CommandLine` repairs what is no text, and takes another key or file for the one that was named.
  private static func faultOfArguments() -> String? {
    for index in 0..<Int(CommandLine.argc) {
      guard let argument = CommandLine.unsafeArgv[index] else { return nil }
      let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
      do throws(InvalidUTF8) { _ = try String(text: bytes) } catch {
        return "argument \(index), '\(CommandLine.arguments[index])': \(error)"
      }
    }
    return nil
  }

  /// ArgumentParser's own codes for usage (64) become 2; what it does not know is ours (70).
  private static func exit(withCode error: any Error) -> Never {
    let code: ExitCode
    switch exitCode(for: error) {
    case .success: exit(withError: error)
    case .validationFailure:
      Output.usage(TerminalText(lines: fullMessage(for: error)))
      code = ExitCode(2)
    default:
      if let error = error as? ExitCode {
        code = error
      } else if error is HostNotReady {
        // It has been said.
        code = ExitCode(1)
      } else if error is any ExpectedFailure {
        Output.problem("\(error)")
        code = ExitCode(1)
      } else {
        Output.problem(
          "internal error: \(error)\nThis is a defect of trigger-host; please report it with what you did.")
        code = ExitCode(70)
      }
    }
    Output.flush()
    exit(withError: code)
  }

  /// `trigger-host cron next`: what a user types to get to a command.
  private static func path(of command: any ParsableCommand.Type) -> String {
    func names(below root: any ParsableCommand.Type) -> [String]? {
      let name = root.configuration.commandName ?? "\(root)".lowercased()
      if root == command { return [name] }
      let below = root.configuration.subcommands.lazy.compactMap { names(below: $0) }.first
      return below.map { [name] + $0 }
    }
    return (names(below: Self.self) ?? ["trigger-host"]).joined(separator: " ")
  }
}
