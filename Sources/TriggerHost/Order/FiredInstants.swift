/// The instants of a schedule that have fired, as far as that is remembered: the newest runs of them, between which
/// somebody set the clock, or the host was down. A fire is (job, instant): what is in here does not fire again,
/// whatever the clock does; what is between, may.
package struct FiredInstants: Sendable, Equatable {
  /// Every instant after `after`, up to `last`, has been gone through. Nanoseconds since 1970.
  package struct Run: Sendable, Equatable {
    package var after: Int64
    package var last: Int64
  }

  /// Runs that are remembered; beyond, the earliest are forgotten.
  package static let kept = 32

  /// By time, apart.
  package private(set) var runs: [Run] = []
  /// The fire that the log has last.
  package private(set) var newest: Int64?

  package init() {}

  package init(runs: [Run], newest: Int64?) {
    self.runs = runs
    self.newest = newest
  }

  /// A fire at `instant`; no other is between `after` and it that could still fire.
  package mutating func add(_ instant: Int64, after: Int64) {
    newest = instant
    var run = Run(after: min(after, instant - 1), last: instant)
    // Mostly it goes on where the newest ended.
    if let end = runs.indices.last, runs[end].last == run.after { return runs[end].last = instant }
    let touched = runs.filter { $0.last >= run.after && $0.after <= run.last }
    run.after = touched.reduce(run.after) { min($0, $1.after) }
    run.last = touched.reduce(run.last) { max($0, $1.last) }
    runs.removeAll { $0.last >= run.after && $0.after <= run.last }
    runs.insert(run, at: runs.firstIndex { $0.after > run.after } ?? runs.count)
    if runs.count > Self.kept { runs.removeFirst() }
  }

  /// Until when everything has been gone through around an instant; nil: it has not fired.
  package func end(of instant: Int64) -> Int64? {
    runs.first { $0.after < instant && instant <= $0.last }?.last
  }

  /// The last fire that is not after `time`.
  package func last(notAfter time: Int64) -> Int64? { runs.last { $0.last <= time }?.last }

  /// The fire that is furthest ahead.
  package var furthest: Int64? { runs.last?.last }
}
