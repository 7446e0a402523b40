import TriggerCore

/// What stands before the queue for a trigger with `debounce`, `throttle`, `mode` or `max_instances`: lets
/// its runs pass, holds them, or drops them. A pure state machine.
///
/// `debounce` waits until no event has come for its span and then lets the newest pass. `throttle` lets one
/// pass per span; of those that come meanwhile the newest passes when the span is over. A run that tries an
/// earlier one again is as old as that: it takes no newer one's place.
struct TriggerGate<Run: GatedRun> {
  enum Verdict {
    /// Into the queue.
    case pass
    /// `advance` or `end` gives it later.
    case hold
    case drop
    /// Into the queue; the other one is to be cancelled.
    case replace(Run)
  }

  private var debounce: Int64 = 0
  private var throttle: Int64 = 0
  private var overlap: Overlap<ByIdentity>?
  /// The newest run that waits for its time.
  private(set) var held: (run: Run, due: MonotonicTime)?
  private var lastPass: MonotonicTime?

  init(_ options: TriggerOptions) { follow(options) }

  /// From now on it does what these options say, which may be of a newer version of the script, with the runs
  /// it has.
  mutating func follow(_ options: TriggerOptions) {
    debounce = options.debounce?.nanoseconds ?? 0
    throttle = options.throttle?.nanoseconds ?? 0
    guard let mode = options.mode ?? overlap?.mode else { return }
    let maxInstances = options.mode == nil ? Int.max : options.maxInstances
    if overlap == nil { overlap = Overlap(mode: mode) }
    overlap!.limit(to: maxInstances, mode)
  }

  /// Nothing here makes a difference to a run that comes at `now`: the gate can be forgotten.
  func isIdle(at now: MonotonicTime) -> Bool {
    held == nil && (overlap?.running.isEmpty ?? true) && lastPass.map { now - $0 >= throttle } ?? true
  }

  /// A run arrives. `absorbed` is the older one of it and the one that was held: it ends with the newer.
  mutating func arrive(
    _ run: Run, at now: MonotonicTime
  ) -> (verdict: Verdict, absorbed: (older: Run, newer: Run)?) {
    guard let due = due(of: run, at: now) else { return (pass(run, at: now), nil) }
    if let other = held?.run, run.isOlder(than: other) { return (.hold, (run, other)) }
    let absorbed = held.map { (older: $0.run, newer: run) }
    held = (run, due)
    return (.hold, absorbed)
  }

  /// Until when a run is held that comes now; nil when it is not.
  private func due(of run: Run, at now: MonotonicTime) -> MonotonicTime? {
    if debounce > 0 { return now + debounce }
    guard throttle > 0 else { return nil }
    // After a start what waited passes as one, the newest for all: each by itself would be more than the span lets pass.
    guard let last = lastPass else { return run.hasWaited ? now : held?.due }
    guard now - last < throttle else { return nil }
    return last + throttle
  }

  /// A run that has passed before goes on.
  mutating func resume(_ run: Run) { overlap?.resume(ByIdentity(run: run)) }

  /// A run that failed is tried again: the other one goes on in its place.
  mutating func replace(_ run: Run, by other: Run) {
    overlap?.replace(ByIdentity(run: run), by: ByIdentity(run: other))
  }

  /// The held run, when its time has come, and what becomes of it.
  mutating func advance(to now: MonotonicTime) -> (run: Run, verdict: Verdict)? {
    guard let (run, due) = held, due <= now else { return nil }
    held = nil
    return (run, pass(run, at: now))
  }

  private mutating func pass(_ run: Run, at now: MonotonicTime) -> Verdict {
    lastPass = now
    switch overlap?.admit(ByIdentity(run: run), mayReplace: { !run.isOlder(than: $0.run) }) {
    case nil, .start?: return .pass
    case .drop?: return .drop
    case .wait?: return .hold
    case .replace(let old)?: return .replace(old.run)
    }
  }

  /// A run is decided. Returns the waiting one whose turn has come.
  mutating func end(_ run: Run) -> Run? { overlap?.end(ByIdentity(run: run))?.run }

  /// A run ends with another one that has passed before, and may have been replaced by it.
  mutating func merge(_ run: Run, into other: Run) -> Run? {
    overlap?.merge(ByIdentity(run: run), into: ByIdentity(run: other))?.run
  }

  func forEachHeld(_ body: (Run) -> Void) {
    if let held { body(held.run) }
    for waiting in overlap?.waiting ?? [] { body(waiting.run) }
  }

  private struct ByIdentity: Equatable {
    let run: Run
    static func == (left: ByIdentity, right: ByIdentity) -> Bool { left.run === right.run }
  }
}

/// What passes a gate.
protocol GatedRun: AnyObject {
  /// The seq of the failed run that it tries again; nil when it is the first try.
  var retryOf: Int64? { get }
  /// It came before the host's last stop, and its gate does not know of it.
  var hasWaited: Bool { get }
}

extension GatedRun {
  var hasWaited: Bool { false }
  /// Only a retry can be older than what has come before it.
  func isOlder(than other: Self) -> Bool {
    guard let retryOf else { return false }
    return other.retryOf.map { $0 > retryOf } ?? true
  }
}
