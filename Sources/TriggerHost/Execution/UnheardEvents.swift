import Synchronization
import TriggerCore

/// Tells, once for each name, of events that no trigger takes. Any thread, also under the engine lock: names come here when
/// a router meets them for the first time.
package final class UnheardEvents: Sendable {
  private struct State {
    var told: Set<ExactText> = []
    var observer: (@Sendable (EventKind, String) -> Void)?
  }

  /// Names come from outside.
  private static let most = 1000
  private let state = Mutex(State())
  private let tell: @Sendable (@escaping @Sendable () -> Void) -> Void

  /// - Parameter tell: has its argument called, on a thread for that.
  package init(tell: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) { self.tell = tell }

  package func observe(_ body: (@Sendable (EventKind, String) -> Void)?) {
    state.withLock { $0.observer = body }
  }

  package func note(_ kind: EventKind, _ name: String) {
    let observer = state.withLock { state in
      guard state.observer != nil, state.told.count < Self.most else {
        return nil as (@Sendable (EventKind, String) -> Void)?
      }
      return state.told.insert(ExactText("\(kind) \(name)")).inserted ? state.observer : nil
    }
    if let observer { tell { observer(kind, name) } }
  }
}
