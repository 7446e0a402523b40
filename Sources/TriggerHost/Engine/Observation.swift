import Synchronization

/// The token of one observer: of what a queue decides (`TriggerQueue.observe`), of fires that do not run
/// (`TriggerScheduler.observe`), of events that nobody takes, triggers that are stuck and clocks that are set
/// (`CommitCoordinator.whenUnheard`, `whenStuck`, `whenClockSteps`). The observation goes on until `cancel`, or the end of
/// the engine, whether anybody keeps the token or not. Any thread.
public final class Observation: Sendable {
  /// What becomes of a message that comes while the buffer is full. Whoever commits never waits.
  public enum WhenFull: Sendable, Hashable {
    /// The observer is not told of it, and it is counted (`untold`). Once there is room, messages are told again.
    case leaveOut
    /// The observation ends: for who could do nothing with a part.
    case end
  }

  /// Receives an operation that a queue has decided, and what it logged.
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

  /// The number of messages that the observer was not told of, because its buffer was full.
  public var untold: Int { untoldCount.load(ordering: .relaxed) }

  /// Ends the observation. Messages that wait in the buffer are not told any more; a call that is under way goes on. Safe
  /// to call twice, and from the observer itself.
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
    fileprivate let observation: Observation
    fileprivate let body: @Sendable (Message) -> Void

    /// - Parameter receivers: whose threads call the observer; nil: it is called here.
    /// - Returns: how many of the messages it is not told of, as its buffer is full.
    func tell(_ messages: [Message], through receivers: Receivers?) -> Int {
      guard let receivers else {
        call(messages)
        return 0
      }
      let isTaken = receivers.offer(
        observation.line, weight: messages.count, upTo: observation.buffer
      ) { call(messages) }
      if isTaken { return 0 }
      observation.leaveOut(messages.count)
      return messages.count
    }

    private func call(_ messages: [Message]) {
      for message in messages where observation.isActive { body(message) }
    }
  }

  private struct State {
    var items: [Observer] = []
  }
  private let state = Mutex(State())
  private let isEmpty = Atomic<Bool>(true)

  /// Takes no lock while nobody observes.
  var all: [Observer] { isEmpty.load(ordering: .acquiring) ? [] : state.withLock { $0.items } }

  /// Tells all of them, like `Observer.tell`.
  func tell(_ messages: [Message], through receivers: Receivers?) {
    for observer in all { _ = observer.tell(messages, through: receivers) }
  }

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
