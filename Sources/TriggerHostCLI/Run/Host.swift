import ArgumentParser
import Foundation
import HostConfig
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerStorage

/// A host made from its configuration: stores, scripts, feeds and schedules around one engine.
final class Host: Sendable {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  let config: HostConfig
  let started = ContinuousClock.now
  private let scheduler: TriggerScheduler
  private let notices = NoticeLimit()
  private let lineLimit = LineLimit()
  /// Rows of the feeds so far.
  let rows = Mutex(FeedCounts())
  let storage: HostStorage?
  private let files: FileStores
  private let follower = Mutex<ScriptFollower?>(nil)
  /// Lines of standard input that were answered with an error.
  let refused = Atomic<Int>(0)
  /// There are scripts, and none of them can run.
  private let nothingRuns = Atomic<Bool>(false)
  /// To the events of standard input.
  let answers: Answers?

  /// - Parameters:
  ///   - data: the directory to keep everything in; nil keeps it in memory.
  ///   - answers: whether events of standard input will be answered.
  init(config: HostConfig, workers: Int? = nil, data: DataOptions? = nil, answers: Bool = false) throws {
    self.config = config
    self.answers = answers ? Answers() : nil
    let configuration = try EngineConfiguration(config, workers: workers)
    let opened = try data.map {
      try OpenDirectory($0, seed: configuration.seed, retention: config.log.retention)
    }
    let coordinator = CommitCoordinator(configuration, log: opened?.log)
    self.coordinator = coordinator
    files = try coordinator.register(config, following: opened)
    coordinator.whenFailed { [directory = opened?.directory] message in
      if directory?.isGone == true {
        printError(
          "\(message). Stopping: nothing more could be kept. What was acknowledged is where the directory is now."
        )
        Output.endProcess(1)
      }
      // Nothing unwritten has been acknowledged; going on would only pile up work that cannot count.
      Output.problem(
        "the log cannot be written: \(message)\nNothing acknowledged is lost. Stopping; start again when the disk is well."
      )
      Output.endProcess(1)
    }
    coordinator.whenClockSteps {
      Output.warning("\($0); spans go on as they were, what happens at wall times goes by the new one")
    }
    coordinator.whenStuck { notice in
      if case .lifted = notice { Output.say(.info, "\(notice)") } else { Output.problem("\(notice)") }
    }
    storage = try opened.map { try HostStorage($0, coordinator, config.log) }
    queue = TriggerQueue(coordinator)
    scheduler = TriggerScheduler(queue)
    if let storage { Output.say(.info, "\(storage.summary)") }
  }

  /// Loads the scripts and starts; what is wrong with single scripts is printed, the others run. Scripts that
  /// are saved from then on are put in force.
  ///
  /// - Throws: `ExitCode` when the directory cannot be read; `FileProblem` for that of a file store.
  func start() async throws {
    observe()
    let follower = ScriptFollower(self)
    self.follower.withLock { $0 = follower }
    try follower.start { scripts, reload in
      for finding in scripts.findings { Output.say(finding) }
      guard scripts.isComplete else { throw ExitCode(1) }
      var tree = reload.tree
      // Kept before anything runs with it: what ran can be run again.
      tree.identity = try storage?.keep(reload, seq: storage!.progress.lastSeq + 1)
      queue.bind([], scripts: tree)
      Output.say(.info, "\(EnvironmentVersions.lua)")
      nothingRuns.store(
        tree.triggers.isEmpty && scripts.findings.contains(where: \.isError), ordering: .relaxed)
      let names = tree.triggers.map(\.name).joined(separator: ", ")
      Output.say(
        .info, "\(counted(tree.triggers.count, "trigger")): \(names.isEmpty ? "nothing can run" : names)")
      addSchedules(tree)
      return tree
    }
    giveBackFreedMemory()
    queue.start()
    try await files.start(queue)
    scheduler.start()
  }

  // MARK: New scripts

  /// Keeps a tree that is about to come into force; nil when nothing is kept.
  func keep(_ reload: ScriptReload) throws -> ScriptTree.Identity? { try storage?.keep(reload) }

  /// The scripts of a directory: where something does not load, beside what was in force when the last host ended.
  func scripts(in directory: FileTree, _ problems: [FileProblem]) throws -> ScriptReload {
    let defaults = TriggerOptions(config)
    return try storage?.scripts(in: directory, problems, defaults: defaults)
      ?? ScriptReload(directory, defaults: defaults, problems: problems)
  }

  func note(seq: Int64, of tree: ScriptTree) throws {
    if let number = tree.identity?.number { try storage?.note(seq: seq, ofTree: number) }
  }

  /// The jobs that scripts ask for with their own `on`: those that are the same go on as they are.
  func replaceSchedules(of old: ScriptTree, by new: ScriptTree) {
    let (before, after) = (old.triggers.flatMap(\.schedules), new.triggers.flatMap(\.schedules))
    for job in before where !after.contains(job) { scheduler.remove(job.name) }
    for script in new.triggers {
      for job in script.schedules where !before.contains(job) { add(job, from: script) }
    }
  }

  /// Nothing new comes from the schedules; what is queued goes on.
  func stopSchedules() { scheduler.stop() }

  // MARK: The end

  /// Takes no event any more, and begins none that waits. Returns at once.
  func stopTaking() { queue.drain() }

