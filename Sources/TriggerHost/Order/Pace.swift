/// Says how far the queue may run ahead of the frontier. When attempts hardly conflict, far: then workers never wait.
/// When most attempts conflict, hardly at all: an attempt on an old snapshot would be work for nothing. A pure state
/// machine.
struct Pace {
  /// The share of attempts that conflicted lately, 0 to 1: an exponential mean over about 256 attempts.
  private var conflictShare = 0.0
  private let limit: Int
  /// The most undecided seqs now, from 1 to the limit.
  private(set) var window: Int

  private static let memory = 256.0

  init(limit: Int) {
    self.limit = limit
    window = limit
  }

  mutating func conflict() {
    conflictShare += (1 - conflictShare) / Self.memory
    adjust()
  }

  mutating func commits(_ count: Int) {
    conflictShare -= conflictShare * min(Double(count) / Self.memory, 1)
    adjust()
  }

  /// Sets the window for the share of conflicts. When w attempts all want the same key, (w-1)/w of them conflict, and
  /// the window comes to rest at 2. When only some keys are hot, large batches are worth more than a conflict now and
  /// then. So the window grows faster than the share falls: the power 3/2 was the best of those tried.
  private mutating func adjust() {
    let odds = (1 - conflictShare) / max(conflictShare, 1e-6)
    window = max(1, Int(min(Double(limit), (2 * odds * odds.squareRoot()).rounded(.up))))
  }
}
