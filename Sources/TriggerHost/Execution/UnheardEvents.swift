import Synchronization
import TriggerCore

/// Tells, once for each name, of events that no trigger takes. Any thread, also under the engine lock: names come here when
/// a router meets them for the first time.
package final class UnheardEvents: Sendable {
  /// Names come from outside, so their number has a bound.
  private static let most = 1000
  private let told = Mutex<Set<ExactText>>([])
  private let isObserved: @Sendable () -> Bool
  private let tell: @Sendable (EventKind, String) -> Void

  /// - Parameters:
  ///   - isObserved: whether anybody would be told.
  ///   - tell: tells who observes, on threads of theirs: the caller may hold the engine lock.
  package init(
    isObserved: @escaping @Sendable () -> Bool, tell: @escaping @Sendable (EventKind, String) -> Void
  ) {
    (self.isObserved, self.tell) = (isObserved, tell)
  }

  package func note(_ kind: EventKind, _ name: String) {
    guard isObserved() else { return }
    let isNew = told.withLock { told in
      told.count < Self.most && told.insert(ExactText("\(kind) \(name)")).inserted
    }
    if isNew { tell(kind, name) }
  }
}
