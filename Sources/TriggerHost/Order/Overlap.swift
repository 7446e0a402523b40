import DequeModule
import TriggerCore

/// How many runs of one job or trigger may go on at once, and what becomes of the others. A pure state
/// machine; every call is O(1), `end` O(instances).
struct Overlap<Run: Equatable> {
  enum Verdict: Equatable {
    case start
    /// Nothing comes of it.
    case drop
    /// `end` will give it when its turn has come.
    case wait
    /// Starts in the place of `cancelling`.
    case replace(cancelling: Run)
  }

  static var waitingLimit: Int { 1000 }

  private(set) var mode: OverlapMode
  private(set) var maxInstances: Int
  /// Oldest first.
  private(set) var running: Deque<Run> = []
  private(set) var waiting: Deque<Run> = []

  init(mode: OverlapMode, maxInstances: Int? = nil) {
    self.mode = mode
    self.maxInstances = max(1, maxInstances ?? mode.defaultInstances)
  }

  /// A run that was admitted before goes on, whatever the limits.
  mutating func resume(_ run: Run) { running.append(run) }

  /// Other limits for those that come from now on.
  mutating func limit(to maxInstances: Int?, _ mode: OverlapMode) {
    self.mode = mode
    self.maxInstances = max(1, maxInstances ?? mode.defaultInstances)
  }

  /// - Parameter mayReplace: whether the run may take another one's place; else it is dropped.
  mutating func admit(_ run: Run, mayReplace: (_ other: Run) -> Bool = { _ in true }) -> Verdict {
    // Some may wait though there is room: the limit was another when they came.
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

  /// A run goes on as part of another, which takes its place unless it has one. Returns the waiting one that starts
  /// now.
  mutating func merge(_ run: Run, into other: Run) -> Run? {
    if running.contains(other) { return end(run) }
    if let index = running.firstIndex(of: run) { running[index] = other }
    return nil
  }

  /// Another run goes on in the place of one that is going on.
  mutating func replace(_ run: Run, by other: Run) {
    if let index = running.firstIndex(of: run) { running[index] = other }
  }

  /// A run has ended, in whatever way. Returns the waiting one that starts now.
  mutating func end(_ run: Run) -> Run? {
    guard let index = running.firstIndex(of: run) else { return nil }  // replaced before
    running.remove(at: index)
    guard let next = waiting.popFirst() else { return nil }
    running.append(next)
    return next
  }
}
