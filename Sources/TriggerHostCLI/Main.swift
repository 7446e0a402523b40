import ArgumentParser

@main
struct TriggerHostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trigger-host",
    abstract: "Runs Lua triggers over versioned stores, committed in one order.",
    subcommands: [Bench.self])
}
