import Dispatch
import Synchronization
import TriggerLua

/// The time of one test: ends the Lua code that takes longer, says how long a call into a host may wait, and tells
/// of a thread that goes on all the same. Any thread.
final class TestLimit: Sendable {
  private struct Running {
    var deadline: ContinuousClock.Instant
    var isStuck = false
  }

  private let running = Mutex<Running?>(nil)
  private let limit: Duration
  // Dispatch guards its own sources.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// - Parameters:
  ///   - grace: so long after its end a piece counts as stuck.
  ///   - whenStuck: called once for a piece that is stuck.
  init(
    _ control: LuaWorkerControl, _ limit: Duration, grace: Duration, whenStuck: @escaping @Sendable () -> Void
  ) {
    self.limit = limit
    timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "script-tests"))
    timer.schedule(deadline: .now() + .milliseconds(20), repeating: .milliseconds(20))
    timer.setEventHandler { [weak self] in
      guard let self else { return }
      let (isOver, isStuck) = look(grace)
      if isStuck { whenStuck() }
      guard isOver else { return }
      let attempt = control.running
      if attempt != 0 { control.kill(attempt, reason: .timeout) }
    }
    timer.resume()
  }

  private func look(_ grace: Duration) -> (isOver: Bool, isStuck: Bool) {
    let now = ContinuousClock.now
    return running.withLock { running in
      guard let deadline = running?.deadline, now > deadline else { return (false, false) }
      guard now > deadline + grace, running?.isStuck == false else { return (true, false) }
      running?.isStuck = true
      return (true, true)
    }
  }

  /// Limits `body`: one test, or the text of a file.
  func during<Result>(_ body: () -> Result) -> Result {
    running.withLock { $0 = Running(deadline: .now + limit) }
    defer { running.withLock { $0 = nil } }
    return body()
  }

  /// Seconds of the running piece that are left, none below zero.
  var left: Double {
    running.withLock { $0.map { max(0, (ContinuousClock.now.duration(to: $0.deadline)) / .seconds(1)) } ?? 0 }
  }

  func stop() { timer.cancel() }
}

/// A call took all the time that its test had left. Which call, and what it waited for.
struct OutOfTime: Error, CustomStringConvertible { let description: String }

/// How far the tests of a file are, for the case that their thread never comes back. Any thread.
final class TestProgress: Sendable {
  private struct State {
    var file: ScriptTestFile
    var running: ScriptTestResult?
    var whenDone: (@Sendable (ScriptTestFile) -> Void)?
  }

  private let state: Mutex<State>

  /// - Parameter whenDone: called once.
  init(_ path: String, whenDone: @escaping @Sendable (ScriptTestFile) -> Void) {
    state = Mutex(State(file: ScriptTestFile(path: path), whenDone: whenDone))
  }

  func begin(_ test: ScriptTestResult, after file: ScriptTestFile) {
    state.withLock { ($0.running, $0.file) = (test, file) }
  }

  func end(_ file: ScriptTestFile) { take()?.whenDone?(file) }

  /// The last resort: what is known so far is all that there will be.
  func giveUp() {
    let stuck = "it did not end when it was asked to: stuck in C, and the rest of the file with it. "
    let report = stuck + "This is a defect of trigger-host: please report it, with the test"
    guard let state = take() else { return }
    var file = state.file
    if var test = state.running {
      test.status = .failed
      test.error = "\(test.place): timeout: \(report)"
      file.results.append(test)
    }
    file.error = "\(file.path): timeout: \(report)"
    state.whenDone?(file)
  }

  private func take() -> State? {
    state.withLock { state in
      guard state.whenDone != nil else { return nil }
      defer { state.whenDone = nil }
      return state
    }
  }
}
