import DequeModule
import TriggerCore

/// Bounds how many runs of one job or trigger go on at once, and decides what happens to the other runs. A pure state
/// machine. Every call is O(1), except `end`, `merge` and `replace`: O(instances).
struct Overlap<Run: Equatable> {
  enum Verdict: Equatable {
    /// The run starts.
    case start
    /// The run does not start.
    case drop
    /// The run waits. `end` returns it when its turn has come.
    case wait
    /// The run starts in the place of `cancelling`.
    case replace(cancelling: Run)
  }

  /// The most runs that wait. Further runs are dropped.
  static var waitingLimit: Int { 1000 }

  private(set) var mode: OverlapMode
  private(set) var maxInstances: Int
  /// The runs that go on, oldest first.
  private(set) var running: Deque<Run> = []
  /// The runs that wait, oldest first.
  private(set) var waiting: Deque<Run> = []

  init(mode: OverlapMode, maxInstances: Int? = nil) {
    self.mode = mode
    self.maxInstances = max(1, maxInstances ?? mode.defaultInstances)
  }

  /// Notes a run that was admitted before the host was restarted. The limits do not matter.
  mutating func resume(_ run: Run) { running.append(run) }

  /// Sets the limits for runs that come from now on.
  mutating func limit(to maxInstances: Int?, _ mode: OverlapMode) {
    self.mode = mode
    self.maxInstances = max(1, maxInstances ?? mode.defaultInstances)
  }

  /// Decides what happens to a new run.
  ///
  /// - Parameter mayReplace: whether the run may replace the given run, in mode `restart`. If not, the run is dropped.
  mutating func admit(_ run: Run, mayReplace: (_ other: Run) -> Bool = { _ in true }) -> Verdict {
    // Runs may wait although there is room: the limit was lower when they came.
    guard running.count >= maxInstances || !waiting.isEmpty else {
      running.append(run)
      return .start
    }
    switch mode {
    case .single, .parallel: return .drop
    case .queued:
      guard waiting.count < Self.waitingLimit else { return .drop }
      waiting.append(run)
      return .wait
    case .restart:
      guard mayReplace(running[0]) else { return .drop }
      let oldest = running.removeFirst()
      running.append(run)
      return .replace(cancelling: oldest)
    }
  }

  /// Notes that `run` goes on as part of `other`. `other` takes the place of `run`, unless `other` goes on already.
  /// Returns the waiting run that starts now.
  mutating func merge(_ run: Run, into other: Run) -> Run? {
    if running.contains(other) { return end(run) }
    if let index = running.firstIndex(of: run) { running[index] = other }
    return nil
  }

  /// Notes that `other` goes on in the place of `run`.
  mutating func replace(_ run: Run, by other: Run) {
    if let index = running.firstIndex(of: run) { running[index] = other }
  }

  /// Notes that a run has ended, with any outcome. Returns the waiting run that starts now.
  mutating func end(_ run: Run) -> Run? {
    guard let index = running.firstIndex(of: run) else { return nil }  // replaced before
    running.remove(at: index)
    guard let next = waiting.popFirst() else { return nil }
    running.append(next)
    return next
  }
}
