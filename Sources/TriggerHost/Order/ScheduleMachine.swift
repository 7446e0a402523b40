import DequeModule
import TriggerCore

/// Decides which jobs fire when. A pure state machine without threads, clock or I/O: `advance` gets the time and
/// returns what to do.
///
/// A job and a nominal instant together name a fire. No fire happens twice, whatever the clock does. Jobs of wall times
/// (`cron`, `at`) go by the clock that people set. Jobs of spans (`every`) go by the clock that nobody can set. Their
/// instants are the wall times at those moments.
struct ScheduleMachine {
  /// One fire of a job.
  struct Fire: Hashable, Sendable {
    var job: String
    /// The nominal instant, before jitter.
    var instant: Timestamp
    /// No instant after this one and before `instant` will fire any more. Fires with equal job and instant are equal,
    /// whatever their `after`.
    var after: Timestamp

    init(job: String, instant: Timestamp, after: Timestamp? = nil) {
      self.job = job
      self.instant = instant
      self.after = after ?? Timestamp(nanoseconds: instant.nanoseconds - 1)
    }

    static func == (left: Fire, right: Fire) -> Bool {
      left.instant == right.instant && left.job == right.job
    }
    func hash(into hasher: inout Hasher) {
      hasher.combine(job)
      hasher.combine(instant)
    }
  }

  /// Several fires of a job that do not run.
  struct Fires: Equatable, Sendable {
    var job: String
    var first: Timestamp
    var last: Timestamp
    var count = 1
    /// True when there are more fires than `count`.
    var isMore = false
  }

  enum Action: Equatable, Sendable {
    case start(Fire)
    /// Cancel the run of `old` and start `by`.
    case replace(old: Fire, by: Fire)
    /// The fire waits. `ended` returns it when its turn has come.
    case waits(Fire)
    /// The fire does not run, because `max_instances` runs go on.
    case dropped(Fire)
    /// The fires do not run, because they are later than `misfire_grace_time` allows.
    case missed(Fires)
    /// The fires do not run, because of several due fires only the newest run: one (`coalesce`) or `catchUpLimit`.
    case leftOut(Fires)
    /// The clock was set back to before a fire that has happened. The fire does not happen again.
    case ahead(Fire, next: Timestamp?)
  }

  /// The most fires of a job that run one after another when several are due.
  static let catchUpLimit = 100
  /// The most fires that are counted one by one.
  static let countLimit = 1000

  private struct Next {
    var instant: Timestamp
    /// The wall time with jitter.
    var due: Timestamp
    /// For a job of spans: the time on the clock that nobody can set.
    var monotonic: MonotonicTime?

    /// How long ago the fire was due, in nanoseconds. Below zero: it is not due yet.
    func lateness(at now: ClockReading) -> Int64 {
      monotonic.map { now.monotonic - $0 } ?? now.wall &- due.nanoseconds
    }
  }

  private struct Waiting {
    var fire: Fire
    var next: Next
    /// True when the fire came due while earlier fires waited: then it may be too late when its turn comes.
    var mayExpire: Bool
  }

  private struct Entry {
    var job: ScheduledJob
    /// The next fire; nil when none comes.
    var next: Next?
    var overlap: Overlap<Fire>
    /// The time after which instants count while no fire is known.
    var since: Timestamp
    var fired: FiredInstants
    /// The instant of the last fire; nil when there is none, or somebody has set the clock since.
    var before: Timestamp?
    /// Fires that were due together. They run one after another, oldest first.
    var catchUp: Deque<Waiting> = []

    var isElapsed: Bool {
      switch job.rule {
      case .every, .start: true
      case .wall, .at: false
      }
    }
  }

  /// The jobs, in the order in which they were added. Of two jobs with equal due times the earlier goes first.
  private var entries: [Entry] = []
  /// The fired instants of removed jobs, by name: a job of the same name may come back.
  private var removed: [String: FiredInstants] = [:]
  private var watch: ClockWatch?
  /// Actions that `advance` returns before all others.
  private var notices: [Action] = []

  var jobs: [ScheduledJob] { entries.map(\.job) }

  /// When `advance` has something to do next: when one of the clocks has reached its time. Nil when nothing is to do.
  /// O(jobs).
  var nextDue: ClockReading? {
    var due = ClockReading(wall: .max, monotonic: .never)
    for next in entries.compactMap(\.next) {
      if let time = next.monotonic {
        due.monotonic = min(due.monotonic, time)
      } else {
        due.wall = min(due.wall, next.due.nanoseconds)
      }
    }
    if !notices.isEmpty { due.wall = .min }
    return due.wall == .max && due.monotonic == .never ? nil : due
  }

