import ArgumentParser
import Foundation
import HostConfig
import TriggerHost
import TriggerRuntime

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a host: scripts, feeds and schedules.",
    discussion: """
      Everything can come from a host.yaml, or from options alone:

        trigger-host run examples/market
        trigger-host run --scripts triggers --cron cron.yaml
        echo '{"event": "visit"}' | trigger-host run --stdin --scripts triggers

      With --stdin, each line is an event, and is answered on standard output:

        {"event": "visit", "payload": {"page": "home"}}
        {"event": "visit", "kind": "message", "payload": {}, "key": "visit-17"}

      When that input has ended and all of it is decided, the host ends, schedules or not; a terminal as input, or \
      --serve, lets it stay. Standard output has answers alone. What the host does, and what scripts log, goes to \
      standard error with times: "[trigger seq.attempt] level: message {fields}".

      Ctrl-C ends it with a summary: what runs is finished, for stop_timeout (host.yaml) at most, and what \
      waits is left. With --data everything is kept: end it or kill it at any moment and start it again, and \
      it goes on where it was. Without, state lives in memory and is gone afterwards. What it prints waits for \
      nobody: while nobody reads, log lines are left out and counted.
      """)

  @Argument(
    help: "A directory with host.yaml, or of scripts alone. Default: host.yaml here.", completion: .directory)
  var directory: String?
  @OptionGroup var project: ProjectOptions
  @Option(help: "Worker threads, 1 to 64. Default: the configuration's, or one per core.") var workers: Int?
  @OptionGroup var data: DataArguments
  @Flag(help: "Read events from standard input, JSON Lines, and write acknowledgements to standard output.")
  var stdin = false
  @Flag(help: "End when the feeds are read and nothing is left to do; with 1 when all of it failed.")
  var exitWhenIdle = false
  @Flag(help: "Go on when standard input has ended, until a signal comes.") var serve = false
  @OptionGroup var journal: JournalOptions

  func validate() throws {
    if let directory, let config = project.config {
      throw ValidationError("Give a directory (\(directory)) or --config \(config), not both.")
    }
    if serve, exitWhenIdle { throw ValidationError("--serve and --exit-when-idle exclude each other") }
    if let workers, !(1...64).contains(workers) {
      throw ValidationError("--workers is 1 to 64, got \(workers)")
    }
  }

  func run() async throws {
    Output.beginJournal(journal.journal)
    let signals = EndSignals()
    signals.onFirst {
      // Whatever it is at: it may be killed at any moment.
      Output.say(.info, "Ending before it has started.")
      Output.endProcess(0)
    }
    guard let loaded = project.load(in: directory) else {
      throw ValidationError(
        "Say what to run: a directory, --config host.yaml or --scripts DIR; there is no host.yaml here.")
    }
    try report(loaded.report)
    // A log reader that goes away does not end the host, and one that does not read does not stop it.
    signal(SIGPIPE, SIG_IGN)
    Output.beginWriters()
    let options = data.options(loaded.config)
    try report(ConfigReport(loaded.config.overlaps(data: options?.path)))
    let answers = stdin ? Answers { Output.acknowledgement($0) } : nil
    let host = try RunningHost(
      config: loaded.config, workers: workers, data: options, answers: answers, notices: Self.notices)
    let status = StatusLine(host: host)
    let ending = Ending(host, status)
    signals.onFirst { ending.begin() }
    do {
      signals.onHangup { host.reload() }
      try await host.start(reading: project.loading)
      status.start()
      try await work(host)
      if !endsByItself {
        if !host.config.feeds.isEmpty {
          for notice in host.summary() { Output.say(notice) }
          Output.say(.info, "All feeds are read.")
        }
        if stdin { Output.say(.info, "Standard input has ended.") }
        Output.say(.info, "Serving; press Ctrl-C to end.")
        await signals.wait()
      }
    } catch {
      await ending.finish()
      throw error
    }
    await ending.finish()
    if endsByItself, let failures = host.onlyFailures {
      Output.problem("Nothing succeeded: \(failures)")
      throw ExitCode(1)
    }
  }

  /// What a host says goes to its log; a host that can keep nothing more ends.
  private static let notices = Notices { notice in
    Output.say(notice)
    if notice.code == .logFailed { Output.endProcess(1) }
  }

  /// A pipe or a file as input is work to do; a terminal is somebody who may have more.
  private var endsByItself: Bool { exitWhenIdle || stdin && !serve && isatty(STDIN_FILENO) == 0 }

  /// Reads the feeds and standard input, and returns when nothing is left to do.
  private func work(_ host: RunningHost) async throws {
    async let lines: Void = stdin ? host.serveLines(of: STDIN_FILENO) : ()
    try await host.feed()
    await lines
    // What fires every moment would never let it end.
    if endsByItself, !exitWhenIdle { host.stopSchedules() }
    await host.queue.waitUntilIdle()
    if exitWhenIdle {
      host.stopSchedules()
      await host.queue.waitUntilIdle()
    }
  }
}

/// How a host says what it does.
struct JournalOptions: ParsableArguments {
  @Flag(help: "Say warnings and errors only.") var quiet = false
  @Option(help: "What the log on standard error is: text, or json, one object a line.")
  var logFormat = Journal.Format.text

  var journal: Journal { Journal(format: logFormat, isQuiet: quiet) }
}

extension Journal.Format: ExpressibleByArgument {}
