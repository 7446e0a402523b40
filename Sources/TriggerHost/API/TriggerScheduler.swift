import Synchronization
import TriggerCore

/// Enqueues events by the clock: cron expressions, intervals, single times.
///
/// All decisions are `ScheduleMachine`'s; this class waits for the time it names and enqueues what it says.
/// Takes the time from the coordinator's clock. Any thread.
public final class TriggerScheduler: Sendable {
  /// A fire that did not become a run, for logs and metrics.
  public enum Notice: Sendable, CustomStringConvertible {
    /// So many fires came too late (host down or overloaded).
    case missed(job: String, Fires)
    /// So many fires were due together with newer ones, and more than are to run then.
    case leftOut(job: String, Fires)
    /// The clock was set back, or is wrong: the fire at `instant` is ahead of it. The job goes on with `next`.
    case ahead(job: String, instant: Timestamp, next: Timestamp?)
    /// `max_instances` runs of the job are going on.
    case dropped(job: String, instant: Timestamp)
    /// No trigger has the name, or none is bound to the event.
    case nothingToRun(job: String, target: String)

    /// Several fires of a job.
    public struct Fires: Sendable, Hashable, CustomStringConvertible {
      /// The oldest and the newest of them.
      public let first, last: Timestamp
      /// How many; with `isMore` there are more.
      public let count: Int
      /// They were too many to be counted.
      public let isMore: Bool

      init(_ fires: ScheduleMachine.Fires) {
        (first, last, count, isMore) = (fires.first, fires.last, fires.count, fires.isMore)
      }

      /// `3 fires from 2026-01-01T00:00:01Z to 2026-01-01T00:00:03Z`.
      public var description: String {
        if count == 1, !isMore { return "1 fire at \(first)" }
        return "\(isMore ? "more than " : "")\(count) fires from \(first) to \(last)"
      }
    }

    /// One line for the log, with the job's name.
    public var description: String {
      switch self {
      case .missed(let job, let fires):
        "schedule '\(job)': \(fires) missed: later than misfire_grace_time allows, raise it to run late ones"
      case .leftOut(let job, let fires):
        "schedule '\(job)': \(fires) left out, for newer ones were due too: of several the newest runs, with coalesce: false the newest \(ScheduleMachine.catchUpLimit)"
      case .ahead(let job, let instant, let next):
        "schedule '\(job)': its fire at \(instant) is ahead of the clock and put aside; \(next.map { "the next is at \($0)" } ?? "no other comes")"
      case .dropped(let job, let instant):
        "schedule '\(job)': the fire at \(instant) is dropped, the run before it still goes on; see mode and max_instances"
      case .nothingToRun(let job, let target): "schedule '\(job)': nothing runs at '\(target)'"
      }
    }
  }

  private struct State {
    var machine = ScheduleMachine()
    var isRunning = false
    var timer: Task<Void, Never>?
    /// Swift triggers of jobs that name none in force, by job.
    var triggers: [String: any Trigger] = [:]
    var cancellations: [ScheduleMachine.Fire: Cancellation] = [:]
    /// Fires that are decided and not yet admitted.
    var firing = 0
    var waitingForFired: [CheckedContinuation<Void, Never>] = []
  }

  private let queue: TriggerQueue
  private let clock: any EngineClock
  private let state = Mutex(State())
  private let observers = Observers<Notice>()

  private let hasTimer: Bool

  /// Fires into `queue` once `start` was called. Takes its time from the clock of the queue's coordinator.
  public convenience init(_ queue: TriggerQueue) { self.init(queue, hasTimer: true) }

  /// - Parameter hasTimer: false: whoever moves the clock calls `fireDue`.
  package init(_ queue: TriggerQueue, hasTimer: Bool) {
    self.queue = queue
    clock = queue.engine.clock
    self.hasTimer = hasTimer
  }

  // MARK: Jobs