  /// The wall time of the job's next fire, with jitter; nil when none comes.
  func nextDue(of name: String) -> Timestamp? { entries.first { $0.job.name == name }?.next?.due }

  /// Adds a job. Its first fire is the first instant after `now`; for `at` and `start` jobs, their own time.
  ///
  /// - Parameters:
  ///   - since: for a job that was known before: since when. The job goes on after its last fire, or after this time
  ///     when it has not fired. Fires that were due meanwhile count as missed. `start` jobs fire again.
  ///   - fired: the instants that the job has fired before.
  /// - Returns: false when a job has the name already.
  mutating func add(
    _ job: ScheduledJob, at now: ClockReading, since: Timestamp? = nil, fired: FiredInstants? = nil
  ) -> Bool {
    guard !entries.contains(where: { $0.job.name == job.name }) else { return false }
    adjust(to: now)
    let fired = fired ?? removed.removeValue(forKey: job.name) ?? FiredInstants()
    let wall = Timestamp(nanoseconds: now.wall)
    let entry = Entry(
      job: job, next: nil, overlap: Overlap(mode: job.mode, maxInstances: job.maxInstances),
      since: min(since ?? wall, wall), fired: fired)
    entries.append(entry)
    let index = entries.count - 1
    switch job.rule {
    case .start: entries[index].next = next(wall, index, at: now)
    case .every:
      let last = max(
        entries[index].since, fired.newest.map { Timestamp(nanoseconds: $0) } ?? entries[index].since)
      // A last fire that is ahead of the clock must not silence the job for longer than its span.
      entries[index].job.rule = job.rule.anchored(at: min(last, wall))
      plan(after: min(last, wall), index, at: now)
    case .wall, .at: resume(index, at: now)
    }
    if let furthest = fired.furthest, furthest > now.wall { sayAhead(index, furthest) }
    return true
  }

  /// Replaces the job of the same name. With the same rule and jitter the job goes on where it is. Otherwise it begins
  /// anew, but no instant fires again. False when there is no job of the name.
  mutating func replace(_ job: ScheduledJob, at now: ClockReading) -> Bool {
    guard let index = entries.firstIndex(where: { $0.job.name == job.name }) else { return false }
    adjust(to: now)
    let old = entries[index]
    let isSameRule = job.rule.isSame(as: old.job.rule)
    guard isSameRule, job.jitter == old.job.jitter else {
      entries.remove(at: index)
      _ = add(job, at: now, since: isSameRule ? old.since : nil, fired: old.fired)
      entries.insert(entries.removeLast(), at: index)
      entries[index].overlap = old.overlap
      entries[index].overlap.limit(to: job.maxInstances, job.mode)
      return true
    }
    entries[index].job = job
    entries[index].job.rule = old.job.rule
    entries[index].overlap.limit(to: job.maxInstances, job.mode)
    return true
  }

  /// Removes a job. Its runs go on, and its fired instants are kept. False when there is no job of the name.
  mutating func remove(_ name: String) -> Bool {
    guard let index = entries.firstIndex(where: { $0.job.name == name }) else { return false }
    if removed.count >= Self.countLimit { removed = [:] }
    removed[name] = entries.remove(at: index).fired
    return true
  }

  /// Returns what to do for everything that is due at `now`. O(jobs + fires).
  mutating func advance(to now: ClockReading) -> [Action] {
    adjust(to: now)
    var found: [(due: Timestamp, action: Action)] = []
    for index in entries.indices {
      guard let next = entries[index].next, next.lateness(at: now) >= 0 else { continue }
      let (fires, said) = passDue(index, at: now)
      found += said.map { (next.due, $0) }
      guard let first = fires.first else { continue }
      if fires.count == 1, entries[index].catchUp.isEmpty {
        found.append((first.next.due, start(first.fire, index)))
      } else {
        found += queue(fires, index).map { (first.next.due, $0) }
        found += runNext(index, at: now).map { (first.next.due, $0) }
      }
    }
    defer { notices = [] }
    // By due time. Fires that are due together come in the order of their jobs.
    return notices
      + found.enumerated()
      .sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
      .map(\.element.action)
  }

