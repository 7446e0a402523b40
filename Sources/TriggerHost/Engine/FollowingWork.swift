import Synchronization
import TriggerCore

/// Lets a backend that keeps a copy catch up: gathers the keys that changed, and hands it the store as of the
/// newest visible seq. Values are read then, so what waits is one key each, however often it changes.
final class FollowingWork: BackendLine.Work, @unchecked Sendable {
  // Fields that change belong to the line's queue.
  /// Keys that may wait; beyond, the backend compares everything.
  static let keysWaiting = 250_000

  let notes = ChangeNotes(keepsValues: false)
  private let backend: any FollowingStoreBackend
  private let table: StoreTable
  private let registry: SnapshotRegistry
  private let slot: SnapshotRegistry.Slot
  private let keyLimit: Int
  private var left: [UInt8] = []
  private var offset = 0
  private var changed: Set<[UInt8]> = []
  /// Changes up to here are not in `changed`; what is followed before does not count as complete.
  private var unknownUpTo: Int64?
  private var followed: Int64 = 0
  private let published = Mutex(BackendStats())

  init(
    _ backend: any FollowingStoreBackend, _ table: StoreTable, _ registry: SnapshotRegistry,
    _ slot: SnapshotRegistry.Slot, keyLimit: Int = FollowingWork.keysWaiting
  ) {
    self.backend = backend
    self.table = table
    self.registry = registry
    self.slot = slot
    self.keyLimit = keyLimit
  }

  deinit { registry.giveBack(slot) }

  var stats: BackendStats { published.withLock { $0 } }

  /// The first look is due at once: the copy may be behind, or ahead.
  func begin(after seq: Int64) {
    followed = seq
    published.withLock { $0.waiting = nil }
    notes.due.store(seq, ordering: .releasing)
  }

  func step(isLast: Bool) -> FollowStep {
    // Before the notes are taken: a commit that is being applied may have noted half of its changes.
    let seq = registry.hold(slot)
    gather(upTo: seq)
    let keys =
      unknownUpTo == nil ? changed.sorted { $0.lexicographicallyPrecedes($1) } : nil
    let step = backend.follow(
      StoreView(table, seq: seq, since: followed, changedKeys: keys, isLast: isLast))
    registry.release(slot)
    if step.obstacle == nil {
      followed = seq
      changed.removeAll()
      if let unknown = unknownUpTo, unknown <= seq { unknownUpTo = nil }
    }
    notes.acknowledge(left: unknownUpTo ?? nextSeq ?? .max)
    publish(step)
    return step
  }

  private func publish(_ step: FollowStep) {
    let now = step.obstacle == nil ? nil : SystemClock().now()
    published.withLock { stats in
      if step.obstacle == nil { stats.seq = followed }
      stats.waiting = unknownUpTo == nil ? changed.count : nil
      stats.stuckSince = now.map { stats.stuckSince ?? $0 }
      stats.obstacle = step.obstacle
    }
  }

  private func gather(upTo seq: Int64) {
    let batch = notes.take()
    if let dropped = batch.dropped { forget(upTo: dropped) }
    left.append(contentsOf: batch.bytes)
    while true {
      var next = offset
      guard let note = Note.read(left, at: &next), note.seq <= seq else { break }
      offset = next
      if unknownUpTo ?? 0 < note.seq { changed.insert(Array(note.key)) }
    }
    left.removeFirst(offset)
    offset = 0
    if changed.count > keyLimit { forget(upTo: seq) }
  }

  private func forget(upTo seq: Int64) {
    unknownUpTo = max(unknownUpTo ?? 0, seq)
    changed = []
  }

  private var nextSeq: Int64? {
    var offset = offset
    return Note.read(left, at: &offset)?.seq
  }
}
