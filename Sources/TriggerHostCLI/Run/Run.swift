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

      What scripts log reads "[trigger seq.attempt] level: message {fields}". With --stdin, each line is an event:

        {"event": "visit", "payload": {"page": "home"}}
        {"event": "visit", "kind": "message", "payload": {}, "key": "visit-17"}

      Ctrl-C ends it with a summary. With --data everything is kept: kill it at any moment and start it \
      again, and it goes on where it was. Without, state lives in memory and is gone afterwards.
      """)

  @OptionGroup var project: ProjectOptions
  @Option(help: "Worker threads, 1 to 64. Default: the configuration's, or one per core.") var workers: Int?
  @OptionGroup var data: DataArguments
  @Flag(help: "Read events from standard input, JSON Lines, and write acknowledgements to standard output.")
  var stdin = false
  @Flag(help: "End when the feeds are read and nothing is left to do.") var exitWhenIdle = false

  func validate() throws {
    if let workers, !(1...64).contains(workers) {
      throw ValidationError("--workers is 1 to 64, got \(workers)")
    }
  }

  func run() async throws {
    guard let loaded = project.load() else {
      throw ValidationError(
        "Say what to run: --config host.yaml or --scripts DIR; there is no host.yaml here.")
    }
    try report(loaded.report)
    // A log reader that goes away does not end the host.
    signal(SIGPIPE, SIG_IGN)
    let options = data.options(loaded.config)
    try report(ConfigReport(loaded.config.overlaps(data: options?.path)))
    let host = try Host(config: loaded.config, workers: workers, data: options)
    let signals = EndSignals()
    try await host.start()
    let status = StatusLine(host: host)
    status.start()
    let end = await work(host, until: signals)
    status.stop()
    host.stop()
    printLine(host.summary())
    if case .failure(let error) = end, !(error is CancellationError) { throw error }
  }

  /// Reads the feeds and serves until a signal comes, or nothing is left to do.
  private func work(_ host: Host, until signals: EndSignals) async -> Result<Void, any Error> {
    let feeding = Task {
      async let lines: Void = stdin ? host.serveStandardInput() : ()
      try await host.feed()
      await lines
    }
    signals.onFirst {
      printLine("Ending: finishing what is queued. Press Ctrl-C again to end at once.")
      feeding.cancel()
      host.stopSchedules()
    }
    let end = await feeding.result
    if case .success = end {
      await host.queue.waitUntilIdle()
      if !exitWhenIdle, !signals.haveCome {
        if !host.config.feeds.isEmpty { printLine(host.summary() + "\n\nAll feeds are read.") }
        printLine("Serving; press Ctrl-C to end.")
        await signals.wait()
      }
    }
    host.stopSchedules()
    await host.queue.waitUntilIdle()
    return end
  }
}
