import TriggerCore

/// The settings of a trigger, made by its author.
public struct TriggerOptions: Sendable {
  /// The priority of events that have no priority of their own.
  public var priority = Priority.normal
  /// The most CPU time of one attempt. Ten times that in wall time ends the attempt too. Scripts only: nothing ends an
  /// attempt of a Swift trigger.
  public var timeout: Duration = .milliseconds(200)
  /// The most live bytes of one attempt. Scripts only.
  public var memory = 64 << 20
  /// The events that the trigger is bound to. Empty: the trigger runs only when a schedule names it, or when a program
  /// enqueues the trigger itself.
  public var on: [EventPattern] = []
  /// A path into the event. Operations with an equal value there keep the order in which they arrived.
  public var orderBy: [String]?
  /// A path into the event. A new event supersedes a queued operation with an equal value there. With an empty path it
  /// supersedes any queued operation of the trigger.
  public var coalesce: [String]?
  /// When no event has come for this long, the newest event passes.
  public var debounce: Duration?
  /// At most one event passes in this span. The newest of the other events passes when the span is over.
  public var throttle: Duration?
  /// What happens to an event while `maxInstances` operations of the trigger are undecided, or as many of them with an
  /// equal `orderBy` value. Nil: the event becomes an operation, however many are undecided.
  public var mode: OverlapMode?
  /// How many operations may be undecided before `mode` applies. Nil: the default of the mode.
  public var maxInstances: Int?
  /// How an operation that failed is tried again; nil: it is not.
  public var retry: RetryPolicy?
  /// The most that a script's table may ask for; nil: no limit. Counts only in the options that a `ScriptTree` is made
  /// with.
  public var ceilings: Ceilings?

  /// The most that a host grants its scripts. A script that asks for more is refused.
  public struct Ceilings: Sendable, Hashable {
    /// The most CPU time of one attempt.
    public var timeout: Duration
    /// The most live bytes of one attempt.
    public var memory: Int
    /// The highest priority.
    public var priority: Priority

    /// The defaults are the ceilings of a host whose configuration sets none.
    public init(timeout: Duration = .seconds(600), memory: Int = 1 << 30, priority: Priority = .critical) {
      self.timeout = timeout
      self.memory = memory
      self.priority = priority
    }
  }

  /// The defaults: 200 ms and 64 MiB for an attempt, no gate.
  ///
  /// - Parameter on: what it is bound to; by default nothing.
  public init(on: [EventPattern] = []) { self.on = on }

  /// True when events pass a gate before they reach the queue.
  package var isGated: Bool { debounce != nil || throttle != nil || mode != nil }
}

/// How an operation that failed is tried again. Each try is a new operation with the same event and a seq of its
/// own. The pause before a try doubles each time.
public struct RetryPolicy: Sendable, Hashable {
  /// What happens meanwhile to later operations of the same trigger from the same source, or with an equal `orderBy`
  /// value.
  public enum Order: String, Sendable, CaseIterable {
    /// The later operations wait until the last try is decided. So all of them are decided in the order in which they
    /// came, however often one is tried.
    case keep
    /// The later operations go on. A retry takes its place behind them.
    case free
  }

  /// The most tries in all, with the first one; 1 to 100.
  public var attempts: Int
  /// The pause before the second try.
  public var backoff: Duration
  /// The longest pause.
  public var longest: Duration
  /// What happens meanwhile to later operations with the same order key.
  public var order = Order.keep

  /// The defaults: three tries, with pauses of about one and two seconds.
  public init(attempts: Int = 3, backoff: Duration = .seconds(1), longest: Duration = .seconds(300)) {
    self.attempts = attempts
    self.backoff = backoff
    self.longest = longest
  }

  /// The pause before a retry: doubled each time, plus or minus up to a quarter, so that operations that failed
  /// together are not retried together. The same for the same operation.
  ///
  /// - Parameter retry: 1 for the second try.
  package func delay(before retry: Int, identity: Int64) -> Duration {
    let doublings = min(retry - 1, 40)
    let base = min(Double(backoff.nanoseconds) * Double(1 << doublings), Double(longest.nanoseconds))
    var random = SplitMix64(seed: UInt64(bitPattern: identity) ^ UInt64(retry) << 56)
    return .nanoseconds(Int64(base * (0.75 + 0.5 * random.nextUnit())))
  }
}
