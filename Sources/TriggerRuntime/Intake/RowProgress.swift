import Synchronization
import TriggerHost

/// How far a feed's rows are decided, so that a host that is started again goes on behind them. Rows are
/// numbered from 1 in the order they are read. Any thread.
package final class RowProgress: Sendable {
  private let decided: Mutex<FeedRows>

  /// - Parameter decided: rows that earlier runs of the host have admitted.
  package init(_ decided: FeedRows = FeedRows()) { self.decided = Mutex(decided) }

  /// Every row up to it is decided.
  package var floor: Int64 { decided.withLock { $0.floor } }

  /// The row was admitted by an earlier run of the host.
  package func isTaken(_ row: Int64) -> Bool { decided.withLock { $0.contains(row) } }

  /// For what the row's operations come to: it is decided with the last of them.
  package func receipt(of row: Int64) -> Receipt { Receipt { [self] _ in pass(row) } }

  /// The row is decided, or passed over.
  package func pass(_ row: Int64) { decided.withLock { $0.insert(row) } }
}
