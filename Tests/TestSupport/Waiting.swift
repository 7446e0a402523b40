import Dispatch
import Synchronization

/// Who waited for something that did not come.
package struct WaitedInVain: Error, CustomStringConvertible {
  package let description: String

  fileprivate init(_ what: String, _ file: StaticString, _ line: UInt) {
    description = "\(file):\(line): waited in vain for \(what)"
  }
}

/// Seconds that anything is waited for, however busy the machine is: a test that waited for ever would say nothing.
private let longestWait = 300

/// Waits for a signal: until `body` returns.
///
/// - Throws: `WaitedInVain` when it does not in minutes. Then it is left to itself.
package func wait(
  for what: String, file: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable () async -> Void
) async throws {
  let (hasCome, end) = AsyncStream.makeStream(of: Bool.self)
  let late = DispatchWorkItem { end.yield(false) }
  DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(longestWait), execute: late)
  defer { late.cancel() }
  Task {
    await body()
    end.yield(true)
  }
  for await inTime in hasCome {
    if inTime { return }
    break
  }
  throw WaitedInVain(what, file, line)
}

/// Looks once a millisecond whether it holds. For what tells nobody when it changes: statistics of backends, which are
/// counted on their own queues, and what other tasks have brought so far.
///
/// - Throws: `WaitedInVain` when it does not in minutes.
package func poll(
  for what: String, file: StaticString = #fileID, line: UInt = #line, until holds: () throws -> Bool
) async throws {
  let late = ContinuousClock.now + .seconds(longestWait)
  while try !holds() {
    if ContinuousClock.now >= late { throw WaitedInVain(what, file, line) }
    // A timer of a thread's, not a task that comes back at once: others have the core meanwhile.
    await withCheckedContinuation { pause in
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(1)) { pause.resume() }
    }
  }
}

/// A value that tests wait for. Any thread.
package final class Watched<Value: Sendable>: Sendable {
  private struct Waiting {
    var holds: @Sendable (Value) -> Bool
    var continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var value: Value
    var waiting: [Waiting] = []
  }
  private let state: Mutex<State>

  package init(_ value: Value) { state = Mutex(State(value: value)) }

  package var value: Value { state.withLock { $0.value } }

  /// Changes the value, and lets those go on who have waited for it.
  package func update(_ body: (inout Value) -> Void) {
    let due = state.withLock { state in
      body(&state.value)
      if state.waiting.isEmpty { return [Waiting]() }
      let value = state.value
      defer { state.waiting.removeAll { $0.holds(value) } }
      return state.waiting.filter { $0.holds(value) }
    }
    for waiting in due { waiting.continuation.resume() }
  }

  /// - Throws: `WaitedInVain` when it does not hold in minutes.
  package func wait(
    for what: String, file: StaticString = #fileID, line: UInt = #line,
    until holds: @escaping @Sendable (Value) -> Bool
  ) async throws {
    try await TestSupport.wait(for: what, file: file, line: line) {
      await withCheckedContinuation { continuation in
        let isThere = self.state.withLock { state in
          if holds(state.value) { return true }
          state.waiting.append(Waiting(holds: holds, continuation: continuation))
          return false
        }
        if isThere { continuation.resume() }
      }
    }
  }
}
