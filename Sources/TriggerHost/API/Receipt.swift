import Synchronization

/// Gathers how the operations of one event ended. Outcomes may come before it is known how many there will be. Any thread.
package final class Receipt: Sendable {
  private struct State {
    var results: [OperationResult] = []
    var expected: Int?
  }
  private let state = Mutex(State())
  private let body: @Sendable ([OperationResult]) -> Void

  /// - Parameter body: called once, when as many outcomes have come as were expected, with them in seq order; on the thread
  ///   that brought the last piece.
  package init(_ body: @escaping @Sendable ([OperationResult]) -> Void) { self.body = body }

  /// An operation has ended.
  package func add(_ result: OperationResult) { check { $0.results.append(result) } }
  /// The event has so many operations; none when it was passed over.
  package func expect(_ count: Int) { check { $0.expected = count } }

  private func check(_ change: (inout State) -> Void) {
    let complete: [OperationResult]? = state.withLock { state in
      change(&state)
      return state.results.count == state.expected ? state.results.sorted { $0.seq < $1.seq } : nil
    }
    if let complete { body(complete) }
  }
}
