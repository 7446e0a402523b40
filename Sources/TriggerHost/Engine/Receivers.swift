import DequeModule
import Glibc

/// Calls what users gave to be called, on threads of its own: a receiver that takes its time, or never comes back,
/// costs its own line and nothing else.
///
/// A line is served by one thread at a time, in order; threads come with the work and go when there is none. Any
/// thread may ask, also under the engine lock.
final class Receivers: @unchecked Sendable {  // guarded by `lock`
  /// Who is called one after another.
  enum Line: Hashable {
    /// One `Observation`.
    case observer(ObjectIdentifier)
    /// Completions of the events of one source.
    case source(UInt64)
  }

  /// Calls that may wait in a line.
  static let bound = 10_000
  /// Threads that may be at it at once: so many receivers can hang before others wait for them.
  private static let mostThreads = 256
  /// Nanoseconds that a thread waits for more to do.
  private static let longestIdle: Int64 = 2_000_000_000
  /// Calls of one line before another has its turn.
  private static let turn = 256

  private struct Call {
    var body: @Sendable () -> Void
    /// What it counts for the bound.
    var weight: Int
  }
  private struct Waiting {
    var calls: Deque<Call> = []
    var weight = 0
  }

  private let lock = EngineLock()
  private var lines: [Line: Waiting] = [:]
  /// Lines with calls that nobody serves.
  private var ready: Deque<Line> = []
  private var idle: [WakeUp] = []
  private var threads = 0
  private var waitingForRoom: [(line: Line, continuation: CheckedContinuation<Void, Never>)] = []
  private var waitingForEnd: [CheckedContinuation<Void, Never>] = []
  private var isClosed = false

  /// Puts a call at the end of a line, whatever waits there.
  func call(_ line: Line, weight: Int = 1, _ body: @escaping @Sendable () -> Void) {
    lock.lock()
    let isNew = lines[line] == nil
    lines[line, default: Waiting()].calls.append(Call(body: body, weight: weight))
    lines[line]!.weight += weight
    if isNew { ready.append(line) }
    let (sleeper, starts) = isNew ? helper() : (nil, false)
    lock.unlock()
    sleeper?.wake()
    if starts { start() }
  }

  /// As `call`, unless so much waits in the line. False then.
  func offer(
    _ line: Line, weight: Int, upTo bound: Int = bound, _ body: @escaping @Sendable () -> Void
  ) -> Bool {
    guard lock.withLock({ self.weight(line) < bound }) else { return false }
    call(line, weight: weight, body)
    return true
  }

  func hasRoom(_ line: Line) -> Bool { lock.withLock { weight(line) < Self.bound } }

  private func weight(_ line: Line) -> Int { lines[line]?.weight ?? 0 }

  /// Suspends until there is room in a line, or nobody is called any more.
  func waitForRoom(_ line: Line) async {
    await withCheckedContinuation { continuation in
      let isThere = lock.withLock {
        if isClosed || weight(line) < Self.bound { return true }
        waitingForRoom.append((line, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }

  /// Suspends until every call that has been asked for is over, or nobody waits any more.
  func waitUntilEnd() async {
    await withCheckedContinuation { continuation in
      let isThere = lock.withLock {
        if isClosed || lines.isEmpty { return true }
        waitingForEnd.append(continuation)
        return false
      }
      if isThere { continuation.resume() }
    }
  }

  /// Who waits goes on. What is in the lines is called all the same.
  func close() {
    let resumed = lock.withLock {
      isClosed = true
      defer { (waitingForRoom, waitingForEnd) = ([], []) }
      return waitingForRoom.map(\.continuation) + waitingForEnd
    }
    for continuation in resumed { continuation.resume() }
  }

  // MARK: Threads

  /// Who serves a line that is ready. Lock.
  private func helper() -> (sleeper: WakeUp?, starts: Bool) {
    if let sleeper = idle.popLast() { return (sleeper, false) }
    guard threads < Self.mostThreads else { return (nil, false) }
    threads += 1
    return (nil, true)
  }

  private func start() {
    // What users do there may go deep.
    pthread_detach(Thread.spawn(name: "receivers", stackBytes: 8 << 20) { self.serve() })
  }

  private func serve() {
    let wakeUp = WakeUp()
    lock.lock()
    while true {
      while let line = ready.popFirst() { serve(line) }
      idle.append(wakeUp)
      lock.unlock()
      wakeUp.sleep(nanoseconds: Self.longestIdle)
      lock.lock()
      idle.removeAll { $0 === wakeUp }
      if ready.isEmpty { break }
    }
    threads -= 1
    lock.unlock()
  }

  /// Calls what is in a line. Lock, released meanwhile.
  private func serve(_ line: Line) {
    for _ in 0..<Self.turn {
      guard let call = lines[line]!.calls.popFirst() else { break }
      lock.unlock()
      call.body()
      lock.lock()
      lines[line]!.weight -= call.weight
    }
    if lines[line]!.calls.isEmpty { lines[line] = nil } else { ready.append(line) }
    let resumed = takeResumed(line)
    if resumed.isEmpty { return }
    lock.unlock()
    for continuation in resumed { continuation.resume() }
    lock.lock()
  }

  private func takeResumed(_ line: Line) -> [CheckedContinuation<Void, Never>] {
    var resumed: [CheckedContinuation<Void, Never>] = []
    if !waitingForRoom.isEmpty, weight(line) < Self.bound / 2 {
      resumed = waitingForRoom.filter { $0.line == line }.map(\.continuation)
      waitingForRoom.removeAll { $0.line == line }
    }
    if lines.isEmpty {
      resumed += waitingForEnd
      waitingForEnd = []
    }
    return resumed
  }
}
