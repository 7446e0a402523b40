import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a host: scripts, feeds and schedules.",
    discussion: """
      Everything can come from a host.yaml, or from flags alone:

        trigger-host run --config examples/market/host.yaml
        trigger-host run --scripts triggers --cron cron.yaml
      """)

  @Option(help: "The host's configuration (YAML).") var config: String?
  @Option(help: "Directory of Lua scripts; overrides the configuration's.") var scripts: String?
  @Option(help: "File with schedules; added to the configuration's.") var cron: String?
  @Option(help: "Worker threads. Default: the configuration's, or one per core.") var workers: Int?
  @Flag(help: "End when the feeds are read and nothing is left to do.") var exitWhenIdle = false

  func run() async throws {
    let config = try loadConfig()
    let host = try Host(config: config, workers: workers)
    let status = StatusLine(host: host)
    status.start()
    try await host.feed()
    await host.queue.waitUntilIdle()
    status.stop()
    printLine(host.summary())
    if !exitWhenIdle {
      printLine("Serving. Press Ctrl-C to end.")
      while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }
    host.stop()
  }

  private func loadConfig() throws -> HostConfig {
    var host: HostConfig
    if let config {
      let loaded = HostConfig.load(path: config)
      try report(loaded.report)
      host = loaded.config
    } else if scripts != nil {
      host = HostConfig(file: "command line")
    } else {
      throw ValidationError("Say what to run: --config host.yaml or --scripts DIR.")
    }
    if let scripts { host.scripts = HostConfig.Path(text: scripts, resolved: scripts) }
    if let cron {
      let file = loadCronFile(path: cron, name: cron)
      try report(file.report)
      host.schedules += file.entries
    }
    return host
  }
}

/// Prints problems as `file:line: message`; ends the command when one is an error.
func report(_ report: ConfigReport) throws {
  for problem in report.sorted { printError("\(problem)") }
  if !report.isGood { throw ExitCode(1) }
}

/// Prints a line at once, also into a pipe: a host's output is read while it runs.
func printLine(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

func printError(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