  /// Notes that the run of a fire has ended. Fires that waited for it may start now.
  mutating func ended(_ fire: Fire, at now: ClockReading) -> [Action] {
    guard let index = entries.firstIndex(where: { $0.job.name == fire.job }) else { return [] }
    if let next = entries[index].overlap.end(fire) { return [.start(next)] }
    return runNext(index, at: now)
  }

  // MARK: The clock

  /// Notices when somebody has set the wall clock, ahead or back, and moves every job to the new time at once.
  private mutating func adjust(to now: ClockReading) {
    guard watch != nil else { return watch = ClockWatch(now) }
    guard let step = watch!.look(now) else { return }
    for index in entries.indices {
      entries[index].before = nil
      if entries[index].isElapsed {
        shift(index, by: step.by)
      } else if step.by < 0 {
        resume(index, at: now)
        if let furthest = entries[index].fired.furthest, furthest > now.wall { sayAhead(index, furthest) }
      }
    }
  }

  /// Moves the instants of a job of spans by `step`. Its next fire comes at the same moment as before, and only the
  /// wall time of that moment is another.
  private mutating func shift(_ index: Int, by step: Int64) {
    guard let next = entries[index].next else { return }
    func moved(_ time: Timestamp) -> Timestamp { Timestamp(nanoseconds: time.nanoseconds &+ step) }
    entries[index].next?.instant = moved(next.instant)
    entries[index].next?.due = moved(next.due)
    if case .every(let span, let from?) = entries[index].job.rule {
      entries[index].job.rule = .every(span, from: moved(from))
      makeUnused(index)
    }
  }

  /// Moves the instants of a job of spans by nanoseconds until none of them is an instant that has fired.
  private mutating func makeUnused(_ index: Int) {
    guard case .every(let span, let from?) = entries[index].job.rule, let next = entries[index].next else {
      return
    }
    let step = max(1, span.nanoseconds)
    var by: Int64 = 0
    while entries[index].fired.runs.contains(where: { run in
      let instant = next.instant.nanoseconds + by
      return instant <= run.last && (run.last - instant) % step == 0
    }), by < Int64(FiredInstants.kept) { by += 1 }
    if by == 0 { return }
    entries[index].job.rule = .every(span, from: Timestamp(nanoseconds: from.nanoseconds + by))
    entries[index].next!.instant = Timestamp(nanoseconds: next.instant.nanoseconds + by)
    entries[index].next!.due = Timestamp(nanoseconds: next.due.nanoseconds + by)
  }

  /// Sets the next fire of a job of wall times: the first instant that has not fired, after the last fire or, for a job
  /// without fires, after `since`. Instants that the clock has passed meanwhile count as missed.
  private mutating func resume(_ index: Int, at now: ClockReading) {
    let entry = entries[index]
    let last = entry.fired.last(notAfter: now.wall) ?? .min
    let isInside = entry.fired.end(of: now.wall) != nil
    let base = isInside ? now.wall : max(min(entry.since.nanoseconds, now.wall), last)
    plan(after: Timestamp(nanoseconds: base), index, at: now)
  }

  private mutating func sayAhead(_ index: Int, _ furthest: Int64) {
    let (name, next) = (entries[index].job.name, entries[index].next?.instant)
    notices.append(.ahead(Fire(job: name, instant: Timestamp(nanoseconds: furthest)), next: next))
  }

  // MARK: One job

  private func next(_ instant: Timestamp, _ index: Int, at now: ClockReading) -> Next {
    let due = entries[index].job.due(instant)
    return Next(
      instant: instant, due: due,
      monotonic: entries[index].isElapsed ? now.monotonic + (due.nanoseconds &- now.wall) : nil)
  }

  /// The first instant after `time` that has not fired.
  private mutating func plan(after time: Timestamp, _ index: Int, at now: ClockReading) {
    var instant = entries[index].job.rule.next(after: time)
    if !entries[index].isElapsed {
      while let found = instant, let end = entries[index].fired.end(of: found.nanoseconds) {
        instant = entries[index].job.rule.next(after: Timestamp(nanoseconds: end))
      }
    }
    entries[index].next = instant.map { next($0, index, at: now) }
    if entries[index].isElapsed { makeUnused(index) }
  }

