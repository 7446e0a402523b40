import HeapModule
import TriggerCore

/// The gates of all triggers that have one: by trigger, or by trigger and `order_by` value. A pure state
/// machine. Gates that make no difference any more are forgotten.
struct Gates<Run: GatedRun> {
  private var gates: [UInt64: TriggerGate<Run>] = [:]
  /// By key of the gates that hold a run for a time: when that came, as so many runs before it, and when `alarms` looks
  /// at the gate.
  private var timed: [UInt64: (arrival: Int, alarm: MonotonicTime)] = [:]
  /// When to look at which gate, at the latest when its time has come. What a gate holds may wait for longer by then,
  /// and some items count no more.
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

  /// When the time of what an alarm is about comes; nil when the alarm counts no more.
  private func due(_ alarm: Alarm) -> MonotonicTime? {
    guard timed[alarm.key]?.alarm == alarm.due else { return nil }
    return gates[alarm.key]?.held?.due
  }

  private mutating func watch(_ key: UInt64, _ due: MonotonicTime, _ arrival: Int) {
    timed[key] = (arrival, due)
    alarms.insert(Alarm(due: due, key: key))
  }

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
    if let held = gates[key]!.held {
      // A gate is looked at when the first run that it held was due: an event costs no place in the heap.
      if let known = timed[key], known.alarm <= held.due {
        timed[key]!.arrival = arrivals
      } else {
        watch(key, held.due, arrivals)
      }
    }
    forgetIfIdle(key, at: now)
    return result
  }

  /// A run that had passed its gate, in another life of the host.
  mutating func resume(_ run: Run, key: UInt64, options: TriggerOptions) {
    gates[key, default: TriggerGate(options)].resume(run)
  }

  /// A run that failed is tried again: the other one goes on in its place.
  mutating func replace(_ run: Run, by other: Run, key: UInt64) { gates[key]?.replace(run, by: other) }

  /// The runs whose time has come, in the order of their due times, then of their arrival. O(log n) for each.
  ///
  /// - Parameter most: runs that may come; the others do at the next call.
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
