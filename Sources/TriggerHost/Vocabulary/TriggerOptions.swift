import TriggerCore

/// What a trigger's author decides about it.
public struct TriggerOptions: Sendable {
  /// For events that bring no priority of their own.
  public var priority = Priority.normal
  /// CPU time of one attempt; ten times that in wall time is the backstop. Scripts only: nothing ends a Swift
  /// trigger's attempt.
  public var timeout: Duration = .milliseconds(200)
  /// Live bytes an attempt may hold. Scripts only.
  public var memory = 64 << 20
  /// What it is bound to. Empty: only a schedule, or an enqueue of the trigger itself, runs it.
  public var on: [EventPattern] = []
  /// Path into the event: operations with an equal value there keep their arrival order.
  public var orderBy: [String]?
  /// Path into the event: a queued operation with an equal value there takes the newer payload. An empty
  /// path coalesces all events of the trigger.
  public var coalesce: [String]?
  /// An event passes when none has come for this long; the newest one does.
  public var debounce: Duration?
  /// At most one event passes per span; the newest of the others follows when it is over.
  public var throttle: Duration?
  /// What happens to an event when `maxInstances` operations of the trigger are undecided; nil: nothing, it
  /// becomes an operation like every other. Counted by trigger, or by trigger and `orderBy` value.
  public var mode: OverlapMode?
  /// Nil: what `mode` has.
  public var maxInstances: Int?
  /// What happens to an operation that failed; nil: it stays failed.
  public var retry: RetryPolicy?
  /// What the table of a script may ask for at most; nil: anything. Only of the defaults that a `ScriptTree` is made with.
  public var ceilings: Ceilings?

  /// The most that a host lets its scripts have. One that asks for more is no trigger.
  public struct Ceilings: Sendable, Hashable {
    /// CPU time of one attempt.
    public var timeout: Duration
    /// Live bytes of an attempt.
    public var memory: Int
    /// The most urgent priority.
    public var priority: Priority

    /// By default what hosts without a word about it allow.
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

  /// Events pass a gate before they reach the queue.
  package var isGated: Bool { debounce != nil || throttle != nil || mode != nil }
}

/// How an operation that failed is tried again: as a new operation with the same event, under a seq of its
/// own, after a pause that doubles each time.
public struct RetryPolicy: Sendable, Hashable {
  /// What becomes meanwhile of later operations with its order key.
  public enum Order: String, Sendable, CaseIterable {
    /// They wait until the last try is decided: operations of one trigger from one source, or with an equal
    /// `orderBy` value, are decided in the order in which they came, however often one is tried.
    case keep
    /// They go on: a retry takes its place behind them.
    case free
  }

  /// Tries in all, the first included; 1 to 100.
  public var attempts: Int
  /// Pause before the second try.
  public var backoff: Duration
  /// The longest pause.
  public var longest: Duration
  /// What becomes meanwhile of later operations with its order key.
  public var order = Order.keep

  /// Three tries, a second and two apart, unless said otherwise.
  public init(attempts: Int = 3, backoff: Duration = .seconds(1), longest: Duration = .seconds(300)) {
    self.attempts = attempts
    self.backoff = backoff
    self.longest = longest
  }

  /// The pause before a try, counted from 1 for the second one: doubled each time, and moved by up to a
  /// quarter either way, so that what failed together is not tried together again. The same for the same
  /// operation at any time.
  package func delay(before retry: Int, identity: Int64) -> Duration {
    let doublings = min(retry - 1, 40)
    let base = min(Double(backoff.nanoseconds) * Double(1 << doublings), Double(longest.nanoseconds))
    var random = SplitMix64(seed: UInt64(bitPattern: identity) ^ UInt64(retry) << 56)
    return .nanoseconds(Int64(base * (0.75 + 0.5 * random.nextUnit())))
  }
}
