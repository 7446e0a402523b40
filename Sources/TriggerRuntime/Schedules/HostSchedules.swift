import HostConfig
import TriggerCore
import TriggerHost

/// The jobs of a host: those of its configuration, and those that scripts ask for with their own `on`.
final class HostSchedules: Sendable {
  let scheduler: TriggerScheduler
  private let storage: HostStorage?
  private let config: HostConfig
  private let notices: Notices

  private typealias PlacedJob = (job: ScheduledJob, place: String)

  init(_ parts: HostParts, _ storage: HostStorage?) {
    scheduler = TriggerScheduler(parts.queue, hasTimer: !parts.isStepped)
    (config, notices) = (parts.config, parts.notices)
    self.storage = storage
  }

  /// Makes the jobs known that a host begins with: what they have missed while it was down counts.
  func begin(_ tree: ScriptTree) {
    let limit = NoticeLimit()
    scheduler.observe { [notices] notice in
      if let text = limit.text(of: notice) { notices.warning("\(text)", code: .schedule) }
    }
    for (job, place) in jobs(of: config.schedules) + jobs(of: tree) {
      set(job, from: place) { try begin(job, since: $0) }
    }
  }

  /// Jobs of a program, and those that its scripts ask for: likewise.
  ///
  /// - Throws: `ScheduleError` when two have one name; what the disk says.
  func begin(_ jobs: [ScheduledJob], _ tree: ScriptTree?) throws {
    for job in jobs + (tree?.triggers.flatMap(\.schedules) ?? []) {
      try begin(job, since: try since(of: job))
    }
  }

  private func begin(_ job: ScheduledJob, since known: Timestamp?) throws {
    try scheduler.add(job, since: known, fired: storage?.progress.fires[job.name])
  }

  /// Since when the job counts; nil when nothing is kept. It is written down at first sight, and again when its rule is
  /// another: the next start counts from then on.
  private func since(of job: ScheduledJob) throws -> Timestamp? { try storage?.since(of: job) }

  func start() { scheduler.start() }

  /// No job fires any more.
  func stop() { scheduler.stop() }

  /// The jobs that scripts ask for: those that are the same go on as they are.
  func replace(of old: ScriptTree, by new: ScriptTree) { replace(jobs(of: old), by: jobs(of: new)) }

  /// The configuration's jobs, likewise.
  func replace(_ old: [ScheduleEntry], by new: [ScheduleEntry]) { replace(jobs(of: old), by: jobs(of: new)) }

  private func replace(_ old: [PlacedJob], by new: [PlacedJob]) {
    for (job, _) in old where !new.contains(where: { $0.job.name == job.name }) { scheduler.remove(job.name) }
    for (job, place) in new {
      let before = old.first { $0.job.name == job.name }
      if before?.job == job { continue }
      // It comes while the host runs, and has missed nothing.
      set(job, from: place) { _ in
        if before == nil { try scheduler.add(job) } else { scheduler.replace(job) }
      }
    }
  }

  /// Makes a job known, and says what is wrong with it.
  ///
  /// - Parameter enter: gets the time since when it counts.
  private func set(_ job: ScheduledJob, from place: String, _ enter: (_ since: Timestamp?) throws -> Void) {
    do { try enter(try since(of: job)) } catch {
      return notices.problem("\(place): \(error)", code: .schedule)
    }
    if case .at(let time) = job.rule, scheduler.nextFire(of: job.name) == nil {
      notices.warning(
        "\(place): warning: schedule '\(job.name)' does not fire: \(time) is past", code: .schedule)
    }
  }

  private func jobs(of entries: [ScheduleEntry]) -> [PlacedJob] {
    entries.map { ($0.job, "\($0.file):\($0.line)") }
  }

  private func jobs(of tree: ScriptTree) -> [PlacedJob] {
    tree.triggers.flatMap { script in
      script.schedules.map { ($0, FilePath.join(config.scripts.resolved, script.path)) }
    }
  }
}
