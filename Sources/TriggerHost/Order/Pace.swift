/// How far dequeue runs ahead of the frontier: far when attempts hardly conflict, for then workers never
/// wait; hardly at all when most do, for an attempt on a snapshot that will not hold is work for nothing. A
/// pure state machine.
struct Pace {
  /// Share of attempts that conflicted lately, 0 to 1: an exponential mean over about 256 of them.
  private var conflictShare = 0.0
  private let limit: Int
  /// Most undecided seqs, 1 to the limit.
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

  /// With w attempts in flight that all want the same key, (w-1)/w of them conflict: window 2 is where that
  /// case comes to rest. Where some keys are hot, batches count for more than a conflict now and then, so
  /// the window grows faster than the share falls (the power 3/2 was the best of those tried).
  private mutating func adjust() {
    let odds = (1 - conflictShare) / max(conflictShare, 1e-6)
    window = max(1, Int(min(Double(limit), (2 * odds * odds.squareRoot()).rounded(.up))))
  }
}