  /// Moves a job on past `now`. Returns the fires that should run, and the actions that tell of the others.
  private mutating func passDue(
    _ index: Int, at now: ClockReading
  ) -> (fires: [Waiting], said: [Action]) {
    let job = entries[index].job
    let kept = job.coalesce ? 1 : Self.catchUpLimit
    var due: [Next] = []
    var (missed, leftOut): (Fires?, Fires?) = (nil, nil)
    while let next = entries[index].next, next.lateness(at: now) >= 0 {
      let grace = job.grace(after: next.instant)
      if next.lateness(at: now) > grace {
        count(next.instant, of: job, in: &missed)
        let old = now.wall.subtractingReportingOverflow(grace).partialValue - job.jitter.nanoseconds - 1
        if missed!.count == Self.countLimit {
          _ = jump(index, keeping: 1, notAfter: old, at: now, &missed)
        }
      } else {
        due.append(next)
        if due.count > kept { count(due.removeFirst().instant, of: job, in: &leftOut) }
        if leftOut?.count == Self.countLimit, leftOut?.isMore == false {
          let end = now.wall - job.jitter.nanoseconds
          if jump(index, keeping: kept + 1, notAfter: end, at: now, &leftOut) { due = [] }
        }
      }
      if entries[index].next?.instant == next.instant { plan(after: next.instant, index, at: now) }
    }
    return (
      due.map { wait($0, index) },
      [missed.map { .missed($0) }, leftOut.map { .leftOut($0) }].compactMap { $0 }
    )
  }

  private func count(_ instant: Timestamp, of job: ScheduledJob, in fires: inout Fires?) {
    guard fires != nil else { return fires = Fires(job: job.name, first: instant, last: instant) }
    fires!.last = instant
    fires!.count += 1
  }

  /// Passes over fires that would only be counted: a host that slept for a year does not count every second of it. The
  /// job goes on at a time after which at least `kept` instants come up to `end`. False when there is no such time.
  private mutating func jump(
    _ index: Int, keeping kept: Int, notAfter end: Int64, at now: ClockReading, _ fires: inout Fires?
  ) -> Bool {
    guard let current = entries[index].next?.instant else { return false }
    let rule = entries[index].job.rule
    var span: Int64 = 1_000_000
    while end - span > current.nanoseconds {
      let from = Timestamp(nanoseconds: end - span)
      var instant = rule.next(after: from)
      for _ in 1..<kept { instant = instant.flatMap { rule.next(after: $0) } }
      if let instant, instant.nanoseconds <= end {
        fires!.isMore = true
        plan(after: from, index, at: now)
        return true
      }
      let (more, isTooMuch) = span.multipliedReportingOverflow(by: 4)
      if isTooMuch { return false }
      span = more
    }
    return false
  }

  private mutating func wait(_ next: Next, _ index: Int) -> Waiting {
    let fire = Fire(job: entries[index].job.name, instant: next.instant, after: entries[index].before)
    entries[index].before = next.instant
    entries[index].fired.add(fire.instant.nanoseconds, after: fire.after.nanoseconds)
    return Waiting(fire: fire, next: next, mayExpire: false)
  }

  private mutating func start(_ fire: Fire, _ index: Int) -> Action {
    switch entries[index].overlap.admit(fire) {
    case .start: return .start(fire)
    case .drop: return .dropped(fire)
    case .wait: return .waits(fire)
    case .replace(let old): return .replace(old: old, by: fire)
    }
  }

  // MARK: Several at once

  /// Puts fires behind the fires that wait already, up to `catchUpLimit`. Returns what tells of the others.
  private mutating func queue(_ fires: [Waiting], _ index: Int) -> [Action] {
    let isFirst = entries[index].catchUp.isEmpty
    var leftOut: Fires?
    for fire in fires {
      if entries[index].catchUp.count < Self.catchUpLimit {
        var fire = fire
        fire.mayExpire = !isFirst
        entries[index].catchUp.append(fire)
      } else {
        count(fire.fire.instant, of: entries[index].job, in: &leftOut)
      }
    }
    return leftOut.map { [.leftOut($0)] } ?? []
  }

  /// Starts the oldest waiting fire when no run of the job goes on.
  private mutating func runNext(_ index: Int, at now: ClockReading) -> [Action] {
    var missed: Fires?
    var started: [Action] = []
    while started.isEmpty, entries[index].overlap.running.isEmpty,
      let first = entries[index].catchUp.popFirst()
    {
      let job = entries[index].job
      if first.mayExpire, first.next.lateness(at: now) > job.grace(after: first.fire.instant) {
        count(first.fire.instant, of: job, in: &missed)
      } else {
        started = [start(first.fire, index)]
      }
    }
    return (missed.map { [.missed($0)] } ?? []) + started
  }
}
