import HostConfig
import TriggerCore
import TriggerFiles
import TriggerHost

/// The scripts that a configuration names, and what is wrong with them and with what refers to them.
package struct Scripts {
  package let tree: ScriptTree
  package private(set) var findings: [Finding] = []
  /// The directory was there and all of it could be read.
  package let isComplete: Bool
  /// Files that may be broken, and then are in no tree.
  private let directory: FileTree

  package init(_ config: HostConfig) {
    let directory = ScriptDirectory.read(config.scripts.resolved)
    self.init(
      config, ScriptTree(directory.tree, defaults: TriggerOptions(config)),
      found: directory.report.sorted.map { Finding($0) }, isComplete: directory.report.isGood)
  }

  /// - Parameters:
  ///   - directory: all files, when the tree has only those that load; their problems are in `found`.
  ///   - found: what is wrong with the directory.
  package init(
    _ config: HostConfig, _ tree: ScriptTree, directory: FileTree? = nil, found: [Finding] = [],
    isComplete: Bool = true
  ) {
    self.tree = tree
    self.directory = directory ?? tree.contents
    self.isComplete = isComplete
    findings = found
    let known = Set(boundByJobs(config).map { "\($0.path):1: nothing triggers" })
    findings += tree.problems.filter { problem in !known.contains { problem.description.hasPrefix($0) } }
      .map { Finding($0, in: config.scripts.resolved) }
    findings += unknownTargets(config) + unheardEvents(config)
  }

  /// Triggers without an `on` that a job names: nothing is wrong with them.
  private func boundByJobs(_ config: HostConfig) -> [ScriptTree.Script] {
    let targets = config.schedules.compactMap(\.target)
    return tree.triggers.filter { script in
      script.options.on.isEmpty && script.schedules.isEmpty && targets.contains(script.name)
    }
  }

  /// Jobs that name a trigger which is not there, unless its script is there and broken.
  private func unknownTargets(_ config: HostConfig) -> [Finding] {
    let names = tree.triggers.map(\.name)
    return config.schedules.compactMap { entry in
      guard let name = entry.target, !names.contains(name), directory["\(name).lua"] == nil else {
        return nil
      }
      let hint = Suggestion.clause(for: name, among: names)
      return Finding(
        ConfigProblem(file: entry.file, line: entry.line, message: "no trigger is named '\(name)'\(hint)"))
    }
  }

  /// Jobs and feeds whose events no trigger is bound to. A broken script might be, so all must be good.
  private func unheardEvents(_ config: HostConfig) -> [Finding] {
    guard !findings.contains(where: \.isError) else { return [] }
    var events = config.schedules.compactMap { entry in
      entry.event.map { (file: entry.file, line: entry.line, kind: EventKind.event, name: $0) }
    }
    events += config.feeds.compactMap { feed in
      EventKind(rawValue: feed.kind.rawValue).map { (config.file, feed.line, $0, feed.event) }
    }
    let patterns = tree.triggers.flatMap(\.options.on)
    return events.filter { event in
      !patterns.contains { $0.kind.accepts(event.kind) && $0.matches(event.name) }
    }
    .map { event in
      Finding(
        ConfigProblem(
          file: event.file, line: event.line,
          message: "no trigger has on = { \(event.kind) = \"\(event.name)\" }", severity: .warning))
    }
  }
}

extension ScheduleEntry {
  fileprivate var target: String? { if case .trigger(let name) = job.action { name } else { nil } }
  fileprivate var event: String? { if case .event(let name) = job.action { name } else { nil } }
}
