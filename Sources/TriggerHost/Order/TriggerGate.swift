import TriggerCore

/// The gate before the queue for a trigger with `debounce`, `throttle`, `mode` or `max_instances`. It lets the
/// trigger's runs pass, holds them, or drops them. A pure state machine.
///
/// With `debounce`, the newest run passes when no event has come for a span. With `throttle`, one run passes per span,
/// and the newest of the runs that come meanwhile passes when the span is over. A retry counts as old as the first try:
/// it does not take the place of a newer run.
struct TriggerGate<Run: GatedRun> {
  enum Verdict {
    /// The run goes into the queue.
    case pass
    /// The run waits. `advance` or `end` returns it later.
    case hold
    /// The run does not start.
    case drop
    /// The run goes into the queue. Cancel the other run.
    case replace(Run)
  }

  private var debounce: Int64 = 0
  private var throttle: Int64 = 0
  private var overlap: Overlap<ByIdentity>?
  /// The newest run that waits for its time.
  private(set) var held: (run: Run, due: MonotonicTime)?
  private var lastPass: MonotonicTime?

  init(_ options: TriggerOptions) { adopt(options) }

  /// Sets the options, for example those of a newer version of the script. The gate keeps the runs that it has.
  mutating func adopt(_ options: TriggerOptions) {
    debounce = options.debounce?.nanoseconds ?? 0
    throttle = options.throttle?.nanoseconds ?? 0
    guard let mode = options.mode ?? overlap?.mode else { return }
    let maxInstances = options.mode == nil ? Int.max : options.maxInstances
    if overlap == nil { overlap = Overlap(mode: mode) }
    overlap!.limit(to: maxInstances, mode)
  }

  /// True when the gate makes no difference to a run that comes at `now`, so that it can be forgotten.
  func isIdle(at now: MonotonicTime) -> Bool {
    held == nil && (overlap?.running.isEmpty ?? true) && lastPass.map { now - $0 >= throttle } ?? true
  }

  /// Decides what happens to a run that arrives.
  ///
  /// - Returns: the verdict for the run; and, when the gate held another run, the older and the newer of the two. The
  ///   older run is superseded by the newer.
  mutating func arrive(
    _ run: Run, at now: MonotonicTime
  ) -> (verdict: Verdict, absorbed: (older: Run, newer: Run)?) {
    guard let due = due(of: run, at: now) else { return (pass(run, at: now), nil) }
    if let other = held?.run, run.isOlder(than: other) { return (.hold, (run, other)) }
    let absorbed = held.map { (older: $0.run, newer: run) }
    held = (run, due)
    return (.hold, absorbed)
  }

  /// Until when the gate holds a run that comes now; nil when it lets the run pass.
  private func due(of run: Run, at now: MonotonicTime) -> MonotonicTime? {
    if debounce > 0 { return now + debounce }
    guard throttle > 0 else { return nil }
    // After a start only the newest of the runs that waited passes. Each by itself would be more than one per span.
    guard let last = lastPass else { return run.hasWaited ? now : held?.due }
    guard now - last < throttle else { return nil }
    return last + throttle
  }

  /// Notes a run that had passed the gate before the host was restarted.
  mutating func resume(_ run: Run) { overlap?.resume(ByIdentity(run: run)) }

  /// Notes that `other` goes on in the place of `run`, which failed and is tried again.
  mutating func replace(_ run: Run, by other: Run) {
    overlap?.replace(ByIdentity(run: run), by: ByIdentity(run: other))
  }

  /// The held run when its time has come, and the verdict for it.
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

  /// Notes that a run is decided. Returns the waiting run whose turn has come.
  mutating func end(_ run: Run) -> Run? { overlap?.end(ByIdentity(run: run))?.run }

  /// Notes that `run` goes on as part of `other`, which had passed before. Returns the waiting run that starts now.
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

/// A run that passes a gate.
protocol GatedRun: AnyObject {
  /// The seq of the failed run that this run tries again; nil for a first try.
  var retryOf: Int64? { get }
  /// True when the run came before the host's last stop and had no seq by then. Its gate does not know of it.
  var hasWaited: Bool { get }
}

extension GatedRun {
  var hasWaited: Bool { false }
  /// Whether this run is older than `other`, which came before it. Only a retry can be.
  func isOlder(than other: Self) -> Bool {
    guard let retryOf else { return false }
    return other.retryOf.map { $0 > retryOf } ?? true
  }
}
