/// The instants of a schedule that have fired, as runs: stretches of time in which every instant has fired or will not
/// fire. Between two runs somebody set the clock, or the host was down. An instant in a run does not fire again,
/// whatever the clock does. An instant between two runs may fire. Only the newest runs are kept.
package struct FiredInstants: Sendable, Equatable {
  /// Every instant after `after`, up to and with `last`, has fired or will not fire. Both in nanoseconds since 1970.
  package struct Run: Sendable, Equatable {
    package var after: Int64
    package var last: Int64
  }

  /// The most runs that are kept. With more, the earliest is forgotten.
  package static let kept = 32

  /// The runs in order of time, with a gap between each two.
  package private(set) var runs: [Run] = []
  /// The instant of the fire that was added last, in nanoseconds since 1970.
  package private(set) var newest: Int64?

  package init() {}

  package init(runs: [Run], newest: Int64?) {
    self.runs = runs
    self.newest = newest
  }

  /// Adds a fire at `instant`. No instant between `after` and `instant` will fire any more. Both in nanoseconds since
  /// 1970.
  package mutating func add(_ instant: Int64, after: Int64) {
    newest = instant
    var run = Run(after: min(after, instant - 1), last: instant)
    // Mostly the new run goes on where the newest run ended.
    if let end = runs.indices.last, runs[end].last == run.after { return runs[end].last = instant }
    let touched = runs.filter { $0.last >= run.after && $0.after <= run.last }
    run.after = touched.reduce(run.after) { min($0, $1.after) }
    run.last = touched.reduce(run.last) { max($0, $1.last) }
    runs.removeAll { $0.last >= run.after && $0.after <= run.last }
    runs.insert(run, at: runs.firstIndex { $0.after > run.after } ?? runs.count)
    if runs.count > Self.kept { runs.removeFirst() }
  }

  /// The end of the run that contains `instant`; nil when no run contains it.
  package func end(of instant: Int64) -> Int64? {
    runs.first { $0.after < instant && instant <= $0.last }?.last
  }

  /// The end of the last run that ends at `time` or before.
  package func last(notAfter time: Int64) -> Int64? { runs.last { $0.last <= time }?.last }

  /// The latest instant that has fired.
  package var furthest: Int64? { runs.last?.last }
}
