import Synchronization

/// Somebody who observes what a queue decides (`TriggerQueue.observe`). It goes on until `cancel`, or the end of the engine,
/// whether anybody keeps this token or not. Any thread.
public final class Observation: Sendable {
  /// What becomes of operations that come while the buffer is full. Whoever commits never waits.
  public enum WhenFull: Sendable, Hashable {
    /// They are not told, and counted (`untold`). Those that come later are told again.
    case leaveOut
    /// The observation ends: for who could do nothing with a part.
    case end
  }

  /// Receives an operation, and what it logged.
  public typealias Body = @Sendable (OperationResult, [ExecutionLog]) -> Void

  let line: Receivers.Line
  let buffer: Int
  private let whenFull: WhenFull
  private let body: Body
  private let remove: @Sendable (Observation) -> Void
  private let isOn = Atomic<Bool>(true)
  private let untoldCount = Atomic<Int>(0)

  init(
    number: Int, buffer: Int, whenFull: WhenFull, body: @escaping Body,
    remove: @escaping @Sendable (Observation) -> Void
  ) {
    line = .observer(number)
    (self.buffer, self.whenFull, self.body, self.remove) = (max(1, buffer), whenFull, body, remove)
  }

  /// False once it was cancelled, or its buffer was full while `whenFull` was `end`.
  public var isActive: Bool { isOn.load(ordering: .acquiring) }

  /// How many operations it was not told of, because its buffer was full.
  public var untold: Int { untoldCount.load(ordering: .relaxed) }

  /// Ends it: what waits in its buffer is not told any more. A call that is under way goes on. Safe to call twice.
  public func cancel() {
    isOn.store(false, ordering: .releasing)
    remove(self)
  }

  func tell(_ decided: [DecidedOperation]) {
    for item in decided where isActive {
      var result = item.result
      result.logLinesDropped = item.logs?.dropped ?? 0
      body(result, item.logs?.lines ?? [])
    }
  }

  func leaveOut(_ count: Int) {
    untoldCount.wrappingAdd(count, ordering: .relaxed)
    if whenFull == .end { cancel() }
  }
}

/// Who observes an engine. Any thread.
final class Observers: Sendable {
  private let state = Mutex<(newest: Int, items: [Observation])>((0, []))
  private let isEmpty = Atomic<Bool>(true)

  /// Without a lock while there is none.
  var all: [Observation] { isEmpty.load(ordering: .acquiring) ? [] : state.withLock { $0.items } }

  func add(buffer: Int, whenFull: Observation.WhenFull, _ body: @escaping Observation.Body) -> Observation {
    state.withLock { state in
      state.newest += 1
      let observation = Observation(number: state.newest, buffer: buffer, whenFull: whenFull, body: body) {
        [weak self] in self?.remove($0)
      }
      state.items.append(observation)
      isEmpty.store(false, ordering: .releasing)
      return observation
    }
  }

  private func remove(_ observation: Observation) {
    state.withLock { state in
      state.items.removeAll { $0 === observation }
      isEmpty.store(state.items.isEmpty, ordering: .releasing)
    }
  }
}

/// A decided operation that had something to tell: an error, log lines, or a sender that waits.
struct DecidedOperation: Sendable {
  var result: OperationResult
  var logs: ScriptLines?
}
