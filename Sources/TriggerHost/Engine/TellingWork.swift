import Synchronization
import TriggerCore

/// Tells a backend every commit that changed its store, in seq order.
///
/// When more than `ChangeNotes.Limits.coalesced` waits, what waits is told as one change per key; when more
/// than `Limits.dropped` did, as the whole store.
final class TellingWork: BackendLine.Work, @unchecked Sendable {
  // Fields that change belong to the line's queue.
  let notes: ChangeNotes
  private let backend: any StoreBackend
  private let table: StoreTable
  private let registry: SnapshotRegistry
  private var bytes: [UInt8] = []
  private var offset = 0
  /// Nothing up to here is told commit by commit: the whole store is told once it is visible.
  private var wholeFrom: Int64?
  private var told: Int64 = 0
  private let published = Mutex(BackendStats())
  private let coalesced: Int

  init(
    _ backend: any StoreBackend, _ table: StoreTable, _ registry: SnapshotRegistry,
    coalesced: Int = ChangeNotes.Limits.coalesced, dropped: Int = ChangeNotes.Limits.dropped
  ) {
    self.backend = backend
    self.table = table
    self.registry = registry
    self.coalesced = coalesced
    notes = ChangeNotes(keepsValues: true, limit: dropped)
  }

  var stats: BackendStats { published.withLock { $0 } }

  func begin(after seq: Int64) {
    if seq > 0 { tellAll() }
    published.withLock { $0.seq = seq }
  }

  func step(isLast: Bool) -> FollowStep {
    // Before the notes are taken: a commit that is being applied may have noted half of its changes.
    let visible = registry.visible.load(ordering: .acquiring)
    gather()
    if let wholeFrom, visible >= wholeFrom {
      self.wholeFrom = nil
      tellAll()
    }
    if wholeFrom == nil { tell(upTo: visible) }
    notes.acknowledge(left: wholeFrom ?? nextSeq ?? .max)
    published.withLock { $0 = BackendStats(seq: max($0.seq, told), waiting: 0) }
    return FollowStep()
  }

  private func gather() {
    let batch = notes.take()
    if let dropped = batch.dropped {
      (wholeFrom, bytes, offset) = (dropped, [], 0)
      return
    }
    bytes.removeFirst(offset)
    offset = 0
    bytes.append(contentsOf: batch.bytes)
  }

  private var nextSeq: Int64? {
    var offset = offset
    return Note.read(bytes, at: &offset)?.seq
  }

  private func tell(upTo visible: Int64) {
    let isMuch = bytes.count - offset > coalesced
    var seq: Int64 = 0
    var changed: [ArraySlice<UInt8>: ArraySlice<UInt8>?] = [:]
    func flush() {
      if changed.isEmpty { return }
      backend.apply(seq: seq, Self.changes(changed))
      (told, changed) = (seq, [:])
    }
    while true {
      var next = offset
      guard let note = Note.read(bytes, at: &next), note.seq <= visible else { break }
      offset = next
      // The whole store was told after it.
      if note.seq <= told { continue }
      if note.seq != seq, !isMuch { flush() }
      seq = note.seq
      changed.updateValue(note.value, forKey: note.key)
    }
    flush()
  }

  private static func changes(_ changed: [ArraySlice<UInt8>: ArraySlice<UInt8>?]) -> [StoreChange] {
    changed.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, value in
      StoreChange(
        key: String(decoding: key, as: UTF8.self),
        value: value.flatMap { bytes in bytes.withUnsafeBytes { try? CanonicalEncoding.decode($0) } })
    }
  }

  /// Tells the store as it is now.
  private func tellAll() {
    guard let slot = registry.takeSlot() else { preconditionFailure("no snapshot is left for a backend") }
    defer { registry.giveBack(slot) }
    let view = StoreView(table, seq: registry.hold(slot), since: 0, changedKeys: nil, isLast: false)
    var content: Value.Map = [:]
    view.forEachKey { key in content[String(decoding: key, as: UTF8.self)] = view.item(key)!.value }
    backend.replace(seq: view.seq, with: content)
    told = view.seq
  }
}
