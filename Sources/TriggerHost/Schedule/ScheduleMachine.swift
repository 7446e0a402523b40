import TriggerCore

/// Decides which jobs fire when. A pure state machine: `advance` is told the time and returns what to do;
/// no threads, no clock, no I/O.
///
/// A fire is identified by its job and its nominal instant. The machine goes through each job's instants in
/// order and never back, so none fires twice, whatever the clock does.
struct ScheduleMachine {
  /// One fire of a job.
  struct Fire: Hashable, Sendable {
    var job: String
    /// The nominal instant, before jitter.
    var instant: Timestamp
  }

  enum Action: Equatable, Sendable {
    case start(Fire)
    /// The run of `old` is to be cancelled, and `by` started.
    case replace(old: Fire, by: Fire)
    /// `ended` gives it when its turn has come.
    case waits(Fire)
    /// Not run: `max_instances` runs are going on.
    case dropped(Fire)
    /// Not run: it was found out later than `misfire_grace_time` allows. `count` fires, `last` the newest;
    /// beyond `catchUpLimit` they are not counted.
    case missed(last: Fire, count: Int)
  }

  /// Most missed fires of a job that run one after another, and that are counted.
  static let catchUpLimit = 100

  private struct Entry {
    var job: ScheduledJob
    /// The instant to come and when it is due, that is, with jitter.
    var next: (instant: Timestamp, due: Timestamp)?
    var overlap: Overlap<Timestamp>
  }

  /// In the order they were added: with equal due times the earlier one goes first.
  private var entries: [Entry] = []

  var jobs: [ScheduledJob] { entries.map(\.job) }

  /// When `advance` has something to do next. O(jobs).
  var nextDue: Timestamp? { entries.compactMap { $0.next?.due }.min() }

  /// The job's next fire, jitter included.
  func nextDue(of name: String) -> Timestamp? { entries.first { $0.job.name == name }?.next?.due }

  /// Adds a job; its first fire is the first after `now` (`at` and `start` jobs: their own time).
  ///
  /// - Parameter since: a job that was known before goes on after its last fire, or after this time when it
  ///   has not fired: what it missed meanwhile counts as missed. `start` jobs fire anew.
  /// - Returns: false when a job has the name already.
  mutating func add(_ job: ScheduledJob, at now: Timestamp, since: Timestamp? = nil) -> Bool {
    guard !entries.contains(where: { $0.job.name == job.name }) else { return false }
    var entry = Entry(
      job: job, next: nil, overlap: Overlap(mode: job.mode, maxInstances: job.maxInstances))
    let base = since ?? now
    let anchored = job.rule.anchored(at: base)
    entry.job.rule = anchored
    entry.next = (anchored == .start ? now : anchored.next(after: base)).map { ($0, job.due($0)) }
    entries.append(entry)
    return true
  }

  /// Forgets a job; what it has started runs on. False when there is none of the name.
  mutating func remove(_ name: String) -> Bool {
    guard let index = entries.firstIndex(where: { $0.job.name == name }) else { return false }
    entries.remove(at: index)
    return true
  }

  /// What is due at `now`. O(jobs + fires).
  mutating func advance(to now: Timestamp) -> [Action] {
    var found: [(due: Timestamp, action: Action)] = []
    for index in entries.indices {
      guard let next = entries[index].next, next.due <= now else { continue }
      let (run, missed) = takeDue(index, at: now)
      if let missed { found.append((next.due, missed)) }
      // Jitter longer than a period must not turn a job's fires around.
      var due = next.due
      for instant in run {
        due = max(due, entries[index].job.due(instant))
        found.append((due, start(instant, index)))
      }
    }
    // By due time; fires due together in the order of their jobs.
    return found.enumerated()
      .sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
      .map(\.element.action)
  }

  /// A fire's run has ended. What waited for it may start now.
  mutating func ended(_ fire: Fire) -> Fire? {
    guard let index = entries.firstIndex(where: { $0.job.name == fire.job }) else { return nil }
    return entries[index].overlap.end(fire.instant).map { Fire(job: fire.job, instant: $0) }
  }

  // MARK: One job

  /// Moves a job on behind `now`: the instants to run, and what was missed.
  private mutating func takeDue(_ index: Int, at now: Timestamp) -> (run: [Timestamp], missed: Action?) {
    let job = entries[index].job
    var due: [Timestamp] = []
    var missed = 0
    var lastMissed: Timestamp?
    while let next = entries[index].next, next.due <= now {
      if now.nanoseconds - next.due.nanoseconds > job.grace(after: next.instant) {
        missed += 1
        lastMissed = next.instant
        if missed > Self.catchUpLimit { jump(index, near: now) } else { step(index) }
      } else {
        due.append(next.instant)
        step(index)
      }
    }
    if job.coalesce { due = Array(due.suffix(1)) } else { due = Array(due.suffix(Self.catchUpLimit)) }
    let action = lastMissed.map { Action.missed(last: Fire(job: job.name, instant: $0), count: missed) }
    return (due, action)
  }

  private mutating func step(_ index: Int) {
    let job = entries[index].job
    guard let current = entries[index].next else { return }
    entries[index].next = job.rule.next(after: current.instant).map { ($0, job.due($0)) }
  }

  /// Leaves out everything too old to run at once: a host that slept for a year does not count its seconds.
  private mutating func jump(_ index: Int, near now: Timestamp) {
    let job = entries[index].job
    guard let current = entries[index].next else { return }
    let old = now.nanoseconds - job.grace(after: current.instant) - job.jitter.nanoseconds - 1
    let from = Timestamp(nanoseconds: max(old, current.instant.nanoseconds))
    entries[index].next = job.rule.next(after: from).map { ($0, job.due($0)) }
  }

  private mutating func start(_ instant: Timestamp, _ index: Int) -> Action {
    let name = entries[index].job.name
    let fire = Fire(job: name, instant: instant)
    switch entries[index].overlap.admit(instant) {
    case .start: return .start(fire)
    case .drop: return .dropped(fire)
    case .wait: return .waits(fire)
    case .replace(let old): return .replace(old: Fire(job: name, instant: old), by: fire)
    }
  }
}
