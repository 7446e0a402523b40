import ArgumentParser

@main
struct TriggerHostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "trigger-host")
}
