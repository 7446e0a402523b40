/// The gates of all triggers that have one: by trigger, or by trigger and `order_by` value. A pure state
/// machine. Gates that make no difference any more are forgotten.
struct Gates<Run: AnyObject> {
  private var gates: [UInt64: TriggerGate<Run>] = [:]
  /// Keys of the gates that hold a run for a time.
  private var timed: Set<UInt64> = []

  var isEmpty: Bool { gates.isEmpty }

  /// When `advance` has something to do next. O(gates that hold a run for a time).
  var nextDue: Int64? { timed.compactMap { gates[$0]?.held?.due }.min() }

  mutating func arrive(
    _ run: Run, key: UInt64, options: TriggerOptions, at now: Int64
  ) -> (verdict: TriggerGate<Run>.Verdict, absorbed: Run?) {
    let result = gates[key, default: TriggerGate(options)].arrive(run, at: now)
    if gates[key]!.held != nil { timed.insert(key) }
    forgetIfIdle(key, at: now)
    return result
  }

  /// The runs whose time has come, in the order of their due times.
  mutating func advance(to now: Int64) -> [(run: Run, verdict: TriggerGate<Run>.Verdict)] {
    guard let due = nextDue, due <= now else { return [] }
    let keys = timed.filter { gates[$0]!.held!.due <= now }
      .sorted { (gates[$0]!.held!.due, $0) < (gates[$1]!.held!.due, $1) }
    return keys.compactMap { key in
      timed.remove(key)
      return gates[key]!.advance(to: now)
    }
  }

  mutating func end(_ run: Run, key: UInt64, at now: Int64) -> Run? {
    let next = gates[key]?.end(run)
    forgetIfIdle(key, at: now)
    return next
  }

  /// Visits every run that is held. O(gates + held).
  func forEach(_ body: (Run) -> Void) {
    for gate in gates.values { gate.forEachHeld(body) }
  }

  private mutating func forgetIfIdle(_ key: UInt64, at now: Int64) {
    if let gate = gates[key], gate.isIdle(at: now) { gates[key] = nil }
  }
}
