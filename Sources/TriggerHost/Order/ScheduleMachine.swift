import DequeModule
import TriggerCore

/// Decides which jobs fire when. A pure state machine: `advance` is told the time and returns what to do;
/// no threads, no clock, no I/O.
///
/// A fire is identified by its job and its nominal instant, and none happens twice, whatever the clock does. Jobs of
/// wall times (`cron`, `at`) go by the clock that people set, those of spans (`every`) by the one that nobody sets:
/// their instants are what the wall shows then.
struct ScheduleMachine {
  /// One fire of a job.
  struct Fire: Hashable, Sendable {
    var job: String
    /// The nominal instant, before jitter.
    var instant: Timestamp
    /// No instant after this one and before `instant` is still to fire. Says nothing of which fire it is.
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

  /// Several fires of a job that do not become runs.
  struct Fires: Equatable, Sendable {
    var job: String
    var first: Timestamp
    var last: Timestamp
    var count = 1
    /// There are more than `count`.
    var isMore = false
  }

  enum Action: Equatable, Sendable {
    case start(Fire)
    /// The run of `old` is to be cancelled, and `by` started.
    case replace(old: Fire, by: Fire)
    /// `ended` gives it when its turn has come.
    case waits(Fire)
    /// Not run: `max_instances` runs are going on.
    case dropped(Fire)
    /// Not run: found out later than `misfire_grace_time` allows.
    case missed(Fires)
    /// Not run: of several fires only the newest do, one of them (`coalesce`) or `catchUpLimit`.
    case leftOut(Fires)
    /// The clock was set back behind what the job has fired: that does not fire again.
    case ahead(Fire, next: Timestamp?)
  }

  /// Most fires of a job that run one after another when several are due.
  static let catchUpLimit = 100
  /// Most fires that are counted one by one.
  static let countLimit = 1000

  private struct Next {
    var instant: Timestamp
    /// With jitter, on the wall.
    var due: Timestamp
    /// On the clock that nobody sets, for a job of spans.
    var monotonic: MonotonicTime?

    /// How long ago it was due, in nanoseconds; below zero: it is not yet.
    func lateness(at now: ClockReading) -> Int64 {
      monotonic.map { now.monotonic - $0 } ?? now.wall &- due.nanoseconds
    }
  }

  private struct Waiting {
    var fire: Fire
    var next: Next
    /// It came due while others before it were still to run: it may be too late when its turn comes.
    var mayExpire: Bool
  }

  private struct Entry {
    var job: ScheduledJob
    /// The instant to come.
    var next: Next?
    var overlap: Overlap<Fire>
    /// What fires count from when none is known.
    var since: Timestamp
    var fired: FiredInstants
    /// The last fire, while nobody has set the clock since.
    var before: Timestamp?
    /// Fires that were due together: they run one after another, oldest first.
    var catchUp: Deque<Waiting> = []

    var isElapsed: Bool {
      switch job.rule {
      case .every, .start: true
      case .wall, .at: false
      }
    }
  }

  /// In the order they were added: with equal due times the earlier one goes first.
  private var entries: [Entry] = []
  /// What jobs have fired that are gone: one of the name may come back.
  private var removed: [String: FiredInstants] = [:]
  private var watch: ClockWatch?
  /// To be said with the next actions.
  private var notices: [Action] = []

  var jobs: [ScheduledJob] { entries.map(\.job) }

  /// When `advance` has something to do next, on either clock. O(jobs).
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

  /// The job's next fire, jitter included, on the wall.
  func nextDue(of name: String) -> Timestamp? { entries.first { $0.job.name == name }?.next?.due }

  /// Adds a job; its first fire is the first after `now` (`at` and `start` jobs: their own time).
  ///
  /// - Parameters:
  ///   - since: a job that was known before goes on after its last fire, or after this time when it
  ///     has not fired: what it missed meanwhile counts as missed. `start` jobs fire anew.
  ///   - fired: what it has fired before.
  /// - Returns: false when a job has the name already.
  mutating func add(
    _ job: ScheduledJob, at now: ClockReading, since: Timestamp? = nil, fired: FiredInstants? = nil
  ) -> Bool {
    guard !entries.contains(where: { $0.job.name == job.name }) else { return false }
    follow(now)
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
      // A fire that is ahead of the clock must not silence it for longer than its span.
      entries[index].job.rule = job.rule.anchored(at: min(last, wall))
      plan(after: min(last, wall), index, at: now)
    case .wall, .at: resume(index, at: now)
    }
    if let furthest = fired.furthest, furthest > now.wall { sayAhead(index, furthest) }
    return true
  }

  /// Gives a job another form. One that fires by the same rule goes on where it is, any other begins anew; what has fired
  /// does not fire again. False when there is none of the name.
  mutating func replace(_ job: ScheduledJob, at now: ClockReading) -> Bool {
    guard let index = entries.firstIndex(where: { $0.job.name == job.name }) else { return false }
    follow(now)
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

  /// Forgets a job, but not what it has fired; what it has started runs on. False when there is none of the name.
  mutating func remove(_ name: String) -> Bool {
    guard let index = entries.firstIndex(where: { $0.job.name == name }) else { return false }
    if removed.count >= Self.countLimit { removed = [:] }
    removed[name] = entries.remove(at: index).fired
    return true
  }

  /// What is due at `now`. O(jobs + fires).
  mutating func advance(to now: ClockReading) -> [Action] {
    follow(now)
    var found: [(due: Timestamp, action: Action)] = []
    for index in entries.indices {
      guard let next = entries[index].next, next.lateness(at: now) >= 0 else { continue }
      let (fires, said) = takeDue(index, at: now)
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
    // By due time; fires due together in the order of their jobs.
    return notices
      + found.enumerated()
      .sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
      .map(\.element.action)
  }

  /// A fire's run has ended. What waited for it may start now.
  mutating func ended(_ fire: Fire, at now: ClockReading) -> [Action] {
    guard let index = entries.firstIndex(where: { $0.job.name == fire.job }) else { return [] }
    if let next = entries[index].overlap.end(fire) { return [.start(next)] }
    return runNext(index, at: now)
  }

  // MARK: The clock

  /// Notices when somebody has set the wall clock, and heals: in both directions, at once.
  private mutating func follow(_ now: ClockReading) {
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

  /// The next fire of a job of spans comes when it would have; only what the wall shows then is another time.
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

  /// Instants of spans that come to lie on ones that have fired are moved by a nanosecond: they are others.
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

  /// A job of wall times goes on with the first instant that is not behind the clock and has not fired; what is behind
  /// and has not fired either was missed.
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

  /// Moves a job on behind `now`: what is to run, and what is said of the rest.
  private mutating func takeDue(
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

  /// Leaves out what would only be counted, for a host that slept for a year does not count its seconds: goes on with an
  /// instant after which at least `kept` come up to `end`. False when there is none.
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

  /// Behind those that wait already, as far as there is room.
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

  /// Starts the oldest that waits when no other run of the job is going on.
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