  /// After the queue has stopped.
  func stopFiles() {
    follower.withLock { $0 }?.stop()
    files.stop()
  }

  /// After the queue has stopped.
  func closeStorage() { storage?.close() }

  /// Where a feed goes on; nil when nothing is kept.
  func progress(of feed: FeedSettings) -> RowProgress? {
    guard let storage else { return nil }
    return RowProgress(storage.progress.feeds[feed.name] ?? FeedRows())
  }

  /// What failed, when nothing else happened; nil when something did, or nothing failed.
  var onlyFailures: String? {
    let (stats, rows, refused) = (coordinator.stats, rows.withLock { $0 }, refused.load(ordering: .relaxed))
    let isEmpty = nothingRuns.load(ordering: .relaxed)
    if stats.committed + stats.skipped + rows.skipped > 0 { return nil }
    let failures = [
      (stats.failed, "operation failed", "operations failed"),
      (refused, "line was refused", "lines were refused"),
      (rows.bad, "row was bad", "rows were bad"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.0 == 1 ? $0.1 : $0.2)" }
    if failures.isEmpty { return isEmpty ? "no script could be loaded" : nil }
    return failures.joined(separator: ", ")
  }

  /// What is on disk, for people; nil when nothing is.
  var diskUse: String? { storage.map { "disk \(sizeText($0.directory.bytes))" } }

  private func observe() {
    let threshold = config.logLevel.rank
    let places = ScriptPlaces(root: config.scripts.resolved)
    queue.observe { [lineLimit] result, logs in
      for line in logs {
        let level = HostConfig.LogLevel(rawValue: line.level) ?? .info
        if level.rank < threshold { continue }
        guard lineLimit.passes(line.shownBytes, of: result.trigger) else { continue }
        var entry = Entry(level: level, message: "\(line.message)", origin: result.origin, isScripts: true)
        if case .map(let fields)? = line.fields { entry.fields = fields }
        Output.say(entry)
      }
      lineLimit.drop(result.logLinesDropped, of: result.trigger)
      if let error = result.error, lineLimit.passes(error.utf8.count, of: result.trigger, .failures) {
        Output.say(Entry(level: .error, message: "\(places.named(error))", origin: result.origin))
      }
    }
  }

  /// Says which lines were dropped since the last time. Call once in a while, and at the end.
  func sayDropped() {
    for (trigger, count) in lineLimit.takeDropped() {
      Output.say(
        .warning, "… and \(grouped(count)) more \(count == 1 ? "line" : "lines") of \(trigger) dropped",
        ["trigger": .string(trigger), "dropped": .int(Int64(count))])
    }
  }

  // MARK: Schedules

  /// The configuration's jobs, and those that scripts ask for with their own `on`.
  private func addSchedules(_ tree: ScriptTree) {
    scheduler.observe { [notices] notice in
      if let text = notices.text(of: notice) { Output.warning("\(text)") }
    }
    for entry in config.schedules { add(entry.job, from: "\(entry.file):\(entry.line)") }
    for script in tree.triggers {
      for job in script.schedules { add(job, from: script) }
    }
  }

  private func add(_ job: ScheduledJob, from script: ScriptTree.Script) {
    add(job, from: FilePath.join(config.scripts.resolved, script.path))
  }

  private func add(_ job: ScheduledJob, from place: String) {
    do {
      try scheduler.add(job, since: try storage?.since(of: job), fired: storage?.progress.fires[job.name])
    } catch {
      return Output.problem("\(place): \(error)")
    }
    if case .at(let time) = job.rule, scheduler.nextFire(of: job.name) == nil {
      Output.warning("\(place): warning: schedule '\(job.name)' does not fire: \(time) is past")
    }
  }
}

extension OperationResult {
  /// With the attempt that counts.
  fileprivate var origin: Entry.Origin { Entry.Origin(trigger: trigger, seq: seq, attempt: attempts) }
}

extension TriggerOptions {
  /// What the configuration says for scripts that say nothing.
  init(_ config: HostConfig) {
    self.init()
    timeout = config.limits.timeout
    memory = config.limits.memory
    ceilings = config.limits.most
  }
}

extension EngineConfiguration {
  init(_ config: HostConfig, workers: Int?) throws {
    self.init()
    if let count = workers ?? config.workers {
      guard (1...64).contains(count) else { throw ValidationError("workers must be 1 to 64, got \(count)") }
      self.workers = count
    }
    queueCapacity = config.queue.capacity
    whenFull = config.queue.whenFull == .wait ? .wait : .refuse
    strictOrder = config.order == .strict
    grace = config.limits.grace
    hold = config.limits.hold
    strictStores = config.strictStores
    maximumHops = config.limits.hops
    maximumEmits = config.limits.emits
    maximumOffspring = config.limits.offspring
    keys = config.limits.keys
    rules = config.stores.compactMapValues { $0.files.map { FileStoreRule($0.policy) } }
  }
}

extension ExecutionLog {
  /// About as long as the line for it.
  fileprivate var shownBytes: Int { message.utf8.count + (fields == nil ? 0 : fieldsText.utf8.count) + 64 }

  /// ` {"trades": 3}`, or nothing; what has no JSON form as people see it.
  var fieldsText: String {
    fields.map { " \($0)" } ?? ""
  }
}
