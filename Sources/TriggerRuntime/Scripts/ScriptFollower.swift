import Foundation
import HostConfig
import ServiceLifecycle
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost

/// Follows the scripts directory of a running host: what is good of the files that were saved is put in force as one
/// operation; what is not keeps its last good version, and it is said what is wrong, and what waits for that.
final class ScriptFollower: Service {
  private let scripts: HostScripts
  private let config: HostConfig
  private let notices: Notices
  private let watcher: DirectoryWatcher
  private let directory: String
  private let schedules: ScheduleFollower
  private let items: AsyncStream<News>
  private let news: AsyncStream<News>.Continuation
  private let state = Mutex<State?>(nil)

  /// - Parameter configuration: reads it anew.
  init(_ scripts: HostScripts, _ configuration: @escaping @Sendable () -> HostConfig.Loaded?) {
    self.scripts = scripts
    (config, notices) = (scripts.config, scripts.notices)
    schedules = ScheduleFollower(config, configuration)
    directory = config.scripts.resolved
    watcher = DirectoryWatcher(directory, options: Self.options(config))
    (items, news) = AsyncStream.makeStream()
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

  /// Reads the directory; what changes from then on waits for `run`.
  ///
  /// - Returns: the scripts as they are, with what is wrong.
  func begin() throws -> (Scripts, ScriptReload) {
    let first = watcher.start { [news] in news.yield(.files($0)) }
    let reload = try scripts.read(first.tree, first.problems)
    if config.reload.watch == .off { watcher.stop() }
    state.withLock { $0 = State(reload: reload, files: first.tree, known: first.problems) }
    return (found(reload, first), reload)
  }

  /// Says what waits beside the tree that has come into force, and follows it from then on.
  func begin(with tree: ScriptTree) {
    state.withLock { state in
      if let identity = tree.identity { state?.reload.identify(identity) }
    }
    if let reload = state.withLock({ $0?.reload }) {
      scripts.note(reload)
      say(reload.held, of: tree)
    }
    schedules.start { [news] in news.yield(.schedules($0)) }
  }

  /// Takes up what is saved, one change after another, until the task is cancelled. Once, after `follow`.
  func run() async throws {
    guard var state = state.withLock({ $0.take() }) else { return }
    await withDiscardingTaskGroup { group in
      if config.reload.watch != .off { group.addTask { [schedules] in await schedules.run() } }
      for await item in items {
        await handle(item, &state)
        scripts.note(state.reload)
      }
      group.cancelAll()
    }
  }

  /// Looks at everything now.
  func reload() {
    schedules.look(isAsked: true)
    news.yield(.look)
  }

  /// What is taken one after another: scripts and schedules, so that neither undoes the other.
  private enum News: Sendable {
    case files(DirectoryWatcher.Report)
    case schedules(ScheduleFollower.Change)
    case look
  }

  private struct State {
    var reload: ScriptReload
    /// The directory.
    var files: FileTree
    var known: [FileProblem]
  }

  private func handle(_ news: News, _ state: inout State) async {
    switch news {
    case .schedules(let change):
      await schedules.putInForce(change, scripts, state.reload.tree)
    case .files(let report):
      state.files = report.tree
      for problem in report.problems where problem.severity == .warning && !state.known.contains(problem) {
        notices.say(finding(problem))
      }
      let isNews = !report.changes.isEmpty || Self.errors(report.problems) != Self.errors(state.known)
      state.known = report.problems
      if isNews { await handle(report.changes, report.problems, &state.reload) }
    case .look:
      var index = DirectoryIndex(
        directory, policy: ScriptDirectory.policy, includes: ScriptDirectory.isScript)
      index.refresh(.everything)
      let changes = index.tree.changes(since: state.files)
      guard !changes.isEmpty || Self.errors(index.sortedProblems) != Self.errors(state.known) else {
        return notices.say(.info, "scripts: nothing has changed", code: .scriptsUnchanged)
      }
      state.files = index.tree
      state.known = index.sortedProblems
      await handle(changes, index.sortedProblems, &state.reload)
    }
  }

  private static func errors(_ problems: [FileProblem]) -> [FileProblem] {
    problems.filter { $0.severity == .error }
  }

  /// No change is noticed any more; `run` ends with what it has.
  func stop() {
    news.finish()
    watcher.stop()
  }

  private func found(_ reload: ScriptReload, _ report: DirectoryWatcher.Report) -> Scripts {
    let found = report.problems.map(finding) + reload.problems.map { Finding($0, in: directory) }
    let isThere = FileManager.default.fileExists(atPath: directory)
    // Of one that cannot be listed nothing is known. What an earlier run had in force stays in force; where there is
    // nothing of that, events would be taken and reach nobody.
    let isUnread = report.problems.contains { $0.path.isEmpty && $0.severity == .error }
    return Scripts(
      config, reload.tree, directory: report.tree, found: found,
      isComplete: isThere && !(isUnread && reload.tree.files.isEmpty))
  }

  private func finding(_ problem: FileProblem) -> Finding { Finding(ConfigProblem(problem, in: directory)) }

  private func handle(_ changes: FileChanges, _ problems: [FileProblem], _ reload: inout ScriptReload) async {
    let (old, waited) = (reload.tree, reload.held)
    let known = Set(reload.problems.map(\.description))
    var step = reload.apply(changes, problems: problems)
    // What was said and has not been touched is not said again.
    let isSaid = step.held.allSatisfy { waited.contains($0) && changes[$0.path] == nil }
    if !isSaid || step.update.files.isEmpty {
      for problem in step.unread { notices.say(finding(problem)) }
      say(step.problems.map { Finding($0, in: directory) })
    } else {
      say(step.problems.filter { !known.contains($0.description) }.map { Finding($0, in: directory) })
    }
    if step.update.files.isEmpty {
      guard await hold(reload) else { return }
      if step.held.isEmpty {
        return notices.say(
          .info, "scripts: the files are back to what runs; nothing to do", code: .scriptsUnchanged)
      }
      if !isSaid { say(step.held, of: reload.tree) }
      return notices.problem(
        "scripts: not reloaded, the scripts that run stay in force; mend what is named above",
        code: .scriptsRefused)
    }
    guard let seq = await activate(&step.update, reload, after: old) else { return }
    if let identity = step.update.tree.identity { reload.identify(identity) }
    if !isSaid { say(step.held, of: old) }
    say(step, seq)
    // What running the saved files may show to be a mistake.
    say(scripts.judge?.doubts(about: step.update, in: config) ?? [])
  }

  /// Keeps in mind what waits. Returns false when that fails.
  private func hold(_ reload: ScriptReload) async -> Bool {
    do { try scripts.keepWaiting(reload) } catch {
      notices.problem("scripts: not reloaded: \(error)", code: .scriptsRefused)
      return false
    }
    return true
  }

  /// What waits, and for what; of very much the beginning.
  private func say(_ held: [ScriptReload.Held], of tree: ScriptTree) {
    let most = 20
    let shown = held.filter { !$0.path.isEmpty }
    for held in shown.prefix(most) { notices.problem("scripts: \(held.text(of: tree))") }
    if shown.count > most {
      notices.problem("scripts: and \(counted(shown.count - most, "more file")) wait with these")
    }
  }

  /// What a burst has wrong; of very much the beginning.
  private func say(_ found: [Finding]) {
    let most = 20
    for finding in found.prefix(most) { notices.say(finding) }
    if found.count > most {
      notices.problem(
        "scripts: and \(counted(found.count - most, "more mistake")): trigger-host check names all")
    }
  }

  /// Puts the tree in force. Returns its seq; nil when the host stops, or it failed, which has been said.
  private func activate(
    _ update: inout ScriptTree.Update, _ reload: ScriptReload, after old: ScriptTree
  ) async -> Int64? {
    do {
      let changed = update.files.added + update.files.modified + update.files.removed
      return try await scripts.replace(old, by: &update.tree, reload, changed: changed).seq
    } catch is CancellationError { return nil } catch is QueueStopped { return nil } catch {
      notices.problem("scripts: not reloaded: \(error)", code: .scriptsRefused)
      return nil
    }
  }

  /// The names, of many the first.
  private static func list(_ names: [String]) -> String {
    let shown = names.count > 10 ? 8 : names.count
    let rest = names.count > shown ? " and \(names.count - shown) more" : ""
    return names.prefix(shown).joined(separator: ", ") + rest
  }

  private func say(_ step: ScriptReload.Step, _ seq: Int64) {
    let update = step.update
    var parts: [String] = []
    for (what, names) in [
      ("changed", update.triggers.changed), ("new", update.triggers.added),
      ("gone", update.triggers.removed),
    ] where !names.isEmpty { parts.append("\(what) \(Self.list(names))") }
    if parts.isEmpty { parts.append("no trigger is affected") }
    let held = step.held.filter { !$0.path.isEmpty }.count
    if held > 0 { parts.append("\(counted(held, "file")) held back") }
    let tree = update.tree.identity.map { "tree \($0.number) " } ?? ""
    let files = update.files.added.count + update.files.modified.count + update.files.removed.count
    var fields: Value.Map = ["seq": .int(seq)]
    if let identity = update.tree.identity { fields["tree"] = .int(Int64(identity.number)) }
    notices.say(
      .info,
      "scripts: \(tree)in force from seq \(seq): \(counted(files, "file")), \(parts.joined(separator: "; "))",
      fields, code: .scriptsInForce)
    for problem in update.tree.problems where problem.severity == .warning {
      let isNew = (update.triggers.changed + update.triggers.added).contains { name in
        update.tree.triggers.contains { $0.name == name && problem.description.hasPrefix("\($0.path):") }
      }
      if isNew { notices.say(Finding(problem, in: directory)) }
    }
  }
}

extension ScriptReload.Held {
  /// Why the file waits, and what is in force meanwhile.
  ///
  /// - Parameter tree: the one in force.
  package func text(of tree: ScriptTree) -> String {
    let why =
      switch reason {
      case .broken: "\(path) is not taken up"
      case .unreadable: "\(path) cannot be read"
      case .savedWith(let other): "\(path) waits for \(other), with which it was saved"
      case .needs(let other): "\(path) waits for \(other), which it needs"
      case .breaks(let other): "\(path) waits: \(other) does not load with it"
      case .neededBy(let other): "\(path) waits for \(other), whose last good version needs it"
      }
    let version = tree.identity.map { "its version of tree \($0.number)" } ?? "its last good version"
    return "\(why); " + (isInForce ? "\(version) stays in force" : "no version of it is in force")
  }
}
