import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerWorkshop

/// One thing that is wrong or doubtful, as people read it: `file:line: message`.
struct Finding {
  enum Severity: String { case error, warning, note }

  var severity: Severity
  var file: String
  /// Nil: the whole file.
  var line: Int?
  /// `file:line: message`; a warning or note says so behind the place.
  var text: String

  var isError: Bool { severity == .error }
  /// `message` is the whole text; without a line it is about the whole file.
  var json: Value {
    var object: Value.Map = [
      "severity": .string(severity.rawValue), "file": .string(file), "message": .string(text),
    ]
    if let line { object["line"] = .int(Int64(line)) }
    return .map(object)
  }

  init(_ problem: ConfigProblem) {
    (severity, text) = (problem.severity == .error ? .error : .warning, "\(problem)")
    (file, line) = (problem.file, problem.line)
  }

  /// - Parameter directory: what the script's path counts from.
  init(_ found: ScriptLint.Finding, in directory: String) {
    severity = Severity(rawValue: found.severity.rawValue)!
    let mark = severity == .error ? "" : "\(severity): "
    (file, line) = (FilePath.join(directory, found.path), found.line)
    text = "\(file):\(found.line): \(mark)\(found.message)"
  }

  /// - Parameter directory: what the script's path counts from.
  init(_ problem: ScriptTree.Problem, in directory: String) {
    severity = problem.severity == .error ? .error : .warning
    let lines = problem.description.withoutIdleTraceback.split(separator: "\n", maxSplits: 1)
    let frames = lines.count > 1 ? "\n" + ScriptPlaces(root: directory).named(String(lines[1])) : ""
    text = FilePath.join(directory, String(lines[0])) + frames
    let parts = lines[0].split(separator: ":", maxSplits: 2)
    (file, line) = (FilePath.join(directory, String(parts[0])), parts.count > 1 ? Int(parts[1]) : nil)
    if !isError, let place = text.range(of: ": ") {
      text.insert(contentsOf: "warning: ", at: place.upperBound)
    }
  }
}

extension Output {
  static func say(_ finding: Finding) {
    var fields: Value.Map = ["file": .string(finding.file)]
    if let line = finding.line { fields["line"] = .int(Int64(line)) }
    let level: HostConfig.LogLevel =
      switch finding.severity {
      case .error: .error
      case .warning: .warning
      case .note: .info
      }
    say(level, TerminalText(finding.text), fields)
  }
}

extension [Finding] {
  /// By line within each file; files in the order in which they are first named.
  var byFile: [Finding] { orderedByFile(self) { ($0.file, $0.line) } }
}

/// The scripts that a configuration names, and what is wrong with them and with what refers to them.
struct Scripts {
  let tree: ScriptTree
  private(set) var findings: [Finding] = []
  /// The directory was there and all of it could be read.
  let isComplete: Bool
  /// Files that may be broken, and then are in no tree.
  private let directory: FileTree

  init(_ config: HostConfig) {
    let directory = ScriptDirectory.read(config.scripts.resolved)
    self.init(
      config, ScriptTree(directory.tree, defaults: TriggerOptions(config)),
      found: directory.report.sorted.map { Finding($0) }, isComplete: directory.report.isGood)
  }

  /// - Parameters:
  ///   - directory: all files, when the tree has only those that load; their problems are in `found`.
  ///   - found: what is wrong with the directory.
  init(
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
    return events.filter { event in !patterns.contains { $0.kind.takes(event.kind) && $0.matches(event.name) }
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
