import Synchronization
import TriggerCore
import TriggerHost

/// What the engine tells of commits, from any thread, until the writer takes it on its own.
final class FileStoreMailbox: Sendable {
  enum Commit: Sendable {
    case changes(seq: Int64, [StoreChange])
    case whole(seq: Int64, Value.Map)
    /// A burst of edits has become this commit, of which the changes may still be to come.
    case edits(burst: Int64, seq: Int64)
  }

  private struct State {
    var commits: [Commit] = []
    var isOpen = false
    var isScheduled = false
  }
  private let state = Mutex(State())

  /// - Returns: whether the writer is to be woken: it is open, and nobody has woken it since it last took.
  func post(_ commit: Commit) -> Bool {
    state.withLock { state in
      state.commits.append(commit)
      defer { state.isScheduled = state.isOpen }
      return state.isOpen && !state.isScheduled
    }
  }

  /// What has come since the last time, in order.
  func take() -> [Commit] {
    state.withLock { state in
      defer { state.commits = [] }
      state.isScheduled = false
      return state.commits
    }
  }

  /// From now on posts wake the writer.
  ///
  /// - Returns: what the store was told to be last as a whole, nil when it never was, and what came after that.
  func open() -> (whole: (seq: Int64, values: Value.Map)?, later: [Commit]) {
    state.withLock { $0.isOpen = true }
    var later = take()
    let last = later.lastIndex { if case .whole = $0 { true } else { false } }
    guard let last, case .whole(let seq, let values) = later[last] else { return (nil, later) }
    later.removeFirst(last + 1)
    return ((seq, values), later)
  }
}
