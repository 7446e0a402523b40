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

      Ctrl-C ends it with a summary: what runs is finished, for stop_timeout (host.yaml) at most, and what \
      waits is left. With --data everything is kept: end it or kill it at any moment and start it again, and \
      it goes on where it was. Without, state lives in memory and is gone afterwards. What it prints waits for \
      nobody: while nobody reads, log lines are left out and counted.
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
    let signals = EndSignals()
    signals.onFirst {
      // Whatever it is at: it may be killed at any moment.
      printLine("Ending before it has started.")
      Output.endProcess(0)
    }
    guard let loaded = project.load() else {
      throw ValidationError(
        "Say what to run: --config host.yaml or --scripts DIR; there is no host.yaml here.")
    }
    try report(loaded.report)
    // A log reader that goes away does not end the host, and one that does not read does not stop it.
    signal(SIGPIPE, SIG_IGN)
    Output.beginWriters()
    let options = data.options(loaded.config)
    try report(ConfigReport(loaded.config.overlaps(data: options?.path)))
    let host = try Host(config: loaded.config, workers: workers, data: options, answers: stdin)
    let status = StatusLine(host: host)
    let ending = Ending(host, status)
    signals.onFirst { ending.begin() }
    do {
      try await host.start()
      status.start()
      try await work(host)
      if !exitWhenIdle {
        if !host.config.feeds.isEmpty { printLine(host.summary() + "\n\nAll feeds are read.") }
        printLine("Serving; press Ctrl-C to end.")
        await signals.wait()
      }
    } catch {
      await ending.finish()
      throw error
    }
    await ending.finish()
  }

  /// Reads the feeds and standard input, and returns when nothing is left to do.
  private func work(_ host: Host) async throws {
    async let lines: Void = stdin ? host.serveStandardInput() : ()
    try await host.feed()
    await lines
    await host.queue.waitUntilIdle()
    if exitWhenIdle {
      host.stopSchedules()
      await host.queue.waitUntilIdle()
    }
  }
}
