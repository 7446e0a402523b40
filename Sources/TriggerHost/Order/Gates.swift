import TriggerCore

/// The gates of all triggers that have one: by trigger, or by trigger and `order_by` value. A pure state
/// machine. Gates that make no difference any more are forgotten.
struct Gates<Run: GatedRun> {
  private var gates: [UInt64: TriggerGate<Run>] = [:]
  /// Keys of the gates that hold a run for a time, and when that came: how many runs before it.
  private var timed: [UInt64: Int] = [:]
  private var arrivals = 0

  var isEmpty: Bool { gates.isEmpty }

  /// When `advance` has something to do next. O(gates that hold a run for a time).
  var nextDue: MonotonicTime? { timed.keys.compactMap { gates[$0]?.held?.due }.min() }

  /// Visits every run that is held for a time, and when that ends.
  func forEachTimed(_ body: (Run, _ due: MonotonicTime) -> Void) {
    for key in timed.keys { if let held = gates[key]?.held { body(held.run, held.due) } }
  }

  /// After `advance` to the same time.
  mutating func arrive(
    _ run: Run, key: UInt64, options: TriggerOptions, at now: MonotonicTime
  ) -> (verdict: TriggerGate<Run>.Verdict, absorbed: (older: Run, newer: Run)?) {
    arrivals += 1
    gates[key, default: TriggerGate(options)].follow(options)
    let result = gates[key]!.arrive(run, at: now)
    if gates[key]!.held != nil { timed[key] = arrivals }
    forgetIfIdle(key, at: now)
    return result
  }

  /// A run that had passed its gate, in another life of the host.
  mutating func resume(_ run: Run, key: UInt64, options: TriggerOptions) {
    gates[key, default: TriggerGate(options)].resume(run)
  }

  /// A run that failed is tried again: the other one goes on in its place.
  mutating func replace(_ run: Run, by other: Run, key: UInt64) { gates[key]?.replace(run, by: other) }

  /// The runs whose time has come, in the order of their due times, then of their arrival.
  mutating func advance(to now: MonotonicTime) -> [(run: Run, verdict: TriggerGate<Run>.Verdict)] {
    guard let due = nextDue, due <= now else { return [] }
    let ready = timed.map { (due: gates[$0]!.held!.due, arrival: $1, key: $0) }.filter { $0.due <= now }
    return ready.sorted { ($0.due, $0.arrival) < ($1.due, $1.arrival) }.compactMap { item in
      timed[item.key] = nil
      return gates[item.key]!.advance(to: now)
    }
  }

  mutating func end(_ run: Run, key: UInt64, at now: MonotonicTime) -> Run? {
    let next = gates[key]?.end(run)
    forgetIfIdle(key, at: now)
    return next
  }

  /// A run ends with another one of its gate.
  mutating func merge(_ run: Run, into other: Run, key: UInt64) -> Run? {
    gates[key]?.merge(run, into: other)
  }

  /// Visits every run that is held. O(gates + held).
  func forEach(_ body: (Run) -> Void) {
    for gate in gates.values { gate.forEachHeld(body) }
  }

  private mutating func forgetIfIdle(_ key: UInt64, at now: MonotonicTime) {
    if let gate = gates[key], gate.isIdle(at: now) { gates[key] = nil }
  }
}
