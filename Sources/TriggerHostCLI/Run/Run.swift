import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerHost
import TriggerReview
import TriggerRuntime
import TriggerServer

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a host: scripts, feeds and schedules.",
    discussion: """
      Everything can come from a host.yaml, or from options alone:

        trigger-host run examples/market
        trigger-host run --scripts triggers --cron cron.yaml
        echo '{"event": "visit"}' | trigger-host run --stdin --scripts triggers

      With --listen, events come in by HTTP, and the address is printed:

        trigger-host run examples/market --listen 127.0.0.1:8080
        curl --json '{"page": "home"}' http://127.0.0.1:8080/v1/events/visit

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
  @OptionGroup var server: ServerArguments
  @OptionGroup var logLines: LogLineOptions

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
    Output.beginLog(logLines.logLines)
    let signals = EndSignals()
    signals.onFirst {
      // Whatever it is at: it may be killed at any moment.
      Output.say(.info, "Ending before it has started.")
      Output.endProcess(0)
    }
    let places = project.places(in: directory)
    guard let loaded = places.load() else {
      throw ValidationError(
        "Say what to run: a directory, --config host.yaml or --scripts DIR; there is no host.yaml here.")
    }
    try report(loaded.report)
    // A log reader that goes away does not end the host, and one that does not read does not stop it.
    signal(SIGPIPE, SIG_IGN)
    Output.beginWriters()
    var options = options
    let serving = try server.options(loaded.config, data: data.data)
    options.keepsSessions = serving != nil
    try report(ConfigReport(loaded.config.overlaps(data: options.place(loaded.config)?.path)))
    let recovered = try OpenedHost(loaded.config, options, reading: { places.load() }).recover()
    let host = try await start(recovered, signals, loaded.config.stopTimeout)
    let work = HostWork(host, readsLines: stdin)
    try await listen(work, serving)
    await work.listenToOwner()
    let ending = Ending(work)
    signals.onFirst { ending.begin() }
    signals.onHangup { host.reload() }
    do {
      work.status.start()
      try await finish(work)
      if !endsByItself(work) {
        if !host.config.feeds.isEmpty {
          for notice in work.summary() { Output.say(notice) }
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
    if endsByItself(work), let failures = work.onlyFailures {
      Output.problem("Nothing succeeded: \(failures)")
      throw ExitCode(1)
    }
  }

  /// Who asks for the end now gets that of a host that has started: the last one's work is in it. One that does not start
  /// in its time ends as it is.
  private func start(
    _ recovered: consuming RecoveredHost, _ signals: EndSignals, _ longest: Duration
  ) async throws -> RunningHost {
    let isOver = Mutex(false)
    signals.onFirst {
      DispatchQueue.global().asyncAfter(deadline: .now() + longest / .seconds(1)) {
        if isOver.withLock({ $0 }) { return }
        Output.say(.info, "Ending before it has started.")
        Output.endProcess(0)
      }
    }
    defer { isOver.withLock { $0 = true } }
    return try await recovered.start()
  }

  private var options: HostOptions {
    var options = data.options
    options.workers = workers
    options.observer = Self.say
    options.judge = .workshop
    return options
  }

  /// What a host says goes to its log; a host that can keep nothing more ends.
  @Sendable private static func say(_ notice: HostNotice) {
    Output.say(notice)
    if notice.code == .logFailed { Output.endProcess(1) }
  }

  /// A pipe or a file as input is work to do; a terminal is somebody who may have more.
  private func endsByItself(_ work: HostWork) -> Bool {
    exitWhenIdle || stdin && !serve && work.server == nil && isatty(STDIN_FILENO) == 0
  }

  /// - Throws: `CannotListen`; the host has stopped then.
  private func listen(_ work: HostWork, _ options: ServerOptions?) async throws {
    guard let options else { return }
    do { Output.say(.info, "Listening on http://\(try await work.listen(options))") } catch {
      await work.host.stop()
      throw error
    }
  }

  /// Reads the feeds and standard input, and returns when nothing is left to do.
  private func finish(_ work: HostWork) async throws {
    let host = work.host
    async let lines: Void? = work.lines?.run()
    try await host.feeds.run()
    _ = await lines
    // What fires every moment would never let it end.
    if endsByItself(work), !exitWhenIdle { host.stopSchedules() }
    await host.queue.waitUntilIdle()
    if exitWhenIdle {
      host.stopSchedules()
      await host.queue.waitUntilIdle()
    }
  }
}

/// What `run` has a host do: its lines and answers, and what is shown of it meanwhile.
final class HostWork: Sendable {
  let host: RunningHost
  /// Standard input; nil when nobody said to read it.
  let lines: EventLines?
  let answers: Answers?
  let status: StatusLine
  private let serving = Mutex<HostServer?>(nil)
  private let owner = Mutex<HostSocket?>(nil)
  /// Requests; nil when nobody said where to listen.
  var server: HostServer? { serving.withLock { $0 } }
  /// Commands of the owner's; nil when nothing is kept.
  var socket: HostSocket? { owner.withLock { $0 } }

  init(_ host: RunningHost, readsLines: Bool) {
    self.host = host
    let answers = readsLines ? Answers { Output.acknowledgement($0) } : nil
    self.answers = answers
    lines = answers.map { EventLines(host, reading: STDIN_FILENO, $0) }
    status = StatusLine(host: host)
  }

  /// Takes requests from now on.
  ///
  /// - Returns: where.
  /// - Throws: `CannotListen`, `NotOpenToOthers`.
  func listen(_ options: ServerOptions) async throws -> String {
    let server = try HostServer(host, options)
    Task { try? await server.run() }
    let address = try await server.listening()
    serving.withLock { $0 = server }
    return address
  }

  /// Takes commands such as `dead requeue` from now on. A host runs without, too.
  func listenToOwner() async {
    do {
      guard let socket = try HostSocket(host) else { return }
      Task { try? await socket.run() }
      try await socket.listening()
      owner.withLock { $0 = socket }
    } catch { Output.say(.warning, "warning: commands like dead requeue cannot reach this host: \(error)") }
  }

  /// What failed, when nothing else happened; nil when something did, or nothing failed.
  var onlyFailures: String? {
    let (stats, rows, refused) = (host.coordinator.stats, host.feeds.rows, lines?.refused ?? 0)
    if stats.committed + stats.skipped + rows.skipped > 0 { return nil }
    let failures = [
      (stats.failed, "operation failed", "operations failed"),
      (refused, "line was refused", "lines were refused"),
      (rows.bad, "row was bad", "rows were bad"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.0 == 1 ? $0.1 : $0.2)" }
    if failures.isEmpty { return host.runsNothing ? "no script could be loaded" : nil }
    return failures.joined(separator: ", ")
  }
}

/// How a host says what it does.
struct LogLineOptions: ParsableArguments {
  @Flag(help: "Say warnings and errors only.") var quiet = false
  @Option(help: "What the log on standard error is: text, or json, one object a line.")
  var logFormat = LogLines.Format.text

  var logLines: LogLines { LogLines(format: logFormat, isQuiet: quiet) }
}

extension LogLines.Format: ExpressibleByArgument {}
