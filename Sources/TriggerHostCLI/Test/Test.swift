import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerTestKit

struct Test: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Run the tests of the scripts: *_test.lua beside the triggers.",
    discussion: """
      Tests are written with describe, it and expect, and run triggers on the real engine over stores that they \
      say themselves. Exits with 1 when one fails.

        trigger-host test                        # the project here
        trigger-host test examples/home --filter "clock change"
        trigger-host test --watch                # again whenever a file is saved
        trigger-host test --junit report.xml

      How to write them: Sources/TriggerHost/Documentation.docc/TestingScripts.md
      """)

  @Argument(help: "A directory with host.yaml, or of scripts alone.", completion: .directory)
  var directory: String?
  @OptionGroup var project: ProjectOptions
  @Option(help: "Only tests with this text in their file's or own name.") var filter: String?
  @Option(help: "Wall time of one test, with all that it asks of a host, like 10s.") var timeout = "10s"
  @Option(help: "Write the results as JUnit XML, too.", completion: .file()) var junit: String?
  @Flag(help: "Print one JSON object.") var json = false
  @Flag(help: "Show every test, not only those that fail.") var verbose = false
  @Flag(help: "Run again whenever a script or the configuration changes.") var watch = false

  func validate() throws {
    if let directory, let config = project.config {
      throw ValidationError("Give a directory (\(directory)) or --config \(config), not both.")
    }
    if watch, json || junit != nil {
      throw ValidationError("--watch is for people: leave out --json and --junit.")
    }
    guard let span = try? TimeSpan.parse(timeout), span > .zero else {
      throw ValidationError("--timeout is a time span like 10s, got '\(timeout)'")
    }
  }

  func run() async throws {
    if watch { try await runForEver() }
    guard let loaded = project.load(in: directory ?? (project.scripts == nil ? "." : nil)) else {
      throw ValidationError("Say what to test: a directory, --config or --scripts.")
    }
    let run = try await runOnce(loaded)
    if !run.isGood { throw ExitCode(1) }
  }

  /// Runs the tests and says what came of them.
  ///
  /// - Parameter files: only these; nil: all.
  private func runOnce(_ loaded: HostConfig.Loaded, files: Set<String>? = nil) async throws -> TestRun {
    let scripts = Scripts(loaded.config)
    let found = loaded.report.sorted.map { Finding($0) } + scripts.findings
    for finding in found where finding.isError { Output.say(finding) }
    guard loaded.report.isGood, scripts.isComplete else { throw ExitCode(1) }
    let tests = try tests(of: scripts.tree, loaded.config)
    let started = ContinuousClock.now
    var results: [ScriptTestFile] = []
    for file in tests.files where files?.contains(file) ?? true {
      results.append(await tests.run(file, isWanted: isWanted))
    }
    let run = TestRun(
      files: results.filter { $0.error != nil || !$0.results.isEmpty || filter == nil },
      root: loaded.config.scripts.resolved, duration: ContinuousClock.now - started, filter: filter,
      mistakes: found.filter(\.isError).byFile)
    try say(run)
    return run
  }

  private var isWanted: ScriptTests.Filter {
    guard let filter else { return { _, _ in true } }
    return { file, names in
      (file + " " + names.joined(separator: " ")).localizedCaseInsensitiveContains(filter)
    }
  }

  private func tests(of tree: ScriptTree, _ config: HostConfig) throws -> ScriptTests {
    var tests = ScriptTests(tree: tree)
    tests.schedules = config.schedules.map(\.job)
    tests.stores = config.stores.keys.sorted()
    tests.configuration = try EngineConfiguration(config, workers: 1)
    tests.timeout = try TimeSpan.parse(timeout)
    return tests
  }

  private func say(_ run: TestRun) throws {
    if let junit {
      let out = try LineWriter(replacing: junit)
      try out.exact(run.junit)
      try out.finish()
    }
    if json { return Output.json(run.json) }
    Output.result(run.text(Paint(), isVerbose: verbose))
  }

  // MARK: Watching

  /// Ends with the process.
  private func runForEver() async throws -> Never {
    var before = FileTimes()
    while true {
      guard let loaded = project.load(in: directory ?? (project.scripts == nil ? "." : nil)) else {
        throw ValidationError("Say what to test: a directory, --config or --scripts.")
      }
      let config = loaded.config
      let now = FileTimes(
        scripts: config.scripts.resolved, others: [config.file] + config.cron.map(\.resolved))
      let changed = now.changed(since: before)
      if !changed.isEmpty || before.isEmpty {
        if isatty(STDOUT_FILENO) == 1 { Output.result("\u{1b}[H\u{1b}[2J") }
        // A test that was saved runs alone; anything else may matter to every test.
        let areTests = !before.isEmpty && changed.allSatisfy { $0.hasSuffix("_test.lua") }
        _ = try? await runOnce(loaded, files: areTests ? changed : nil)
        Output.result(Paint().faint("Waiting for a file to change; Ctrl-C ends."))
        before = now
      }
      try await Task.sleep(for: .milliseconds(200))
    }
  }
}

/// When files were last changed.
private struct FileTimes {
  private var times: [String: [Double]] = [:]

  init() {}

  /// - Parameter scripts: a directory; the names of its files count from there.
  init(scripts: String, others: [String]) {
    let names = FileManager.default.enumerator(atPath: scripts)?.compactMap { $0 as? String } ?? []
    for name in names where ScriptDirectory.isScript(name) {
      add(name, at: FilePath.join(scripts, name))
    }
    for file in others { add(file, at: file) }
  }

  private mutating func add(_ name: String, at path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    let time = status.st_mtim
    times[name] = [Double(time.tv_sec), Double(time.tv_nsec), Double(status.st_size), Double(status.st_ino)]
  }

  var isEmpty: Bool { times.isEmpty }

  /// Also what has come or gone.
  func changed(since before: FileTimes) -> Set<String> {
    Set(times.keys).union(before.times.keys).filter { times[$0] != before.times[$0] }
  }
}
