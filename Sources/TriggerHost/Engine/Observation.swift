import Synchronization

/// Somebody who observes what a queue decides (`TriggerQueue.observe`), or which fires of a scheduler do not run
/// (`TriggerScheduler.observe`). It goes on until `cancel`, or the end of the engine, whether anybody keeps this token or not.
/// Any thread.
public final class Observation: Sendable {
  /// What becomes of what comes while the buffer is full. Whoever commits never waits.
  public enum WhenFull: Sendable, Hashable {
    /// It is not told, and counted (`untold`). What comes later is told again.
    case leaveOut
    /// The observation ends: for who could do nothing with a part.
    case end
  }

  /// Receives an operation, and what it logged.
  public typealias Body = @Sendable (OperationResult, [ExecutionLog]) -> Void

  /// A line of its own among the receivers'.
  var line: Receivers.Line { .observer(ObjectIdentifier(self)) }
  let buffer: Int
  private let whenFull: WhenFull
  private let remove: @Sendable (Observation) -> Void
  private let isOn = Atomic<Bool>(true)
  private let untoldCount = Atomic<Int>(0)

  init(buffer: Int, whenFull: WhenFull, remove: @escaping @Sendable (Observation) -> Void) {
    (self.buffer, self.whenFull, self.remove) = (max(1, buffer), whenFull, remove)
  }

  /// False once it was cancelled, or its buffer was full while `whenFull` was `end`.
  public var isActive: Bool { isOn.load(ordering: .acquiring) }

  /// How much it was not told of, because its buffer was full.
  public var untold: Int { untoldCount.load(ordering: .relaxed) }

  /// Ends it: what waits in its buffer is not told any more. A call that is under way goes on. Safe to call twice.
  public func cancel() {
    isOn.store(false, ordering: .releasing)
    remove(self)
  }

  func leaveOut(_ count: Int) {
    untoldCount.wrappingAdd(count, ordering: .relaxed)
    if whenFull == .end { cancel() }
  }
}

/// Who observes. Any thread.
final class Observers<Message: Sendable>: Sendable {
  struct Observer: Sendable {
    let observation: Observation
    fileprivate let body: @Sendable (Message) -> Void

    func tell(_ messages: [Message]) {
      for message in messages where observation.isActive { body(message) }
    }
  }

  private struct State {
    var items: [Observer] = []
  }
  private let state = Mutex(State())
  private let isEmpty = Atomic<Bool>(true)

  /// Without a lock while there is none.
  var all: [Observer] { isEmpty.load(ordering: .acquiring) ? [] : state.withLock { $0.items } }

  func add(
    buffer: Int, whenFull: Observation.WhenFull, _ body: @escaping @Sendable (Message) -> Void
  ) -> Observation {
    let observation = Observation(buffer: buffer, whenFull: whenFull) { [weak self] in self?.remove($0) }
    state.withLock { state in
      state.items.append(Observer(observation: observation, body: body))
      isEmpty.store(false, ordering: .releasing)
    }
    return observation
  }

  private func remove(_ observation: Observation) {
    state.withLock { state in
      state.items.removeAll { $0.observation === observation }
      isEmpty.store(state.items.isEmpty, ordering: .releasing)
    }
  }
}

/// A decided operation that had something to tell: an error, log lines, or a sender that waits.
struct DecidedOperation: Sendable {
  var result: OperationResult
  var logs: ScriptLines?
}
