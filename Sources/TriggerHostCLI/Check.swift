import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerReview
import TriggerRuntime
import TriggerServer
import TriggerWorkshop

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Find mistakes in scripts, configuration and cron files before they run.",
    discussion: """
      Compiles every script, runs its chunk once, reads its table, and looks at what its code names: globals, \
      methods of ctx and stores, modules. Reads host.yaml and the cron files it names, and tries the \
      migrations of database stores on tables in memory, and looks at the files of file stores. Prints file:line: message for each mistake and exits \
      with 1 when one is an error.

        trigger-host check                    # host.yaml here, or the scripts here
        trigger-host check examples/market
        trigger-host check --scripts triggers --cron crontab
      """)

  @Argument(help: "A directory with host.yaml, or of scripts alone.", completion: .directory)
  var directory: String?
  @OptionGroup var project: ProjectOptions
  @Flag(help: "Print one JSON object: good, problems (severity, file, line, message), triggers.")
  var json = false
  @Flag(help: "Show what modules name that scripts lack, too: it matters only where it is called.")
  var notes = false

  func validate() throws {
    if let directory, let config = project.config {
      throw ValidationError("Give a directory (\(directory)) or --config \(config), not both.")
    }
  }

  func run() throws {
    guard let loaded = project.load(in: directory ?? (project.scripts == nil ? "." : nil)) else {
      throw ValidationError("Say what to check: a directory, --config or --scripts.")
    }
    let config = loaded.config
    var found = loaded.report.sorted.map { Finding($0) } + unusableFeeds(config)
    if loaded.report.isGood { found += unusableTables(config) + unusableFiles(config) + unusableTLS(config) }
    let scripts = Scripts(config)
    // A configuration that is wrong about its scripts has said so.
    if loaded.report.isGood || scripts.isComplete {
      found += scripts.findings
      let lint = ScriptLint(scripts.tree, stores: config.stores.keys.sorted(), isStrict: config.strictStores)
      found += lint.findings.map { Finding($0, in: config.scripts.resolved) }
      if scripts.isComplete, scripts.tree.files.isEmpty { found += nothingHere(config) }
    }
    try say(found.byFile, scripts.tree)
    if found.contains(where: \.isError) { throw ExitCode(1) }
  }

  /// Who is in the wrong directory should not hear that everything is in order.
  private func nothingHere(_ config: HostConfig) -> [Finding] {
    let hasConfig = config.file != HostConfig.ofCommandLine
    let message =
      hasConfig || project.scripts != nil
      ? "no script is in here" : "neither a script nor host.yaml is in here"
    return [
      Finding(
        ConfigProblem(
          file: config.scripts.resolved, message: message, severity: hasConfig ? .warning : .error))
    ]
  }

  /// Feeds that are there, with a header that does not do.
  private func unusableFeeds(_ config: HostConfig) -> [Finding] {
    config.feeds.flatMap { settings -> [Finding] in
      // What is not a file, the configuration's report has said.
      guard FileStatus.of(settings.file.resolved)?.kind == .file else { return [] }
      do throws(ConfigProblem) { return try Feed(settings).notes.map { Finding($0) } } catch {
        return [Finding(error)]
      }
    }
  }

  /// Database stores whose SQL does not run on a new table.
  private func unusableTables(_ config: HostConfig) -> [Finding] {
    config.stores.sorted { $0.value.line < $1.value.line }.compactMap { name, store in
      store.database.flatMap { database in
        StoreTableSettings(name: name, database: database, line: store.line, file: config.file).mistake()
          .map { Finding($0) }
      }
    }
  }

  /// What in the directories of file stores a host would not take.
  private func unusableFiles(_ config: HostConfig) -> [Finding] {
    config.stores.sorted { $0.value.line < $1.value.line }.flatMap { _, store -> [Finding] in
      guard let files = store.files else { return [] }
      var index = DirectoryIndex(files.directory.resolved, policy: files.policy)
      index.refresh(.everything)
      return index.sortedProblems.map { problem in
        // It stays where it is, and the host runs.
        var problem = problem
        problem.severity = .warning
        return Finding(ConfigProblem(problem, in: files.directory.resolved))
      }
    }
  }

  /// Files of `tls` that are there, and do not do.
  private func unusableTLS(_ config: HostConfig) -> [Finding] {
    do throws(ConfigProblem) {
      guard
        let warning = try ServerCertificate.load(config)?.warning(
          at: Timestamp(nanoseconds: SystemClock().now()))
      else { return [] }
      return [
        Finding(
          ConfigProblem(
            file: config.file, line: config.tls?.certificate.line, message: "tls: \(warning)",
            severity: .warning))
      ]
    } catch { return [Finding(error)] }
  }

  private func say(_ found: [Finding], _ tree: ScriptTree) throws {
    let isGood = !found.contains(where: \.isError)
    guard json else {
      for finding in found where notes || finding.severity != .note {
        Output.result(TerminalText(finding.text))
      }
      if isGood { Output.result("\(counted(tree.triggers.count, "trigger")) found, \(verdict(found)).") }
      return
    }
    let object: Value = [
      "good": .bool(isGood),
      "problems": .array(
        found.map(\.json)),
      "triggers": .array(tree.triggers.map { .string($0.name) }),
    ]
    Output.json(object)
  }

  private func verdict(_ found: [Finding]) -> String {
    let hidden = notes ? 0 : found.count { $0.severity == .note }
    let warnings = found.count { $0.severity == .warning }
    let verdict = warnings == 0 ? "everything is in order" : counted(warnings, "warning")
    return hidden == 0 ? verdict : "\(verdict) (\(counted(hidden, "note")) on modules: --notes)"
  }
}