  /// Runs a trigger at the matches of a cron expression (`CronText` says which there are).
  ///
  /// - Parameters:
  ///   - name: the job's; default: the trigger's.
  ///   - zone: default: the one in the expression's `CRON_TZ=`, or the host's.
  /// - Throws: `CronSyntaxError`; `ScheduleError` when the name is taken or the zone unknown.
  public func scheduleCron(
    _ expression: String, _ trigger: any Trigger, name: String? = nil, zone: Zone? = nil,
    onClockChange: WallSchedule.OnClockChange = .once, priority: Priority? = nil
  ) throws {
    let rule = try ScheduledJob.Rule(cron: expression, zone: zone, onClockChange: onClockChange)
    try add(trigger, rule, name, priority)
  }

  /// Runs a trigger every so often, first when the span has passed once.
  ///
  /// - Throws: `ScheduleError` when the span is not above zero or the name is taken.
  public func scheduleInterval(
    _ span: Duration, _ trigger: any Trigger, name: String? = nil, priority: Priority? = nil
  ) throws {
    guard span > .zero else { throw ScheduleError("an interval must be above zero, got \(span)") }
    try add(trigger, .every(span), name, priority)
  }

  /// Runs a trigger once. A time that is past does not fire.
  ///
  /// - Throws: `ScheduleError` when the name is taken.
  public func scheduleDate(
    _ time: Timestamp, _ trigger: any Trigger, name: String? = nil, priority: Priority? = nil
  ) throws { try add(trigger, .at(time), name, priority) }

  private func add(
    _ trigger: any Trigger, _ rule: ScheduledJob.Rule, _ name: String?, _ priority: Priority?
  ) throws {
    var job = ScheduledJob(name: name ?? trigger.name, rule: rule, action: .trigger(trigger.name))
    job.priority = priority
    try add(job, trigger)
  }

  /// Adds a job that names its trigger or event; whether there is one is seen at each fire (`nothingToRun`).
  ///
  /// - Parameter since: for a job that was known before the host's last stop: its newest fire, or when it
  ///   became known. It goes on from there; what it missed since is run or reported as its
  ///   `misfireGraceTime` says, and no fire happens twice. Nil: the job is new.
  /// - Throws: `ScheduleError` when the name is taken.
  public func add(_ job: ScheduledJob, since: Timestamp? = nil) throws { try add(job, nil, since: since) }

  /// As above, with all fires that a log knows of.
  package func add(_ job: ScheduledJob, since: Timestamp?, fired: FiredInstants?) throws {
    try add(job, nil, since: since, fired: fired)
  }

  private func add(
    _ job: ScheduledJob, _ trigger: (any Trigger)?, since: Timestamp? = nil, fired: FiredInstants? = nil
  ) throws {
    try state.withLock { state in
      guard state.machine.add(job, at: clock.read(), since: since, fired: fired) else {
        throw ScheduleError("a schedule named '\(job.name)' exists already; give one of them another name")
      }
      state.triggers[job.name] = trigger
    }
    rewind()
  }

  /// Gives a job of the same name another form. When it fires by the same rule it goes on where it is, otherwise it begins
  /// anew; what it has fired does not fire again. False when there is none of the name.
  @discardableResult
  public func replace(_ job: ScheduledJob) -> Bool {
    let isThere = state.withLock { $0.machine.replace(job, at: clock.read()) }
    rewind()
    return isThere
  }

  /// Forgets a job; what it started runs on. False when there is none of the name.
  @discardableResult
  public func remove(_ name: String) -> Bool {
    let isGone = state.withLock { state in
      state.triggers[name] = nil
      return state.machine.remove(name)
    }
    rewind()
    return isGone
  }

  /// In the order they were added, those too that will not fire again.
  public var jobs: [ScheduledJob] { state.withLock { $0.machine.jobs } }

  /// The job's next fire, jitter included; nil when none comes.
  public func nextFire(of name: String) -> Timestamp? { state.withLock { $0.machine.nextDue(of: name) } }

