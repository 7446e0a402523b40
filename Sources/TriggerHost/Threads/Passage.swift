import TriggerCore

/// Time as somebody sees it pass who looks often. What lies between two looks counts up to a limit: beyond, the
/// process stood still (SIGSTOP, a suspended machine, a debugger), clocks go on then, and nobody was at work. A pure
/// state machine.
package struct Passage {
  /// The most that counts between two looks, in nanoseconds: forty looks of the watchdog.
  package static let longest: Int64 = 20_000_000

  private var last: MonotonicTime

  package init(_ now: MonotonicTime) { last = now }

  /// Nanoseconds since the last look that count, and those that do not.
  package mutating func look(_ now: MonotonicTime) -> (passed: Int64, paused: Int64) {
    let span = max(0, now - last)
    last = now
    let passed = min(span, Self.longest)
    return (passed, span - passed)
  }
}
