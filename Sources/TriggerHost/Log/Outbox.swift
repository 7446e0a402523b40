import DequeModule

/// Outcomes that are decided and not yet durable, and those who wait for a seq to be durable: durable before
/// visible. Filled under the engine lock, emptied by whoever learns that the log has moved. Any thread.
final class Outbox: @unchecked Sendable {  // guarded by `lock`
  private let lock = EngineLock()
  private var announcements: Deque<EngineState.Announcement> = []
  private var waiting: [(seq: Int64, continuation: CheckedContinuation<Void, Never>)] = []

  /// Announcements come in the order of their seqs; seq 0 is one that needs no log.
  func add(_ new: [EngineState.Announcement]) {
    if new.isEmpty { return }
    lock.withLock { announcements.append(contentsOf: new) }
  }

  /// What may be told now that everything up to `durable` is. Tell it, then call `release`.
  func take(upTo durable: Int64) -> [EngineState.Announcement] {
    var ready: [EngineState.Announcement] = []
    lock.withLock {
      while let first = announcements.first, first.seq <= durable {
        ready.append(announcements.removeFirst())
      }
    }
    return ready
  }

  /// Lets those go on who wait for a seq up to `durable`.
  func release(upTo durable: Int64) {
    let resumed = lock.withLock {
      let resumed = waiting.filter { $0.seq <= durable }.map(\.continuation)
      waiting.removeAll { $0.seq <= durable }
      return resumed
    }
    for continuation in resumed { continuation.resume() }
  }

  /// Suspends until `release` is told of `seq`, unless it has been: `isVisible` says so.
  func wait(for seq: Int64, isVisible: () -> Bool) async {
    await withCheckedContinuation { continuation in
      let isThere = lock.withLock {
        if isVisible() { return true }
        waiting.append((seq, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }
}
