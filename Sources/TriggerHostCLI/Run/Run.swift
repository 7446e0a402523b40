import ArgumentParser
import Foundation
import HostConfig
import TriggerHost

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a host: scripts, feeds and schedules.",
    discussion: """
      Everything can come from a host.yaml, or from options alone:

        trigger-host run --config examples/market/host.yaml
        trigger-host run --scripts triggers --cron cron.yaml

      Ctrl-C ends it with a summary. With --data everything is kept: kill it at any moment and start it
      again, and it goes on where it was. Without, state lives in memory and is gone afterwards.
      """)

  @OptionGroup var project: ProjectOptions
  @Option(help: "Worker threads, 1 to 64. Default: the configuration's, or one per core.") var workers: Int?
  @OptionGroup var data: DataArguments
  @Flag(help: "Read events from standard input, JSON Lines, and write acknowledgements to standard output.")
  var stdin = false
  @Flag(help: "End when the feeds are read and nothing is left to do.") var exitWhenIdle = false

  func run() async throws {
    guard let loaded = project.load() else {
      throw ValidationError("Say what to run: --config host.yaml or --scripts DIR.")
    }
    try report(loaded.report)
    let host = try Host(config: loaded.config, workers: workers, data: try data.options())
    try host.start()
    let status = StatusLine(host: host)
    status.start()
    let work = Task {
      async let lines: Void = stdin ? host.serveStandardInput() : ()
      try await host.feed()
      await lines
      await host.queue.waitUntilIdle()
    }
    let signals = EndSignals { work.cancel() }
    let end = await work.result
    if !exitWhenIdle, !signals.haveCome {
      printLine("All feeds are read. Serving; press Ctrl-C to end.")
      await signals.wait()
    }
    status.stop()
    host.stop()
    printLine(host.summary())
    if case .failure(let error) = end, !(error is CancellationError) { throw error }
  }
}
