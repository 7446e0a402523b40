import Synchronization

/// One answer that somebody waits for. Any thread.
final class Reply<Answer: Sendable>: Sendable {
  private enum State {
    case open
    case waiting(CheckedContinuation<Answer?, Never>)
    /// Nil: there will be none.
    case over(Answer?)
  }
  private let state = Mutex(State.open)

  /// The first of all is the answer. Does next to nothing.
  func tell(_ answer: Answer?) {
    let waiting: CheckedContinuation<Answer?, Never>? = state.withLock { state in
      switch state {
      case .over: return nil
      case .open:
        state = .over(answer)
        return nil
      case .waiting(let continuation):
        state = .over(answer)
        return continuation
      }
    }
    waiting?.resume(returning: answer)
  }

  /// Suspends until there is an answer; nil when there will be none. Once.
  func value() async -> Answer? {
    await withCheckedContinuation { continuation in
      let answer: Answer?? = state.withLock { state in
        if case .over(let answer) = state { return .some(answer) }
        state = .waiting(continuation)
        return .none
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }
}

/// What waits for outcomes. When the server ends, nothing waits any more. Any thread.
final class Waiting: Sendable {
  private struct State {
    var ends: [Int: @Sendable () -> Void] = [:]
    var next = 0
    var isOver = false
  }
  private let state = Mutex(State())

  /// How many wait.
  var count: Int { state.withLock { $0.ends.count } }

  /// Runs `body`; meanwhile `end` is called when the server ends, at once when it has.
  func during<Result>(
    _ end: @escaping @Sendable () -> Void, _ body: () async throws -> Result
  ) async rethrows -> Result {
    let number: Int? = state.withLock { state in
      if state.isOver { return nil }
      state.next += 1
      state.ends[state.next] = end
      return state.next
    }
    if number == nil { end() }
    defer { if let number { state.withLock { _ = $0.ends.removeValue(forKey: number) } } }
    return try await body()
  }

  /// Nothing waits from now on.
  func endAll() {
    let ends = state.withLock { state in
      state.isOver = true
      return Array(state.ends.values)
    }
    for end in ends { end() }
  }
}

/// Something that is known from some moment on. Any number may wait for it. Any thread.
final class Once<Value: Sendable>: Sendable {
  private struct State {
    var value: Value?
    var waiting: [CheckedContinuation<Value, Never>] = []
  }
  private let state = Mutex(State())

  /// The first of all counts.
  func tell(_ value: Value) {
    let waiting = state.withLock { state in
      if state.value != nil { return [CheckedContinuation<Value, Never>]() }
      state.value = value
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume(returning: value) }
  }

  /// Suspends until it is known.
  func value() async -> Value {
    await withCheckedContinuation { continuation in
      let value: Value? = state.withLock { state in
        if state.value == nil { state.waiting.append(continuation) }
        return state.value
      }
      if let value { continuation.resume(returning: value) }
    }
  }
}
