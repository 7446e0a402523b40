import DequeModule

/// Outcomes that are decided and not yet told: durable before visible. One at a time tells, in the order of the seqs;
/// who comes meanwhile leaves it to that one. So what is told must not wait for anybody: it moves a number or resumes
/// a task (`Receivers` calls what users gave). Filled under the engine lock. Any thread.
final class Outbox: @unchecked Sendable {  // guarded by `lock`
  private let lock = EngineLock()
  private var announcements: Deque<Announcement> = []
  /// What is told now.
  private var batch: [Announcement] = []
  /// Up to this seq may be told.
  private var durable: Int64
  private var isTelling = false
  private var isClosed = false
  private var waiting: [(seq: Int64, continuation: CheckedContinuation<Void, Never>)] = []

  /// - Parameter durable: `.max` when there is no log.
  init(durable: Int64) { self.durable = durable }

  /// Announcements come in the order of their seqs; seq 0 is one that needs no log.
  func add(_ new: [Announcement]) {
    if new.isEmpty { return }
    lock.withLock { announcements.append(contentsOf: new) }
  }

  /// Tells what may be told, unless somebody does.
  ///
  /// - Parameter seq: everything up to it is durable, and seen by readers.
  func tell(upTo seq: Int64, _ body: ([Announcement]) -> Void) {
    lock.lock()
    durable = max(durable, seq)
    if isTelling { return lock.unlock() }
    isTelling = true
    while claimReady() {
      let batch = batch
      lock.unlock()
      body(batch)
      lock.lock()
    }
    isTelling = false
    let resumed = takeResumed()
    lock.unlock()
    for continuation in resumed { continuation.resume() }
  }

  private func claimReady() -> Bool {
    batch.removeAll(keepingCapacity: true)
    while let first = announcements.first, first.seq <= durable { batch.append(announcements.removeFirst()) }
    return !batch.isEmpty
  }

  private func takeResumed() -> [CheckedContinuation<Void, Never>] {
    if waiting.isEmpty { return [] }
    let limit = isClosed ? .max : durable
    let resumed = waiting.filter { $0.seq <= limit }.map(\.continuation)
    waiting.removeAll { $0.seq <= limit }
    return resumed
  }

  /// Suspends until everything up to `seq` is durable and told, or the engine has stopped.
  ///
  /// - Parameter visible: what readers see; nobody may have told of what an earlier run has done.
  func wait(for seq: Int64, visible: Int64) async {
    await withCheckedContinuation { continuation in
      let isThere = lock.withLock {
        durable = max(durable, visible)
        if isClosed || durable >= seq && !isTelling && (announcements.first?.seq ?? .max) > seq {
          return true
        }
        waiting.append((seq, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }

  /// Nobody waits any more.
  func close() {
    let resumed = lock.withLock {
      isClosed = true
      return takeResumed()
    }
    for continuation in resumed { continuation.resume() }
  }
}
