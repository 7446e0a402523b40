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
  /// Somebody wants to hear of every commit.
  private let hearsAll = Atomic<Bool>(false)
  private let newest = Atomic<Int64>(0)

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
    newest.max(seq, ordering: .sequentiallyConsistent)
    guard isComing.load(ordering: .acquiring) || hearsAll.load(ordering: .sequentiallyConsistent) else {
      return
    }
    condition.lock()
    while let next = coming.first, next <= seq { newestDurable = coming.removeFirst() }
    isComing.store(!coming.isEmpty, ordering: .releasing)
    condition.broadcast()
    condition.unlock()
  }

  /// Everything up to here is durable.
  package var durable: Int64 { newest.load(ordering: .sequentiallyConsistent) }

  /// The newest durable commit with effects; 0 when there was none since the start.
  package var durableEffects: Int64 {
    condition.lock()
    defer { condition.unlock() }
    return newestDurable
  }

  /// Waits, at most for `span`, until a commit after `seq` is durable and has effects, or has none and `all` is true,
  /// or `isOver` says true. One thread at a time.
  package func wait(after seq: Int64, all: Bool, for span: Duration, unless isOver: () -> Bool) {
    hearsAll.store(all, ordering: .sequentiallyConsistent)
    condition.lock()
    defer { condition.unlock() }
    if newestDurable > seq || all && durable > seq || isOver() { return }
    condition.wait(for: span)
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
