import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost

/// Follows the scripts directory of a running host: each burst of saves that is good is put in force as one
/// operation; of one that is not, nothing is, and it is said what is wrong.
final class ScriptFollower: Sendable {
  private let host: Host
  private let watcher: DirectoryWatcher
  private let directory: String
  private let task = Mutex<Task<Void, Never>?>(nil)

  /// Looks at the directory, without following it yet.
  init(_ host: Host) {
    self.host = host
    directory = host.config.scripts.resolved
    watcher = DirectoryWatcher(directory, options: Self.options(host.config))
  }

  static func options(_ config: HostConfig) -> DirectoryWatcher.Options {
    var options = DirectoryWatcher.Options()
    options.policy = ScriptDirectory.policy
    options.includes = ScriptDirectory.isScript
    // A checkout of thousands of files, or a copy over a network, is one burst; one that never ends is none.
    options.longest = .seconds(10)
    if config.reload.watch == .poll {
      options.noticing = .polled
      options.pollInterval = .milliseconds(200)
    }
    return options
  }

  /// Reads the directory and follows it from then on.
  ///
  /// - Parameter start: gets the scripts as they are, with what is wrong, and puts them in force.
  func start(_ start: (Scripts) throws -> ScriptTree) rethrows {
    let (reports, feed) = AsyncStream.makeStream(of: DirectoryWatcher.Report.self)
    let first = watcher.start { feed.yield($0) }
    let tree = try start(
      scripts(ScriptTree(first.tree, defaults: TriggerOptions(host.config)), first.problems))
    if host.config.reload.watch == .off { return watcher.stop() }
    task.withLock {
      $0 = Task { [self] in
        var reload = ScriptReload(tree, problems: first.problems)
        var known = first.problems
        for await report in reports {
          for problem in report.problems where problem.severity == .warning && !known.contains(problem) {
            printError(finding(problem).text)
          }
          let isNews = !report.changes.isEmpty || Self.errors(report.problems) != Self.errors(known)
          known = report.problems
          if isNews { await take(report, &reload) }
        }
      }
    }
  }

  private static func errors(_ problems: [FileProblem]) -> [FileProblem] {
    problems.filter { $0.severity == .error }
  }

  func stop() {
    task.withLock { $0?.cancel() }
    watcher.stop()
  }

  private func scripts(_ tree: ScriptTree, _ problems: [FileProblem]) -> Scripts {
    let isThere = FileManager.default.fileExists(atPath: directory)
    return Scripts(host.config, tree, found: problems.map(finding), isComplete: isThere)
  }

  private func finding(_ problem: FileProblem) -> Finding { Finding(ConfigProblem(problem, in: directory)) }

  private func take(_ report: DirectoryWatcher.Report, _ reload: inout ScriptReload) async {
    let old = reload.tree
    do throws(ScriptTree.Refusal) {
      var update = try reload.take(report.changes, problems: report.problems)
      if update.files.isEmpty {
        return printLine("scripts: the files are back to what runs; nothing to do")
      }
      guard let seq = await activate(&update, after: old) else { return }
      if let identity = update.tree.identity { reload.identify(identity) }
      say(update, seq)
      say(doubtful(update))
    } catch {
      for problem in error.unread { printError(finding(problem).text) }
      say(error.problems.map { Finding($0, in: directory) })
      printError("scripts: not reloaded, the scripts that run stay in force; mend what is named above")
    }
  }

  /// What a burst has wrong; of very much the beginning.
  private func say(_ found: [Finding]) {
    let most = 20
    for finding in found.prefix(most) { printError(finding.text) }
    if found.count > most {
      printError("scripts: and \(counted(found.count - most, "more mistake")): trigger-host check names all")
    }
  }

  /// Keeps the tree, puts it in force, and brings the schedules up to it. Returns its seq; nil when the host
  /// stops.
  private func activate(_ update: inout ScriptTree.Update, after old: ScriptTree) async -> Int64? {
    do {
      try await host.verify(update.tree)
      update.tree.identity = try host.keep(update.tree)
      let changed = update.files.added + update.files.modified + update.files.removed
      let result = try await host.queue.replaceScripts(
        with: update.tree, event: ["changed": .array(changed.sorted().map { .string($0) })])
      try host.note(seq: result.seq, of: update.tree)
      host.replaceSchedules(of: old, by: update.tree)
      return result.seq
    } catch is CancellationError { return nil } catch {
      printError("scripts: not reloaded: \(error)")
      return nil
    }
  }

  /// The names, of many the first.
  private static func list(_ names: [String]) -> String {
    let shown = names.count > 10 ? 8 : names.count
    let rest = names.count > shown ? " and \(names.count - shown) more" : ""
    return names.prefix(shown).joined(separator: ", ") + rest
  }

  /// What running the saved files may show to be a mistake; they are in force.
  private func doubtful(_ update: ScriptTree.Update) -> [Finding] {
    let lint = ScriptLint(
      update.tree, stores: host.config.stores.keys.sorted(), isStrict: host.config.strictStores,
      paths: update.files.added + update.files.modified)
    return lint.findings.filter { $0.severity != .note }.map { found in
      var found = found
      found.severity = .warning
      return Finding(found, in: directory)
    }
  }

  private func say(_ update: ScriptTree.Update, _ seq: Int64) {
    var parts: [String] = []
    for (what, names) in [
      ("changed", update.triggers.changed), ("new", update.triggers.added),
      ("gone", update.triggers.removed),
    ] where !names.isEmpty { parts.append("\(what) \(Self.list(names))") }
    if parts.isEmpty { parts.append("no trigger is affected") }
    let tree = update.tree.identity.map { "tree \($0.number) " } ?? ""
    let files = update.files.added.count + update.files.modified.count + update.files.removed.count
    printLine(
      "scripts: \(tree)in force from seq \(seq): \(counted(files, "file")), \(parts.joined(separator: "; "))"
    )
    for problem in update.tree.problems where problem.severity == .warning {
      let isNew = (update.triggers.changed + update.triggers.added).contains { name in
        update.tree.triggers.contains { $0.name == name && problem.description.hasPrefix("\($0.path):") }
      }
      if isNew { printError(Finding(problem, in: directory).text) }
    }
  }
}
