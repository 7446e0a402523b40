import Synchronization
import TriggerCore

/// Lets tasks wait until a seq is visible: decided, and durable where there is a log. Any thread.
///
/// Who moves the newest visible seq pays one load while nobody waits. When somebody does, it begins one task, which resumes
/// all others: however many wait, a commit waits for none of them.
package final class SeqWatch: Sendable {
  private enum Waiter {
    /// It has not suspended yet.
    case coming
    case waiting(seq: Int64, CheckedContinuation<Bool, Never>)
    /// Nothing is to be waited for any more.
    case over
  }
  private struct State {
    var waiters: [Int: Waiter] = [:]
    var next = 0
    /// A task resumes those whose seq is visible.
    var isTelling = false
    var isClosed = false
  }

  /// How many are resumed before others have their turn.
  private static let turn = 64

  private let registry: SnapshotRegistry
  private let state = Mutex(State())
  private let isWaitedFor = Atomic<Bool>(false)

  init(_ registry: SnapshotRegistry) { self.registry = registry }

  /// The newest visible seq.
  package var newest: Int64 { registry.visible.load(ordering: .acquiring) }

  /// Call after the newest visible seq has moved. Does next to nothing.
  func tell() {
    // Either this sees who waits, or who waits sees the seq: both write first, and look then.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    guard isWaitedFor.load(ordering: .relaxed) else { return }
    let begins = state.withLock { state in
      if state.isTelling { return false }
      state.isTelling = true
      return true
    }
    if begins { Task { await resume() } }
  }

  /// Suspends until `seq` is visible.
  ///
  /// - Parameter bound: the longest wait.
  /// - Returns: false when the time is up, the task is cancelled or the engine has ended before.
  package func wait(for seq: Int64, atMost bound: Duration) async -> Bool {
    if newest >= seq { return true }
    let number = state.withLock { state in
      state.next += 1
      state.waiters[state.next] = state.isClosed ? .over : .coming
      return state.next
    }
    let timer = Task {
      try? await Task.sleep(for: bound)
      giveUp(number)
    }
    let isThere = await withTaskCancellationHandler {
      await withCheckedContinuation { suspend($0, number, seq) }
    } onCancel: {
      giveUp(number)
    }
    timer.cancel()
    return isThere
  }

  private func suspend(_ continuation: CheckedContinuation<Bool, Never>, _ number: Int, _ seq: Int64) {
    let answer: Bool? = state.withLock { state in
      guard case .coming? = state.waiters[number] else {
        state.waiters[number] = nil
        return newest >= seq
      }
      state.waiters[number] = .waiting(seq: seq, continuation)
      isWaitedFor.store(true, ordering: .relaxed)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      if newest < seq { return nil }
      state.waiters[number] = nil
      return true
    }
    if let answer { continuation.resume(returning: answer) }
  }

  private func giveUp(_ number: Int) {
    let continuation: CheckedContinuation<Bool, Never>? = state.withLock { state in
      switch state.waiters[number] {
      case .coming?: state.waiters[number] = .over
      case .waiting(_, let continuation)?:
        state.waiters[number] = nil
        return continuation
      case .over?, nil: break
      }
      return nil
    }
    continuation?.resume(returning: false)
  }

  /// Resumes those whose seq is visible.
  private func resume() async {
    while true {
      let ready: [CheckedContinuation<Bool, Never>] = state.withLock { state in
        // Before the look: what moves afterwards begins another task, or is seen here.
        state.isTelling = false
        let newest = newest
        var ready: [CheckedContinuation<Bool, Never>] = []
        for (number, waiter) in state.waiters {
          guard case .waiting(let seq, let continuation) = waiter, seq <= newest else { continue }
          ready.append(continuation)
          state.waiters[number] = nil
        }
        if state.waiters.isEmpty { isWaitedFor.store(false, ordering: .relaxed) }
        return ready
      }
      if ready.isEmpty { return }
      for (place, continuation) in ready.enumerated() {
        if place % Self.turn == Self.turn - 1 { await Task.yield() }
        continuation.resume(returning: true)
      }
    }
  }

  /// Nobody waits any more.
  func close() {
    let left = state.withLock { state in
      state.isClosed = true
      defer { state.waiters = state.waiters.mapValues { _ in .over } }
      return state.waiters.values.compactMap { waiter in
        if case .waiting(_, let continuation) = waiter { continuation } else { nil }
      }
    }
    for continuation in left { continuation.resume(returning: false) }
  }
}
