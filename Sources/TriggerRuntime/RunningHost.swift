import Foundation
import HostConfig
import Logging
import Synchronization
import TriggerCore
import TriggerFiles
import TriggerHost

/// A host that runs: it takes events, commits, follows its files and fires its schedules until `stop`.
///
/// As a service of a `ServiceGroup` it reads its feeds, and stops when the group shuts down (`run`).
public final class RunningHost: Sendable {
  /// Stores, statistics, and what is known of seqs.
  public let coordinator: CommitCoordinator
  /// Where events come in.
  public let queue: TriggerQueue
  /// Jobs by the clock. Those of the configuration and the scripts are in it; a program may add its own.
  public var scheduler: TriggerScheduler { schedules.scheduler }
  package let config: HostConfig
  package let started = ContinuousClock.now
  /// Rows of files that become events.
  package let feeds: HostFeeds
  package let storage: HostStorage?
  let notices: Notices
  let scripts: HostScripts
  let schedules: HostSchedules
  let files: FileStores
  let effects: HostEffects
  /// Conversations with clients; nil: `HostOptions.keepsSessions` says no.
  package let sessions: HostSessions?
  /// Opens the log for one more reader; nil when nobody can read it.
  package var openLog: (@Sendable () throws -> any LogSource)? { log?.openSource }
  let log: HostLog?
  /// Whoever settles operations that failed for good: one at a time.
  let settling = Mutex(())
  let endSignal: EndSignal
  let ending = OneEnd()
  private let follower = Mutex<ScriptFollower?>(nil)
  private let reading: @Sendable () -> HostConfig.Loaded?
  private let operations: OperationNotices
  let clock: any EngineClock
  /// What follows the files of scripts and schedules.
  private let following = Mutex<Task<Void, Never>?>(nil)
  let metrics: EngineMetrics
  private let metricsInterval: Duration
  private let measuring = Mutex<Task<Void, Never>?>(nil)
  /// There are scripts, and none of them can run.
  package var runsNothing: Bool { scripts.runsNothing }

  init(_ parts: HostParts, _ storage: HostStorage?) {
    (coordinator, queue, config) = (parts.coordinator, parts.queue, parts.config)
    (notices, files, endSignal) = (parts.notices, parts.files, parts.endSignal)
    self.storage = storage
    effects = HostEffects(parts, storage)
    sessions =
      parts.options.keepsSessions
      ? parts.log.map { HostSessions(parts, $0) } : nil
    log = parts.log
    schedules = HostSchedules(parts, storage)
    scripts = HostScripts(parts, storage, schedules)
    (reading, clock) = (parts.reading, parts.options.clock)
    operations = OperationNotices(config, notices)
    metrics = EngineMetrics(parts.coordinator, factory: parts.options.metrics)
    metricsInterval = parts.options.metricsInterval
    feeds = HostFeeds(config, queue, storage, notices)
  }

  /// Reads the scripts, follows them from then on, and lets everything run.
  func start() async throws {
    observe()
    // Reading and keeping them takes as long as the disk does.
    let follower = try await onOwnThread("start") { [self] in try beginScripts() }
    following.withLock { $0 = Task { try? await follower.run() } }
    giveBackFreedMemory()
    try effects.start()
    try sessions?.start()
    queue.start()
    try await files.start(queue)
    schedules.start()
    measure()
  }

  private func measure() {
    measuring.withLock {
      $0 = Task { [metrics, metricsInterval] in await metrics.run(every: metricsInterval) }
    }
  }

  private func beginScripts() throws -> ScriptFollower {
    let follower = ScriptFollower(scripts, reading)
    self.follower.withLock { $0 = follower }
    let (found, reload) = try follower.begin()
    for finding in found.findings { notices.say(finding) }
    guard found.isComplete else { throw HostNotReady() }
    let tree = try scripts.begin(reload, hasErrors: found.findings.contains(where: \.isError))
    sayWhatRuns(tree)
    schedules.begin(tree)
    follower.begin(with: tree)
    return follower
  }

  /// Lets these scripts run, and nothing else but what the stores do.
  func start(
    _ reload: ScriptReload, observer: @escaping @Sendable (OperationResult, [ExecutionLog]) -> Void
  ) async throws {
    queue.observe(observer)
    _ = try scripts.begin(reload)
    try effects.start()
    try sessions?.start()
    queue.start()
    try await files.start(queue)
  }

  /// Lets run what a program has at hand.
  func start(
    _ tree: ScriptTree?, _ jobs: [ScheduledJob],
    _ observer: (@Sendable (OperationResult, [ExecutionLog]) -> Void)?
  ) throws {
    if let observer { queue.observe(observer) }
    try schedules.begin(jobs, tree)
    if let tree { _ = try scripts.begin(tree) } else { scripts.begin(kept: nil) }
    try effects.start()
    try sessions?.start()
    queue.start()
    schedules.start()
    measure()
  }

  private func sayWhatRuns(_ tree: ScriptTree) {
    notices.say(.info, "\(EnvironmentVersions.lua)")
    let environment = ProcessInfo.processInfo.environment["TZ"]
    if let fault = Zone.fault(ofEnvironment: environment) { notices.warning("warning: \(fault)") }
    if config.reload.verifyLast > 0, scripts.judge == nil {
      notices.warning("warning: scripts.verify_last does nothing here: this program executes nothing again")
    }
    let names = tree.triggers.map(\.name).joined(separator: ", ")
    notices.say(
      .info, "\(counted(tree.triggers.count, "trigger")): \(names.isEmpty ? "nothing can run" : names)")
    let now = Timestamp(nanoseconds: clock.now())
    notices.say(.info, "Time zone: \(Zone.host.described(at: now))")
  }

  private func observe() {
    operations.observe(queue)
    // Of those of schedules the scheduler tells.
    let scheduled = Set(config.schedules.map { $0.job.target })
    coordinator.whenUnheard { [notices, scripts] kind, name in
      guard !scheduled.contains(name), let hint = scripts.hint(for: kind, name) else { return }
      notices.warning("event '\(name)': \(hint)", code: .unheard)
    }
  }

  /// Looks at scripts and schedules now, whether they are followed or not. What comes of it is said.
  public func reload() { follower.withLock { $0 }?.reload() }

  /// Nothing new comes from the schedules; what is queued goes on.
  package func stopSchedules() { schedules.stop() }

  /// Takes no event any more, and begins none that waits. Returns at once.
  package func stopTaking() { queue.drain() }

  /// What was counted last is written when this returns.
  func stopMeasuring() {
    measuring.withLock { $0 }?.cancel()
    metrics.write()
  }

  func stopFollowing() {
    following.withLock { $0 }?.cancel()
    follower.withLock { $0 }?.stop()
    files.stop()
  }

  /// Says which lines were dropped since the last time. Call once in a while, and at the end.
  package func sayDropped() { operations.sayDropped() }

  /// What is on disk, for people; nil when nothing is.
  package var diskUse: String? { storage.map { "disk \(sizeText($0.directory.bytes))" } }
}
