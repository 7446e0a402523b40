import TriggerCore

/// A job of the scheduler: when it fires, what that starts, and what happens to late and overlapping fires.
public struct ScheduledJob: Sendable, Equatable {
  /// When a job fires.
  public enum Rule: Sendable, Equatable {
    /// A cron expression in a time zone.
    case wall(WallSchedule)
    /// Every so often by elapsed time, counted from `from`; nil: from when the job is added.
    case every(Duration, from: Timestamp? = nil)
    /// Once. A time that is past when the job is added does not fire.
    case at(Timestamp)
    /// Once, when the job is added.
    case start
  }

  /// What a fire enqueues.
  public enum Action: Sendable, Equatable {
    /// One operation of the trigger of that name.
    case trigger(String)
    /// An event for all triggers bound to that name.
    case event(String)
  }

  /// Unique in a scheduler; fires and jitter are identified by it.
  public var name: String
  /// When it fires.
  public var rule: Rule
  /// What a fire enqueues.
  public var action: Action
  /// The event's content. `job` and `fire_time` (RFC 3339) are added where it has none.
  public var payload: Value.Map = [:]
  /// Default: what the trigger declares.
  public var priority: Priority?
  /// At most this much is added to a fire's time, always the same for the same job and instant.
  public var jitter: Duration = .zero
  /// How late a missed fire may still run; nil: one period, and any time for `at`.
  public var misfireGraceTime: Duration?
  /// Of several missed fires only the newest runs.
  public var coalesce = true
  /// What becomes of a fire while `maxInstances` runs of the job go on.
  public var mode = OverlapMode.single
  /// Runs that may go on at once; nil: what `mode` has.
  public var maxInstances: Int?

  /// A job without payload and jitter, of mode `single`; set the rest before it is added.
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

  /// Whether two rules are one, wherever spans count from.
  func isSame(as other: Self) -> Bool {
    if case .every(let span, _) = self, case .every(let otherSpan, _) = other { return span == otherSpan }
    return self == other
  }

  /// The next instant after `time`, nil when none comes.
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
