import HeapModule
import TriggerCore

/// The gates of all triggers that have gates: one for each trigger, or for each trigger and `order_by` value. A gate
/// that makes no difference any more is forgotten. A pure state machine.
struct Gates<Run: GatedRun> {
  private var gates: [UInt64: TriggerGate<Run>] = [:]
  /// The gates that hold a run until a time, by key. `arrival` is the number of runs that had arrived when the held run
  /// came. `alarm` is the time of the gate's alarm in `alarms`.
  private var timed: [UInt64: (arrival: Int, alarm: MonotonicTime)] = [:]
  /// When to look at which gate: never later than the gate's run is due. The run may be due later by then, and alarms
  /// that `timed` does not name count no more.
  private var alarms = Heap<Alarm>()
  private var arrivals = 0

  private struct Alarm: Comparable {
    var due: MonotonicTime
    var key: UInt64

    static func < (left: Alarm, right: Alarm) -> Bool { (left.due, left.key) < (right.due, right.key) }
  }

  var isEmpty: Bool { gates.isEmpty }

  /// When `advance` has something to do next. O(log n) amortized.
  var nextDue: MonotonicTime? {
    mutating get {
      while let first = alarms.min {
        guard let due = due(first) else {
          alarms.removeMin()
          if timed[first.key]?.alarm == first.due { timed[first.key] = nil }
          continue
        }
        if due == first.due { return due }
        alarms.removeMin()
        watch(first.key, due, timed[first.key]!.arrival)
      }
      return nil
    }
  }

  /// When the run of the alarm's gate is due; nil when the alarm counts no more.
  private func due(_ alarm: Alarm) -> MonotonicTime? {
    guard timed[alarm.key]?.alarm == alarm.due else { return nil }
    return gates[alarm.key]?.held?.due
  }

  private mutating func watch(_ key: UInt64, _ due: MonotonicTime, _ arrival: Int) {
    timed[key] = (arrival, due)
    alarms.insert(Alarm(due: due, key: key))
  }

  /// Calls `body` with every run that is held until a time, and with that time.
  func forEachTimed(_ body: (Run, _ due: MonotonicTime) -> Void) {
    for key in timed.keys { if let held = gates[key]?.held { body(held.run, held.due) } }
  }

  /// A run arrives at its gate. Call `advance` to the same time first.
  ///
  /// - Returns: see `TriggerGate.arrive`.
  mutating func arrive(
    _ run: Run, key: UInt64, options: TriggerOptions, at now: MonotonicTime
  ) -> (verdict: TriggerGate<Run>.Verdict, absorbed: (older: Run, newer: Run)?) {
    arrivals += 1
    gates[key, default: TriggerGate(options)].adopt(options)
    let result = gates[key]!.arrive(run, at: now)
    if let held = gates[key]!.held {
      // The gate's alarm stays at the time at which its first run was due, so that an event costs no place in the heap.
      if let known = timed[key], known.alarm <= held.due {
        timed[key]!.arrival = arrivals
      } else {
        watch(key, held.due, arrivals)
      }
    }
    forgetIfIdle(key, at: now)
    return result
  }

  /// Notes a run that had passed its gate before the host was restarted.
  mutating func resume(_ run: Run, key: UInt64, options: TriggerOptions) {
    gates[key, default: TriggerGate(options)].resume(run)
  }

  /// Notes that `other` goes on in the place of `run`, which failed and is tried again.
  mutating func replace(_ run: Run, by other: Run, key: UInt64) { gates[key]?.replace(run, by: other) }

  /// The runs whose time has come, in the order of their due times, then of their arrival. O(log n) for each.
  ///
  /// - Parameter most: the most runs to return. The next call returns the others.
  mutating func advance(
    to now: MonotonicTime, most: Int = .max
  ) -> [(run: Run, verdict: TriggerGate<Run>.Verdict)] {
    var ready: [(due: MonotonicTime, arrival: Int, key: UInt64)] = []
    while ready.count < most, let due = nextDue, due <= now {
      let key = alarms.removeMin().key
      ready.append((due, timed.removeValue(forKey: key)!.arrival, key))
    }
    if ready.isEmpty { return [] }
    return ready.sorted { ($0.due, $0.arrival) < ($1.due, $1.arrival) }.compactMap { item in
      gates[item.key]!.advance(to: now)
    }
  }

  mutating func end(_ run: Run, key: UInt64, at now: MonotonicTime) -> Run? {
    let next = gates[key]?.end(run)
    forgetIfIdle(key, at: now)
    return next
  }

  /// Notes that `run` goes on as part of `other`, a run of the same gate. Returns the waiting run that starts now.
  mutating func merge(_ run: Run, into other: Run, key: UInt64) -> Run? {
    gates[key]?.merge(run, into: other)
  }

  /// Calls `body` with every run that is held. O(gates + held).
  func forEach(_ body: (Run) -> Void) {
    for gate in gates.values { gate.forEachHeld(body) }
  }

  private mutating func forgetIfIdle(_ key: UInt64, at now: MonotonicTime) {
    if let gate = gates[key], gate.isIdle(at: now) { gates[key] = nil }
  }
}
