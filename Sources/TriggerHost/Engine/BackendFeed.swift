import Synchronization
import TriggerCore

/// Brings commits to the backends: each has a line of its own, so that a slow or locked one delays nobody but
/// itself, and sees nothing before it is durable. Filled before the engine starts; then any thread.
final class BackendFeed: Sendable {
  private let registry: SnapshotRegistry
  private let lines = Mutex<[BackendLine]>([])
  private let isEmpty = Atomic<Bool>(true)

  init(_ registry: SnapshotRegistry) { self.registry = registry }

  /// The line begins with `start`, or by itself when the others have.
  ///
  /// - Throws: `StoreError` when no snapshot is left for another backend that follows.
  func add(_ backend: any StoreBackend, of table: StoreTable) throws -> BackendLine {
    let work: any BackendLine.Work
    if let backend = backend as? any FollowingStoreBackend {
      guard let slot = registry.takeSlot() else { throw StoreError("too many stores that follow commits") }
      work = FollowingWork(backend, table, registry, slot)
    } else {
      work = TellingWork(backend, table, registry)
    }
    let line = BackendLine(table, work, registry)
    lines.withLock { $0.append(line) }
    isEmpty.store(false, ordering: .relaxed)
    return line
  }

  /// Begins behind `seq`, which recovery has rebuilt. Before the first commit.
  func start(after seq: Int64) {
    for line in lines.withLock({ $0 }) {
      line.attach()
      line.start(after: seq)
    }
  }

  /// Call when the newest visible seq has moved.
  @inline(__always)
  func wake() {
    if !isEmpty.load(ordering: .relaxed) { wakeLines() }
  }

  private func wakeLines() {
    let visible = registry.visible.load(ordering: .relaxed)
    lines.withLock { for line in $0 { line.wake(visible) } }
  }

  /// Returns when every backend was told what is visible, those that follow as far as they can at once.
  func stop() {
    for line in lines.withLock({ $0 }) { line.stop() }
  }

  /// By store.
  var stats: [String: BackendStats] {
    lines.withLock { Dictionary($0.map { ($0.store, $0.stats) }) { first, _ in first } }
  }
}
