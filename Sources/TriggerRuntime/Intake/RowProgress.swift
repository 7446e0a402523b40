import Synchronization
import TriggerHost
import TriggerStorage

/// How far a feed's rows are decided, so that a host that is started again goes on behind them. Rows are
/// numbered from 1 in the order they are read. Any thread.
package final class RowProgress: Sendable {
  private struct State {
    var decided: FeedRows
    /// Operations left of rows whose number of operations is known, and less than none of the others.
    var left: [Int64: Int] = [:]
  }
  private let state: Mutex<State>

  /// - Parameter decided: rows that earlier runs of the host have admitted.
  package init(_ decided: FeedRows = FeedRows()) { state = Mutex(State(decided: decided)) }

  /// Every row up to it is decided.
  package var floor: Int64 { state.withLock { $0.decided.floor } }

  /// The row was admitted by an earlier run of the host.
  package func isTaken(_ row: Int64) -> Bool { state.withLock { $0.decided.contains(row) } }

  /// The row has so many operations; none when it was passed over.
  package func expect(_ row: Int64, _ count: Int) { change(row, by: count) }
  /// One operation of the row is decided.
  package func one(_ row: Int64) { change(row, by: -1) }

  /// Outcomes may come before it is known how many there will be.
  private func change(_ row: Int64, by count: Int) {
    state.withLock { state in
      let left = (state.left[row] ?? 0) + count
      state.left[row] = left == 0 ? nil : left
      if left == 0 { state.decided.insert(row) }
    }
  }
}
