import DequeModule
import Synchronization

/// Which commits have effects, and which of these are durable: who delivers effects waits here, and is not woken by
/// every commit. Any thread.
package final class EffectWatch: @unchecked Sendable {  // guarded by `condition`
  private let condition = Condition()
  /// Commits with effects that are not durable yet, in order.
  private var coming: Deque<Int64> = []
  private var newestDurable: Int64 = 0
  private var isClosed = false
  /// So that a group without effects costs one load.
  private let isComing = Atomic<Bool>(false)

  package init() {}

  /// A commit has effects. Engine lock, in seq order.
  func note(_ seq: Int64) {
    condition.lock()
    coming.append(seq)
    isComing.store(true, ordering: .releasing)
    condition.unlock()
  }

  /// Everything up to `seq` is durable, and its outcomes are told.
  func tell(upTo seq: Int64) {
    guard isComing.load(ordering: .acquiring) else { return }
    condition.lock()
    while let next = coming.first, next <= seq { newestDurable = coming.removeFirst() }
    isComing.store(!coming.isEmpty, ordering: .releasing)
    condition.broadcast()
    condition.unlock()
  }

  /// Takes effect for who waits: looks again whether there is something else to do.
  package func wake() {
    condition.lock()
    condition.broadcast()
    condition.unlock()
  }

  /// Waits, at most for `span`, until a durable commit after `seq` has effects, or `isOver` says true.
  ///
  /// - Returns: the newest such commit; nil when there is none.
  package func wait(after seq: Int64, for span: Duration, unless isOver: () -> Bool) -> Int64? {
    condition.lock()
    defer { condition.unlock() }
    if newestDurable <= seq, !isOver() { condition.wait(for: span) }
    return newestDurable > seq ? newestDurable : nil
  }

  /// Waits for `span`, or until `isOver` says true.
  package func pause(_ span: Duration, unless isOver: () -> Bool) {
    let end = ContinuousClock.now + span
    condition.lock()
    defer { condition.unlock() }
    while !isOver() {
      let left = end - .now
      if left <= .zero { return }
      condition.wait(for: left)
    }
  }
}
