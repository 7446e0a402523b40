import Synchronization

/// How the operations of one event ended, as far as that is known. Outcomes may come before it is known how many there
/// will be.
struct EventOutcomes {
  private(set) var results: [OperationResult]
  private(set) var expected: Int?

  init(_ results: [OperationResult] = [], expected: Int? = nil) {
    (self.results, self.expected) = (results, expected)
  }

  /// An operation has ended.
  mutating func add(_ result: OperationResult) { results.append(result) }
  /// The event has so many operations; none when it was passed over.
  mutating func expect(_ count: Int) { expected = count }

  /// All of them, in seq order; nil while some are missing.
  var complete: [OperationResult]? {
    guard results.count == expected else { return nil }
    return results.count < 2 ? results : results.sorted { ($0.seq, $0.trigger) < ($1.seq, $1.trigger) }
  }
}

/// Tells once how the operations of one event ended, all together. Any thread.
package final class Receipt: Sendable {
  private let outcomes = Mutex(EventOutcomes())
  private let body: @Sendable ([OperationResult]) -> Void

  /// - Parameter body: called once, when as many outcomes have come as were expected, with them in seq order; on the thread
  ///   that brought the last piece.
  package init(_ body: @escaping @Sendable ([OperationResult]) -> Void) { self.body = body }

  /// An operation has ended.
  package func add(_ result: OperationResult) { change { $0.add(result) } }
  /// The event has so many operations; none when it was passed over.
  package func expect(_ count: Int) { change { $0.expect(count) } }

  private func change(_ change: (inout EventOutcomes) -> Void) {
    let complete = outcomes.withLock { outcomes in
      change(&outcomes)
      return outcomes.complete
    }
    if let complete { body(complete) }
  }
}
