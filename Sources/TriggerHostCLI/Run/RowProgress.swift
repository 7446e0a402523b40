import Synchronization
import TriggerStorage

/// How far a feed's rows are decided, so that a host that is started again goes on behind them. Rows are
/// numbered from 1 in the order they are read. Any thread.
final class RowProgress: Sendable {
  private struct State {
    /// Every row up to it is decided.
    var floor: Int64
    /// Rows after it that are decided too.
    var decided: Set<Int64>
    /// Operations left of rows whose number of operations is known, and less than none of the others.
    var left: [Int64: Int] = [:]
  }
  private let state: Mutex<State>

  init(floor: Int64 = 0, taken: Set<Int64> = []) { state = Mutex(State(floor: floor, decided: taken)) }

  var floor: Int64 { state.withLock { $0.floor } }

  /// The row was admitted by an earlier run of the host.
  func isTaken(_ row: Int64) -> Bool { state.withLock { row <= $0.floor || $0.decided.contains(row) } }

  /// The row has so many operations; none when it was passed over.
  func expect(_ row: Int64, _ count: Int) { change(row, by: count) }
  /// One operation of the row is decided.
  func one(_ row: Int64) { change(row, by: -1) }

  /// Outcomes may come before it is known how many there will be.
  private func change(_ row: Int64, by count: Int) {
    state.withLock { state in
      let left = (state.left[row] ?? 0) + count
      state.left[row] = left == 0 ? nil : left
      guard left == 0 else { return }
      state.decided.insert(row)
      while state.decided.remove(state.floor + 1) != nil { state.floor += 1 }
    }
  }
}
