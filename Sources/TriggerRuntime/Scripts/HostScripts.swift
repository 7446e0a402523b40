import HostConfig
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost

/// The scripts of a host: how they are kept and come into force.
final class HostScripts: Sendable {
  let config: HostConfig
  let notices: Notices
  let queue: TriggerQueue
  let schedules: HostSchedules?
  let storage: HostStorage?
  let judge: (any ScriptJudging)?
  private let triggers: [any Trigger]
  /// What triggers in force are bound to.
  private let bindings = Mutex<[EventPattern]>([])
  private let nothingRuns = Atomic<Bool>(false)
  /// Files that are not in force as they were saved, and why.
  private let waiting = Mutex<[(path: String, text: String)]>([])

  init(_ parts: HostParts, _ storage: HostStorage?, _ schedules: HostSchedules?) {
    (config, notices, queue) = (parts.config, parts.notices, parts.queue)
    (triggers, judge) = (parts.options.triggers, parts.options.judge?.judging)
    self.storage = storage
    self.schedules = schedules
  }

  /// There are scripts, and none of them can run.
  var runsNothing: Bool { nothingRuns.load(ordering: .relaxed) }

  /// Files that are not in force as they were saved, and why. Any thread.
  var troubles: [(path: String, text: String)] { waiting.withLock { $0 } }

  /// Keeps in mind what waits beside the tree in force.
  func note(_ reload: ScriptReload) {
    let held = reload.held.filter { !$0.path.isEmpty }.map { ($0.path, $0.text(of: reload.tree)) }
    waiting.withLock { $0 = held }
  }

  /// The scripts of a directory: where something does not load, beside what was in force when the last host ended.
  func read(_ directory: FileTree, _ problems: [FileProblem]) throws -> ScriptReload {
    let defaults = TriggerOptions(config)
    return try storage?.scripts(in: directory, problems, defaults: defaults)
      ?? ScriptReload(directory, defaults: defaults, problems: problems)
  }

  /// Puts the first scripts in force, before the queue starts.
  ///
  /// - Returns: the tree, with its identity when it is kept.
  func begin(_ reload: ScriptReload, hasErrors: Bool = false) throws -> ScriptTree {
    var tree = reload.tree
    if let storage { tree.identity = try storage.keep(reload, seq: storage.firstSeq) }
    begin(kept: tree)
    nothingRuns.store(tree.triggers.isEmpty && hasErrors, ordering: .relaxed)
    return tree
  }

  /// As above with scripts that no directory has.
  func begin(_ tree: ScriptTree) throws -> ScriptTree {
    // Kept before anything runs with it: what ran can be run again.
    let tree = try keep(tree, seq: storage?.firstSeq ?? 0)
    begin(kept: tree)
    return tree
  }

  /// As above with scripts that are kept already, or never; nil: with none.
  func begin(kept tree: ScriptTree?) {
    bind(tree)
    queue.bind(triggers, scripts: tree)
  }

  /// Keeps scripts that no directory has, unless somebody else has kept them.
  ///
  /// - Parameter seq: the first that may use them; 0 when it is not known yet.
  /// - Returns: the tree, with its identity when it is kept.
  func keep(_ tree: ScriptTree, seq: Int64 = 0) throws -> ScriptTree {
    guard tree.identity == nil, let storage else { return tree }
    var tree = tree
    tree.identity = try storage.keep(tree, seq: seq)
    return tree
  }

  /// Puts other scripts in force: they are kept, take their place in the order as an operation, whose record says since when
  /// they are in force, and the schedules that they ask for take the place of those before. Returns when that is durable.
  ///
  /// - Parameters:
  ///   - tree: gets its identity.
  ///   - reload: what waits beside it is kept with it.
  ///   - changed: paths, for the log.
  /// - Throws: like `TriggerQueue.replaceScripts`; what the disk says. The scripts before stay in force then.
  func replace(
    _ old: ScriptTree, by tree: inout ScriptTree, _ reload: ScriptReload, changed: [String]
  ) async throws -> OperationResult {
    try await rehearse(tree)
    tree.identity = try storage?.keep(reload)
    let result = try await queue.replaceScripts(
      with: tree, event: ["changed": .array(changed.sorted().map { .string($0) })])
    bind(tree)
    schedules?.replace(of: old, by: tree)
    return result
  }

  /// Has recent operations executed with scripts that are about to come into force, and says what would differ.
  private func rehearse(_ tree: ScriptTree) async throws {
    let count = Int64(config.reload.verifyLast)
    guard count > 0, let storage, let judge else { return }
    storage.log.flush()
    let data = storage.directory.path
    let lines = try await onOwnThread("rehearsal") { [config] in
      try judge.rehearse(tree, last: count, in: data, config)
    }
    for line in lines { notices.say(line.level, "scripts: \(line.text)") }
  }

  /// Keeps in mind which files wait, and for what: nothing comes into force.
  func keepWaiting(_ reload: ScriptReload) throws { _ = try storage?.keep(reload) }

  // MARK: Events that nobody takes

  private func bind(_ tree: ScriptTree?) {
    bindings.withLock { [triggers] in
      $0 = triggers.flatMap(\.options.on) + (tree?.triggers.flatMap(\.options.on) ?? [])
    }
  }

  /// Why an event reaches no trigger, and what was meant perhaps; nil when one is bound to it.
  func hint(for kind: EventKind, _ name: String) -> String? {
    let patterns = bindings.withLock { $0 }
    if patterns.contains(where: { $0.kind.accepts(kind) && $0.matches(name) }) { return nil }
    let text = "no trigger has on = { \(kind) = \"\(name)\" }"
    if let other = patterns.first(where: { [.event, .data, .message].contains($0.kind) && $0.matches(name) })
    {
      return "\(text), but one has it as \(other.kind): say \"kind\": \"\(other.kind)\""
    }
    let names = patterns.filter { $0.kind.accepts(kind) && !$0.pattern.contains("*") }.map(\.pattern)
    return text + Suggestion.clause(for: name, among: names)
  }
}
