import DequeModule
import Synchronization
import TriggerCore

/// The keys that senders gave with their events, and what came of those: a key that comes again within a day
/// gets the first one's results. Any thread.
final class IdempotencyKeys: Sendable {
  typealias Results = @Sendable (EventID, [OperationResult]) -> Void

  /// Nanoseconds: 24 hours (draft-ietf-httpapi-idempotency-key-header-07 leaves the span to the server).
  static let lifetime: Int64 = 24 * 3_600_000_000_000
  /// Beyond, the oldest are forgotten before their time.
  static let capacity = 1_000_000

  enum Verdict {
    /// The first of its key: admit it, then say how many operations it has (`expect`).
    case first
    /// Its results come, or have come already; the id is the first one's.
    case repeated(EventID)
    /// The key came with another event before.
    case reused
  }

  private struct Entry {
    var id: EventID
    var digest: UInt64
    var admitted: Int64
    var results: [OperationResult] = []
    var expected: Int?
    var waiting: [Results] = []
    var isComplete: Bool { results.count == expected }
  }

  private struct State {
    var entries: [LogFold.ClientKey: Entry] = [:]
    /// In the order of admission.
    var order: Deque<(key: LogFold.ClientKey, admitted: Int64)> = []
  }
  private let state = Mutex(State())

  func take(
    _ key: LogFold.ClientKey, id: EventID, digest: UInt64, now: Int64, then results: @escaping Results
  ) -> Verdict {
    let (verdict, known): (Verdict, Entry?) = state.withLock { state in
      Self.forget(&state, before: now - Self.lifetime)
      guard var entry = state.entries[key] else {
        state.entries[key] = Entry(id: id, digest: digest, admitted: now, waiting: [results])
        state.order.append((key, now))
        return (.first, nil)
      }
      guard entry.digest == digest else { return (.reused, nil) }
      if entry.isComplete { return (.repeated(entry.id), entry) }
      entry.waiting.append(results)
      state.entries[key] = entry
      return (.repeated(entry.id), nil)
    }
    if let known { results(known.id, known.results) }
    return verdict
  }

  /// Calls `body` when the results are there, at once when they are.
  func wait(for key: LogFold.ClientKey, then body: @escaping Results) {
    let known: Entry? = state.withLock { state in
      guard let entry = state.entries[key] else { return nil }
      if !entry.isComplete { state.entries[key]?.waiting.append(body) }
      return entry.isComplete ? entry : nil
    }
    if let known { body(known.id, known.results) }
  }

  /// The event was not admitted: as if its key had not come.
  func withdraw(_ key: LogFold.ClientKey) {
    state.withLock { state in
      state.entries[key] = nil
      state.order.removeAll { $0.key == key }
    }
  }

  func add(_ result: OperationResult, to key: LogFold.ClientKey) {
    change(key) { $0.results.append(result) }
  }

  func expect(_ count: Int, of key: LogFold.ClientKey) { change(key) { $0.expected = count } }

  private func change(_ key: LogFold.ClientKey, _ body: (inout Entry) -> Void) {
    let complete: Entry? = state.withLock { state in
      guard var entry = state.entries[key] else { return nil }
      body(&entry)
      guard entry.isComplete else {
        state.entries[key] = entry
        return nil
      }
      entry.results.sort { $0.seq < $1.seq }
      state.entries[key] = entry
      state.entries[key]?.waiting = []
      return entry
    }
    for body in complete?.waiting ?? [] { body(complete!.id, complete!.results) }
  }

  /// What a log knows of the keys of the last day.
  func restore(_ keys: [LogFold.ClientKey: LogFold.KeyState]) {
    state.withLock { state in
      for (key, known) in keys.sorted(by: { $0.value.admitted < $1.value.admitted }) {
        var entry = Entry(
          id: known.id, digest: known.digest, admitted: known.admitted, expected: known.total)
        entry.results = known.results.map {
          OperationResult(
            trigger: $0.trigger, identity: $0.identity, seq: $0.seq, outcome: $0.outcome, error: $0.error,
            retryAt: $0.retryAt)
        }
        state.entries[key] = entry
        state.order.append((key, known.admitted))
      }
    }
  }

  private static func forget(_ state: inout State, before time: Int64) {
    while let oldest = state.order.first, oldest.admitted < time || state.order.count > capacity {
      state.order.removeFirst()
      state.entries[oldest.key] = nil
    }
  }
}