  /// Calls `body` for every fire that does not become a run, one call after another, on a thread for that. Any number may
  /// observe, each with a buffer of its own.
  ///
  /// - Parameters:
  ///   - buffer: notices that may wait for `body`.
  ///   - whenFull: what becomes of those that come while so many wait.
  /// - Returns: what ends it. It goes on without anybody keeping that.
  @discardableResult
  public func observe(
    buffer: Int = 10_000, whenFull: Observation.WhenFull = .leaveOut,
    _ body: @escaping @Sendable (Notice) -> Void
  ) -> Observation { observers.add(buffer: buffer, whenFull: whenFull, body) }

  // MARK: Life

  /// Jobs fire from now on; what is due already is in the queue when this returns. Safe to call twice.
  public func start() {
    state.withLock { $0.isRunning = true }
    fireDue()
  }

  /// No job fires any more; what was started runs on.
  public func stop() {
    state.withLock { state in
      state.isRunning = false
      state.timer?.cancel()
      state.timer = nil
    }
  }

  // MARK: The shell

  /// Waits for the machine's next due time, in the place of whatever was waited for before. Looks now and then all the
  /// same: somebody may set the clock.
  private func rewind() {
    state.withLock { state in
      state.timer?.cancel()
      state.timer = nil
      guard hasTimer, state.isRunning, let due = state.machine.nextDue else { return }
      state.timer = Task { [weak self, clock] in
        guard (try? await clock.sleep(until: due)) != nil, !Task.isCancelled else { return }
        self?.fireDue()
      }
    }
  }

  /// Starts what is due.
  package func fireDue() {
    let actions = state.withLock { state in
      // What is decided here is firing until it is in the queue: nobody sees a moment between.
      state.firing += 1
      return state.isRunning ? state.machine.advance(to: clock.read()) : []
    }
    defer { hasFired() }
    perform(actions)
    rewind()
  }

  private func perform(_ actions: [ScheduleMachine.Action]) {
    for action in actions {
      switch action {
      case .start(let fire): start(fire)
      case .replace(let old, let fire):
        state.withLock { $0.cancellations.removeValue(forKey: old) }?.cancel()
        start(fire)
      case .waits: break
      case .dropped(let fire): report(.dropped(job: fire.job, instant: fire.instant))
      case .missed(let fires): report(.missed(job: fires.job, Notice.Fires(fires)))
      case .leftOut(let fires): report(.leftOut(job: fires.job, Notice.Fires(fires)))
      case .ahead(let fire, let next): report(.ahead(job: fire.job, instant: fire.instant, next: next))
      }
    }
  }

  /// When `fireDue` has something to do next, as the wall clock will show it unless somebody sets it; nil when nothing
  /// comes. For those who move the clock.
  package var nextDue: Timestamp? {
    guard let due = state.withLock({ $0.isRunning ? $0.machine.nextDue : nil }) else { return nil }
    let now = clock.read()
    let bySpan = due.monotonic == .never ? Int64.max : now.wall + (due.monotonic - now.monotonic)
    return Timestamp(nanoseconds: max(now.wall, min(due.wall, bySpan)))
  }

  /// Suspends until what `fireDue` has decided is in the queue.
  package func waitUntilFired() async {
    await withCheckedContinuation { continuation in
      let hasFired = state.withLock { state in
        if state.firing > 0 { state.waitingForFired.append(continuation) }
        return state.firing == 0
      }
      if hasFired { continuation.resume() }
    }
  }

