import ArgumentParser

@main
struct TriggerHostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trigger-host",
    abstract: "Runs Lua triggers over versioned stores, committed in one order.",
    version: "0.1.0", subcommands: [Run.self, New.self, Check.self, Bench.self])
}
