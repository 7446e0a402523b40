import Synchronization
import TriggerHost

/// Gathers the outcomes of one event's operations, whose number is known only when all are admitted.
package final class Collected: Sendable {
  private let state = Mutex<(results: [OperationResult], expected: Int?)>(([], nil))
  private let body: @Sendable ([OperationResult]) -> Void

  /// - Parameter body: called once, with the results in seq order.
  package init(_ body: @escaping @Sendable ([OperationResult]) -> Void) { self.body = body }

  package func add(_ result: OperationResult) { check { $0.results.append(result) } }
  package func expect(_ count: Int) { check { $0.expected = count } }

  private func check(_ change: (inout (results: [OperationResult], expected: Int?)) -> Void) {
    let complete: [OperationResult]? = state.withLock { state in
      change(&state)
      return state.results.count == state.expected ? state.results.sorted { $0.seq < $1.seq } : nil
    }
    if let complete { body(complete) }
  }
}
