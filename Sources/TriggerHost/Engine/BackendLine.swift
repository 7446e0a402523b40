import Dispatch
import Synchronization
import TriggerCore

/// One backend's way to learn of commits: a serial queue, and what waits for it.
///
///     note (engine lock) ─▶ ChangeNotes ─▶ [visible has reached it] ─▶ work.step, on the queue ─▶ rest ─▶ again
final class BackendLine: Sendable {
  /// What is done with the notes. Called on the line's queue only.
  protocol Work: AnyObject, Sendable {
    var notes: ChangeNotes { get }
    /// Before the first commit, with everything up to `seq` in the table.
    func begin(after seq: Int64)
    /// Deals with what is visible.
    func step(isLast: Bool) -> FollowStep
    /// Any thread.
    var stats: BackendStats { get }
  }

  let store: String
  private let table: StoreTable
  private let work: any Work
  private let registry: SnapshotRegistry
  private let queue: DispatchQueue
  /// A step is on its way to the queue, on it, or resting: nothing else must be started.
  private let isBusy = Atomic<Bool>(false)
  private let isStopped = Atomic<Bool>(false)
  /// Which timer counts: each step voids the one before. On the queue.
  private let newestTimer = Atomic<Int>(0)

  init(_ table: StoreTable, _ work: any Work, _ registry: SnapshotRegistry) {
    store = table.name
    self.table = table
    self.work = work
    self.registry = registry
    queue = DispatchQueue(label: "store \(table.name)")
  }

  var stats: BackendStats { work.stats }

  /// From here on changes are noted. Engine lock, or before the engine has started.
  func attach() { table.follower = work.notes }

  /// - Parameter seq: what the table held when the line was attached.
  func start(after seq: Int64) {
    queue.sync { work.begin(after: seq) }
    wake(seq)
  }

  /// O(1); any thread, also under the engine lock.
  func wake(_ visible: Int64) {
    guard work.notes.due.load(ordering: .acquiring) <= visible,
      !isBusy.exchange(true, ordering: .acquiringAndReleasing)
    else { return }
    queue.async { [weak self] in self?.run() }
  }

  func stop() {
    queue.sync {
      if isStopped.exchange(true, ordering: .relaxed) { return }
      _ = work.step(isLast: true)
    }
  }

  // MARK: On the queue

  private func run() {
    if isStopped.load(ordering: .relaxed) { return }
    let step = work.step(isLast: false)
    // Something that is in the way does not go away at once.
    let rest = step.obstacle == nil ? step.rest : max(step.rest, .milliseconds(1))
    if rest == .zero { return finish(step) }
    after(rest) { $0.finish(step) }
  }

  private func finish(_ step: FollowStep) {
    if step.obstacle != nil { return run() }
    // Reads what the last `wake` wrote, so either this sees that there is something, or that `wake` finds the
    // line free.
    _ = isBusy.exchange(false, ordering: .acquiringAndReleasing)
    wake(registry.visible.load(ordering: .acquiring))
    guard let look = step.look else { return }
    after(max(.zero, look - step.rest)) { line in
      if !line.isBusy.exchange(true, ordering: .acquiringAndReleasing) { line.run() }
    }
  }

  private func after(_ time: Duration, _ body: @escaping @Sendable (BackendLine) -> Void) {
    let timer = newestTimer.wrappingAdd(1, ordering: .relaxed).newValue
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(time.nanoseconds))) { [weak self] in
      guard let self, !isStopped.load(ordering: .relaxed),
        newestTimer.load(ordering: .relaxed) == timer
      else { return }
      body(self)
    }
  }
}
