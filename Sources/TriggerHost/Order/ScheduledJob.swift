import TriggerCore

/// A job of the scheduler: when it fires, what a fire enqueues, and what happens to late and overlapping fires.
public struct ScheduledJob: Sendable, Equatable {
  /// When a job fires.
  public enum Rule: Sendable, Equatable {
    /// A cron expression in a time zone.
    case wall(WallSchedule)
    /// Each time this much time has passed, counted from `from`; nil: from the time at which the job is added.
    case every(Duration, from: Timestamp? = nil)
    /// Once, at this time. A time that is past when the job is added does not fire.
    case at(Timestamp)
    /// Once, when the job is added.
    case start
  }

  /// What a fire enqueues.
  public enum Action: Sendable, Equatable {
    /// One operation of the trigger with this name.
    case trigger(String)
    /// An event with this name, for all triggers that are bound to it.
    case event(String)
  }

  /// Unique in a scheduler. The name identifies the job's fires, and its jitter is computed from the name.
  public var name: String
  /// When it fires.
  public var rule: Rule
  /// What a fire enqueues.
  public var action: Action
  /// The content of the event. The scheduler adds `job` and `fire_time` (RFC 3339) when the payload has no such fields.
  public var payload: Value.Map = [:]
  /// Nil: the priority that the trigger declares.
  public var priority: Priority?
  /// A fire comes later by at most this much. The delay is always the same for the same job and instant.
  public var jitter: Duration = .zero
  /// How late a missed fire may still run; nil: until the next instant, and without limit when none comes.
  public var misfireGraceTime: Duration?
  /// True: of several missed fires only the newest runs.
  public var coalesce = true
  /// What happens to a fire while `maxInstances` runs of the job go on.
  public var mode = OverlapMode.single
  /// How many runs of the job may go on at once; nil: the default of the mode.
  public var maxInstances: Int?

  /// A job without payload and jitter, with mode `single`. Set the other fields before you add the job.
  public init(name: String, rule: Rule, action: Action) {
    self.name = name
    self.rule = rule
    self.action = action
  }

  /// The instant plus its jitter.
  func due(_ instant: Timestamp) -> Timestamp {
    guard jitter > .zero else { return instant }
    var random = SplitMix64(seed: StableHash.of(name) ^ UInt64(bitPattern: instant.nanoseconds))
    let extra = Int64(random.nextUnit() * Double(jitter.nanoseconds))
    return Timestamp(nanoseconds: instant.nanoseconds.addingReportingOverflow(extra).partialValue)
  }

  /// How late, in nanoseconds, a fire at `instant` may still run.
  func grace(after instant: Timestamp) -> Int64 {
    if let misfireGraceTime { return misfireGraceTime.nanoseconds }
    guard let next = rule.next(after: instant) else { return .max }
    return next.nanoseconds - instant.nanoseconds
  }
}

extension ScheduledJob.Rule {
  func anchored(at now: Timestamp) -> Self {
    if case .every(let span, nil) = self { return .every(span, from: now) }
    return self
  }

  /// Whether two rules are equal. It does not matter from when `every` counts.
  func isSame(as other: Self) -> Bool {
    if case .every(let span, _) = self, case .every(let otherSpan, _) = other { return span == otherSpan }
    return self == other
  }

  /// The next instant after `time`; nil when none comes.
  public func next(after time: Timestamp) -> Timestamp? {
    switch self {
    case .wall(let schedule): return schedule.next(after: time)
    case .at(let instant): return instant > time ? instant : nil
    case .start: return nil
    case .every(let span, let from):
      let (start, step) = (from?.nanoseconds ?? 0, max(1, span.nanoseconds))
      let passed = time.nanoseconds - start
      if passed < 0 { return Timestamp(nanoseconds: start + step) }
      let (sum, overflow) = start.addingReportingOverflow((passed / step + 1) * step)
      return overflow ? nil : Timestamp(nanoseconds: sum)
    }
  }
}
