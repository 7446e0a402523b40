import DequeModule
import Foundation
import TriggerCore
import TriggerHost

/// Answers on their way to standard output. Who adds one never waits: outcomes are told where others wait for theirs.
/// Who reads what is to be answered does, while too many answers wait for their reader. Any thread.
package final class Answers: @unchecked Sendable {  // guarded by `condition`
  /// Answers that may wait before no more is read.
  private static let bound = 1000
  /// How long the end waits for a reader that takes nothing, and for one that takes little.
  private static let (patience, longest) = (Duration.seconds(1), Duration.seconds(2))

  private let send: @Sendable (String) -> Void
  private let condition = NSCondition()
  private let progress = WakeUp()
  private var waiting: Deque<Value> = []
  private var isWriting = false
  private var written = 0

  /// - Parameter send: sends a line; waits for who reads them.
  package init(_ send: @escaping @Sendable (_ line: String) -> Void) {
    self.send = send
    let thread = Thread { [self] in
      while true { write(next()) }
    }
    thread.name = "answers"
    thread.start()
  }

  func add(_ answer: Value) {
    condition.lock()
    waiting.append(answer)
    condition.broadcast()
    condition.unlock()
  }

  /// Returns when there is room for more.
  func waitForRoom() {
    condition.lock()
    while waiting.count >= Self.bound { condition.wait() }
    condition.unlock()
  }

  /// Returns when every answer is on its way, or, once it is urgent, when none has been taken for a second or some
  /// are left after two.
  package func finish(isUrgent: () -> Bool) {
    var (before, late, latest) = (-1, ContinuousClock.now, ContinuousClock.now + Self.longest)
    while true {
      condition.lock()
      let (isDone, written) = (waiting.isEmpty && !isWriting, written)
      condition.unlock()
      if isDone { return }
      let now = ContinuousClock.now
      if !isUrgent() { latest = now + Self.longest }
      if written != before || !isUrgent() { (before, late) = (written, now + Self.patience) }
      if now >= min(late, latest) { return }
      progress.sleep(nanoseconds: 100_000_000)
    }
  }

  private func next() -> Value {
    condition.lock()
    defer { condition.unlock() }
    isWriting = false
    progress.wake()
    while waiting.isEmpty { condition.wait() }
    isWriting = true
    condition.broadcast()
    return waiting.removeFirst()
  }

  private func write(_ answer: Value) {
    // All that comes here has a JSON form, or is not sent: a reader must be able to read each.
    if let line = try? JSON.text(answer).withJSONEscapes { send(line) }
    condition.lock()
    written += 1
    condition.unlock()
  }
}
