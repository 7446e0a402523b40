import Foundation
import HostConfig
import Logging
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost
import TriggerStorage

/// A host made from its configuration: stores, scripts, feeds and schedules around one engine.
package final class RunningHost: Sendable {
  package let coordinator: CommitCoordinator
  package let queue: TriggerQueue
  package let config: HostConfig
  package let started = ContinuousClock.now
  private let scheduler: TriggerScheduler
  let notices: Notices
  private let noticeLimit = NoticeLimit()
  private let lineLimit = LineLimit()
  /// Rows of the feeds so far.
  package let rows = Mutex(FeedCounts())
  package let storage: HostStorage?
  private let files: FileStores
  private let follower = Mutex<ScriptFollower?>(nil)
  /// Lines of standard input that were answered with an error.
  let refused = Atomic<Int>(0)
  /// There are scripts, and none of them can run.
  private let nothingRuns = Atomic<Bool>(false)
  /// What triggers in force are bound to.
  private let bindings = Mutex<[EventPattern]>([])
  /// To the events of standard input.
  package let answers: Answers?

  /// - Parameters:
  ///   - data: the directory to keep everything in; nil keeps it in memory.
  ///   - answers: where events of standard input are answered; nil: nowhere.
  ///   - notices: told what the host says.
  package init(
    config: HostConfig, workers: Int? = nil, data: DataOptions? = nil, answers: Answers? = nil,
    notices: Notices
  ) throws {
    self.config = config
    self.answers = answers
    self.notices = notices
    let configuration = try EngineConfiguration(config, workers: workers)
    let opened = try data.map {
      try OpenDirectory($0, seed: configuration.seed, retention: config.log.retention)
    }
    let coordinator = CommitCoordinator(configuration, log: opened?.log)
    self.coordinator = coordinator
    files = try coordinator.register(config, following: opened, notices)
    coordinator.whenFailed { [directory = opened?.directory] message in
      // Nothing unwritten has been acknowledged; going on would only pile up work that cannot count.
      notices.problem(
        directory?.isGone == true
          ? "\(message). Stopping: nothing more could be kept. What was acknowledged is where the directory is now."
          : "the log cannot be written: \(message)\nNothing acknowledged is lost. Stopping; start again when the disk is well.",
        code: .logFailed)
    }
    coordinator.whenClockSteps {
      notices.warning(
        "\($0); spans go on as they were, what happens at wall times goes by the new one", code: .clock)
    }
    coordinator.whenStuck { notice in
      if case .lifted = notice {
        notices.say(.info, "\(notice)", code: .stuck)
      } else {
        notices.problem("\(notice)", code: .stuck)
      }
    }
    storage = try opened.map { try HostStorage($0, coordinator, config.log, notices) }
    queue = TriggerQueue(coordinator)
    scheduler = TriggerScheduler(queue)
    if let storage { notices.say(.info, "\(storage.summary)", code: .recovered) }
  }

  /// Loads the scripts and starts; what is wrong with single scripts is printed, the others run. Scripts that
  /// are saved from then on are put in force.
  ///
  /// - Throws: `HostNotReady` when the directory cannot be read; `FileProblem` for that of a file store.
  ///
  /// - Parameter configuration: reads it anew, for schedules that are saved while the host runs.
  package func start(reading configuration: @escaping @Sendable () -> HostConfig.Loaded? = { nil })
    async throws
  {
    observe()
    let follower = ScriptFollower(self, configuration)
    self.follower.withLock { $0 = follower }
    try follower.start { scripts, reload in
      for finding in scripts.findings { notices.say(finding) }
      guard scripts.isComplete else { throw HostNotReady() }
      var tree = reload.tree
      // Kept before anything runs with it: what ran can be run again.
      tree.identity = try storage?.keep(reload, seq: storage!.progress.lastSeq + 1)
      bind(tree)
      queue.bind([], scripts: tree)
      notices.say(.info, "\(EnvironmentVersions.lua)")
      nothingRuns.store(
        tree.triggers.isEmpty && scripts.findings.contains(where: \.isError), ordering: .relaxed)
      let environment = ProcessInfo.processInfo.environment["TZ"]
      if let fault = Zone.fault(ofEnvironment: environment) { notices.warning("warning: \(fault)") }
      let names = tree.triggers.map(\.name).joined(separator: ", ")
      notices.say(
        .info, "\(counted(tree.triggers.count, "trigger")): \(names.isEmpty ? "nothing can run" : names)")
      notices.say(.info, "Time zone: \(Zone.host.described(at: Timestamp(nanoseconds: EngineClock().now())))")
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
    bind(new)
    replace(jobs(of: old), by: jobs(of: new))
  }

  /// The configuration's jobs, likewise.
  func replaceSchedules(_ old: [ScheduleEntry], by new: [ScheduleEntry]) {
    replace(jobs(of: old), by: jobs(of: new))
  }

  private func replace(_ old: [PlacedJob], by new: [PlacedJob]) {
    for (job, _) in old where !new.contains(where: { $0.job.name == job.name }) { scheduler.remove(job.name) }
    for (job, place) in new {
      guard let before = old.first(where: { $0.job.name == job.name }) else {
        add(job, from: place, isNew: true)
        continue
      }
      if before.job == job { continue }
      // Written down: the next start counts from then on.
      if let storage { _ = try? storage.since(of: job) }
      scheduler.replace(job)
      warn(of: job, from: place)
    }
  }

  /// Nothing new comes from the schedules; what is queued goes on.
  package func stopSchedules() { scheduler.stop() }

  /// Looks at scripts and schedules now, whether they are followed or not.
  package func reload() { follower.withLock { $0 }?.reload() }

  // MARK: The end

  /// Takes no event any more, and begins none that waits. Returns at once.
  package func stopTaking() { queue.drain() }

  /// After the queue has stopped.
  package func stopFiles() {
    follower.withLock { $0 }?.stop()
    files.stop()
  }

  /// After the queue has stopped.
  package func closeStorage() { storage?.close() }

  /// Where a feed goes on; nil when nothing is kept.
  func progress(of feed: FeedSettings) -> RowProgress? {
    guard let storage else { return nil }
    return RowProgress(storage.progress.feeds[feed.name] ?? FeedRows())
  }

  /// What failed, when nothing else happened; nil when something did, or nothing failed.
  package var onlyFailures: String? {
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
  package var diskUse: String? { storage.map { "disk \(sizeText($0.directory.bytes))" } }

  private func observe() {
    let threshold = Logger.Level(config.logLevel)
    let places = ScriptPlaces(root: config.scripts.resolved)
    queue.observe { [lineLimit, notices] result, logs in
      for line in logs {
        let level = Logger.Level(rawValue: line.level) ?? .info
        if level < threshold { continue }
        guard lineLimit.passes(line.shownBytes, of: result.trigger) else { continue }
        var notice = HostNotice(.log, level: level, message: "\(line.message)", origin: result.origin)
        if case .map(let fields)? = line.fields { notice.fields = fields }
        notices.say(notice)
      }
      lineLimit.drop(result.logLinesDropped, of: result.trigger)
      if let error = result.error, lineLimit.passes(error.utf8.count, of: result.trigger, .failures) {
        notices.say(
          HostNotice(.failure, level: .error, message: "\(places.named(error))", origin: result.origin))
      }
    }
    // Of those of schedules the scheduler tells.
    let scheduled = Set(config.schedules.map { $0.job.target })
    coordinator.whenUnheard { [weak self] kind, name in
      guard !scheduled.contains(name), let self, let hint = hint(for: kind, name) else { return }
      notices.warning("event '\(name)': \(hint)", code: .unheard)
    }
  }

  /// Says which lines were dropped since the last time. Call once in a while, and at the end.
  package func sayDropped() {
    for (trigger, count) in lineLimit.takeDropped() {
      notices.say(
        .warning, "… and \(grouped(count)) more \(count == 1 ? "line" : "lines") of \(trigger) dropped",
        ["trigger": .string(trigger), "dropped": .int(Int64(count))], code: .dropped)
    }
  }

  // MARK: Events that nobody takes

  private func bind(_ tree: ScriptTree) { bindings.withLock { $0 = tree.triggers.flatMap(\.options.on) } }

  /// Why an event reaches no trigger, and what was meant perhaps; nil when one is bound to it.
  func hint(for kind: EventKind, _ name: String) -> String? {
    let patterns = bindings.withLock { $0 }
    if patterns.contains(where: { $0.kind.takes(kind) && $0.matches(name) }) { return nil }
    let text = "no trigger has on = { \(kind) = \"\(name)\" }"
    if let other = patterns.first(where: { [.event, .data, .message].contains($0.kind) && $0.matches(name) })
    {
      return "\(text), but one has it as \(other.kind): say \"kind\": \"\(other.kind)\""
    }
    let names = patterns.filter { $0.kind.takes(kind) && !$0.pattern.contains("*") }.map(\.pattern)
    return text + Suggestion.clause(for: name, among: names)
  }

  // MARK: Schedules

  /// The configuration's jobs, and those that scripts ask for with their own `on`.
  private func addSchedules(_ tree: ScriptTree) {
    scheduler.observe { [noticeLimit, notices] notice in
      if let text = noticeLimit.text(of: notice) { notices.warning("\(text)", code: .schedule) }
    }
    for (job, place) in jobs(of: config.schedules) + jobs(of: tree) { add(job, from: place) }
  }

  private typealias PlacedJob = (job: ScheduledJob, place: String)

  private func jobs(of entries: [ScheduleEntry]) -> [PlacedJob] {
    entries.map { ($0.job, "\($0.file):\($0.line)") }
  }

  private func jobs(of tree: ScriptTree) -> [PlacedJob] {
    tree.triggers.flatMap { script in
      script.schedules.map { ($0, FilePath.join(config.scripts.resolved, script.path)) }
    }
  }

  /// - Parameter isNew: it comes while the host runs, and has missed nothing.
  private func add(_ job: ScheduledJob, from place: String, isNew: Bool = false) {
    do {
      let since = try storage?.since(of: job)
      if isNew {
        try scheduler.add(job)
      } else {
        try scheduler.add(job, since: since, fired: storage?.progress.fires[job.name])
      }
    } catch {
      return notices.problem("\(place): \(error)", code: .schedule)
    }
    warn(of: job, from: place)
  }

  private func warn(of job: ScheduledJob, from place: String) {
    if case .at(let time) = job.rule, scheduler.nextFire(of: job.name) == nil {
      notices.warning(
        "\(place): warning: schedule '\(job.name)' does not fire: \(time) is past", code: .schedule)
    }
  }
}

extension OperationResult {
  /// With the attempt that counts.
  fileprivate var origin: HostNotice.Origin {
    HostNotice.Origin(trigger: trigger, seq: seq, attempt: attempts)
  }
}

extension ExecutionLog {
  /// About as long as the line for it.
  fileprivate var shownBytes: Int { message.utf8.count + (fields == nil ? 0 : fieldsText.utf8.count) + 64 }

  /// ` {"trades": 3}`, or nothing; what has no JSON form as people see it.
  package var fieldsText: String {
    fields.map { " \($0)" } ?? ""
  }
}
