import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Find mistakes in scripts, configuration and cron files before they run.",
    discussion: """
      Compiles every script, runs its chunk once, reads its table; reads host.yaml and the cron files it
      names. Prints file:line: message for each mistake and exits with 1 when one is an error.

        trigger-host check                    # host.yaml here, or the scripts here
        trigger-host check examples/market
        trigger-host check --scripts triggers --cron crontab
      """)

  @Argument(help: "A directory with host.yaml, or of scripts alone.", completion: .directory)
  var directory: String?
  @OptionGroup var project: ProjectOptions
  @Flag(help: "Print one JSON object: good, problems, triggers.") var json = false

  func run() throws {
    let isAlone = directory == nil && project.scripts == nil && project.config == nil
    let place = directory ?? (isAlone ? "." : nil)
    guard let loaded = project.load(in: place) else {
      throw ValidationError("Say what to check: a directory, --config or --scripts.")
    }
    let config = loaded.config
    let files = ScriptDirectory.read(config.scripts.resolved, name: config.scripts.text)
    let sources = Dictionary(uniqueKeysWithValues: files.files.map { ($0.path, $0.bytes) })
    let tree = ScriptTree(files: sources, defaults: TriggerOptions(config))
    let found =
      loaded.report.sorted.map { Finding($0) } + files.report.sorted.map { Finding($0) }
      + tree.problems.map { Finding($0, in: config.scripts.text) }
      + unknownTargets(config, tree)
    try say(found, tree)
    if found.contains(where: \.isError) { throw ExitCode(1) }
  }

  /// Jobs that name a trigger which is not there, and triggers that only a job binds are good after all.
  private func unknownTargets(_ config: HostConfig, _ tree: ScriptTree) -> [Finding] {
    let names = tree.triggers.map(\.name)
    return config.schedules.compactMap { entry in
      guard case .trigger(let name) = entry.job.action, !names.contains(name) else { return nil }
      return Finding(
        isError: true,
        text: "\(entry.file):\(entry.line): no trigger is named '\(name)'"
          + Suggestion.clause(for: name, among: names))
    }
  }

  private func say(_ found: [Finding], _ tree: ScriptTree) throws {
    let isGood = !found.contains(where: \.isError)
    guard json else {
      for finding in found { print(finding.text) }
      if isGood { print("\(tree.triggers.count) triggers are good.") }
      return
    }
    let object: Value = [
      "good": .bool(isGood),
      "problems": .array(
        found.map { ["severity": .string($0.isError ? "error" : "warning"), "message": .string($0.text)] }),
      "triggers": .array(tree.triggers.map { .string($0.name) }),
    ]
    print(try JSON.text(object))
  }

  private struct Finding {
    var isError: Bool
    var text: String

    init(isError: Bool, text: String) {
      self.isError = isError
      self.text = text
    }

    init(_ problem: ConfigProblem) { self.init(isError: problem.severity == .error, text: "\(problem)") }

    init(_ problem: ScriptTree.Problem, in directory: String) {
      self.init(isError: problem.severity == .error, text: "\(directory)/\(problem)")
    }
  }
}