  private func hasFired() {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.firing -= 1
      guard state.firing == 0 else { return [] }
      defer { state.waitingForFired = [] }
      return state.waitingForFired
    }
    for continuation in waiting { continuation.resume() }
  }

  private func start(_ fire: ScheduleMachine.Fire) {
    let cancellation = Cancellation()
    let (job, trigger) = state.withLock { state in
      state.firing += 1
      state.cancellations[fire] = cancellation
      return (state.machine.jobs.first { $0.name == fire.job }, state.triggers[fire.job])
    }
    guard let job else {
      ended(fire)
      return hasFired()
    }
    // How many operations there are is known only when all are admitted; some may be decided by then.
    let receipt = Receipt { [weak self] _ in self?.ended(fire) }
    let completion: @Sendable (OperationResult) -> Void = { receipt.add($0) }
    // At once when there is room, so that who starts the scheduler finds the work in the queue.
    if let count = offer(job, trigger, fire, cancellation, completion) {
      receipt.expect(count)
      return hasFired()
    }
    Task {
      receipt.expect(await wait(job, trigger, fire, cancellation, completion))
      hasFired()
    }
  }

  /// Returns how many operations were made; nil when the queue is full.
  private func offer(
    _ job: ScheduledJob, _ trigger: (any Trigger)?, _ fire: ScheduleMachine.Fire,
    _ cancellation: Cancellation,
    _ completion: @escaping @Sendable (OperationResult) -> Void
  ) -> Int? {
    let event = job.event(of: fire)
    let count: Int?
    switch job.action {
    case .event: count = queue.offer(telling: completion, event, cancellation: cancellation)
    case .trigger(let name):
      if let trigger {
        count = queue.offer(event, to: trigger, cancellation: cancellation, completion: completion)
      } else {
        count = queue.offer(telling: completion, event, toTrigger: name, cancellation: cancellation)
      }
    }
    if count == 0 { report(.nothingToRun(job: job.name, target: job.target)) }
    return count
  }

  /// As `offer`, when there is room. Requests may be refused, but a fire waits.
  private func wait(
    _ job: ScheduledJob, _ trigger: (any Trigger)?, _ fire: ScheduleMachine.Fire,
    _ cancellation: Cancellation,
    _ completion: @escaping @Sendable (OperationResult) -> Void
  ) async -> Int {
    while !queue.isStopped {
      await queue.waitForRoom()
      if let count = offer(job, trigger, fire, cancellation, completion) { return count }
    }
    return 0
  }

  private func report(_ notice: Notice) {
    observers.tell([notice], through: queue.engine.receivers)
  }

  private func ended(_ fire: ScheduleMachine.Fire) {
    let actions = state.withLock { state in
      state.cancellations[fire] = nil
      return state.machine.ended(fire, at: clock.read())
    }
    perform(actions)
  }
}

/// Why a job was not taken.
public struct ScheduleError: Error, Sendable, CustomStringConvertible {
  /// What was wrong with which job, and what would be right.
  public let description: String
  init(_ description: String) { self.description = description }
}

extension ScheduledJob {
  /// Name of the trigger or event.
  package var target: String {
    switch action {
    case .trigger(let name), .event(let name): name
    }
  }

  /// What a fire enqueues.
  func event(of fire: ScheduleMachine.Fire) -> Event {
    let facts: Value.Map = ["job": .string(name), "fire_time": .string("\(fire.instant)")]
    let content = payload.merging(facts) { given, _ in given }
    let (eventName, kind): (String, EventKind) =
      switch action {
      case .event(let name): (name, .event)
      case .trigger: (name, .cron)
      }
    var event = Event(eventName, .map(content), kind: kind, priority: priority)
    // A fire that was admitted happens, and once.
    event.key = .fire(
      job: name, instant: fire.instant.nanoseconds, after: fire.after.nanoseconds)
    event.isKept = true
    return event
  }
}

extension ScheduledJob.Rule {
  /// The rule of a cron text: `0 9 * * mon-fri`, `@every 90s`, `@reboot`.
  ///
  /// - Throws: `CronSyntaxError`; `ScheduleError` when its `CRON_TZ=` names no zone.
  public init(
    cron text: String, zone: Zone? = nil, onClockChange: WallSchedule.OnClockChange = .once
  ) throws {
    let parsed = try CronText(parsing: text)
    var zone = zone
    if let name = parsed.zone {
      guard let found = Zone(name) else {
        throw ScheduleError("unknown time zone '\(name)'\(Suggestion.clause(for: name, among: Zone.names))")
      }
      if let zone, zone != found {
        throw ScheduleError("two time zones, \(zone) and CRON_TZ=\(name): give one of them")
      }
      zone = found
    }
    switch parsed.rule {
    case .expression(let expression):
      self = .wall(WallSchedule(expression, zone: zone ?? .host, onClockChange: onClockChange))
    case .every(let span): self = .every(span)
    case .start: self = .start
    }
  }
}
