import HeapModule
import Synchronization
import TriggerCore

/// When nothing happens any more before a clock that is moved by hand moves, and what waits for it; when statistics are
/// as somebody wants them.
extension Engine {
  /// Suspends until nothing happens before the clock moves: everything admitted, and all that came of it, is
  /// decided, durable and seen by readers, or waits for its time. Returns too when the engine stops.
  func waitUntilQuiet() async {
    await withCheckedContinuation { continuation in
      let hasStopped = intakeLock.withLock {
        if isStopping.load(ordering: .acquiring) { return true }
        waitingForQuiet.append(continuation)
        isWatched.store(true, ordering: .sequentiallyConsistent)
        return false
      }
      if hasStopped { continuation.resume() } else { tellWatchers() }
    }
    if isStopping.load(ordering: .acquiring) { return }
    await waitUntilTold()
  }

  /// Suspends until the statistics are so after some worker's or the watchdog's turn. Returns too when the engine stops.
  func waitUntil(_ holds: @escaping @Sendable (EngineStats) -> Bool) async {
    await withCheckedContinuation { continuation in
      let hasStopped = intakeLock.withLock {
        if isStopping.load(ordering: .acquiring) { return true }
        waitingForStats.append((holds, continuation))
        isWatched.store(true, ordering: .sequentiallyConsistent)
        return false
      }
      if hasStopped { continuation.resume() } else { tellWatchers() }
    }
  }

  /// Lets those go on whose time has come. Whoever waits is in a list before it looks here, and whoever changes what is
  /// counted looks at `isWatched` afterwards: one of them sees it.
  func tellWatchers() {
    tellQuiet()
    tellStats()
  }

  private func tellStats() {
    if intakeLock.withLock({ waitingForStats.isEmpty }) { return }
    let stats = currentStats()
    let due = intakeLock.withLock {
      let end = waitingForStats.partition { $0.holds(stats) }
      defer {
        waitingForStats.removeSubrange(end...)
        noteWatchers()
      }
      return waitingForStats[end...].map(\.continuation)
    }
    for continuation in due { continuation.resume() }
  }

  /// Intake lock.
  private func noteWatchers() {
    isWatched.store(!waitingForQuiet.isEmpty || !waitingForStats.isEmpty, ordering: .sequentiallyConsistent)
  }

  private func tellQuiet() {
    let now = clock.monotonic()
    let waiting = withState { state in
      intakeLock.withLock { () -> [CheckedContinuation<Void, Never>] in
        let isDue = state.nextDue.map { $0 <= now } ?? false
        guard !isDue, !state.isActive, incoming.isEmpty else { return [] }
        defer {
          waitingForQuiet = []
          noteWatchers()
        }
        return waitingForQuiet
      }
    }
    for continuation in waiting { continuation.resume() }
  }

  /// What waits for its time, the first due first. O(n log n).
  func waitingEvents() -> [WaitingEvent] {
    let now = clock.read()
    let found = withState { state in
      var found: [WaitingEvent] = []
      func add(_ operation: Operation, _ reason: WaitingEvent.Reason, _ due: MonotonicTime) {
        found.append(
          WaitingEvent(
            trigger: operation.trigger.name, event: String(decoding: operation.name, as: UTF8.self),
            reason: reason, due: Timestamp(nanoseconds: now.wall + (due - now.monotonic))))
      }
      state.gates.forEachTimed { add($0, $0.trigger.options.debounce == nil ? .throttle : .debounce, $1) }
      for item in state.delayed.unordered { add(item.operation, .retry, item.due) }
      return found
    }
    return found.sorted { ($0.due, $0.trigger, $0.event) < ($1.due, $1.trigger, $1.event) }
  }

  /// Triggers that run now, by name, and how many operations are behind them. O(undecided).
  func work() -> (running: [String], queued: Int) {
    withState { state in
      let arriving = intakeLock.withLock { incoming.count } + state.arrived.count - state.nextArrived
      var names: Set<String> = []
      func look(_ operation: Operation) { if operation.isRunning { names.insert(operation.trigger.name) } }
      state.order.forEachUndecided { _, operation, _ in look(operation) }
      state.parking.visit { operation, _ in look(operation) }
      return (names.sorted(), arriving + state.lanes.count + state.heldCount)
    }
  }
}

extension EngineState {
  /// When an operation that waits for its time goes on next; nil when none does.
  var nextDue: MonotonicTime? {
    mutating get { [gates.nextDue, delayed.min?.due].compactMap { $0 }.min() }
  }

  /// Something goes on that no clock has to move for. What waits for the turn of a retry waits for its time.
  var isActive: Bool { order.undecided > 0 || lanes.count > 0 || parking.isMoving || hasMore }
}

/// An event that waits for its time before a trigger: the host's clock lets it go on, nothing else.
public struct WaitingEvent: Sendable, Hashable {
  /// What it waits for.
  public enum Reason: String, Sendable {
    /// `debounce`: that no other event comes for its span. `throttle`: the end of its span. `retry`: the pause
    /// before a failed operation is tried again.
    case debounce, throttle, retry
  }

  /// The trigger's name.
  public var trigger: String
  /// The event's name.
  public var event: String
  /// What it waits for.
  public var reason: Reason
  /// When it goes on, on the host's clock.
  public var due: Timestamp
}
