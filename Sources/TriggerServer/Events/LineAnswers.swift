import Synchronization
import TriggerCore
import TriggerRuntime

/// The answer to a line.
enum LineAnswer: Sendable {
  case told(Value, EventAnswer)
  case refused(Value, code: String, String)

  /// Adds the line.
  func write(to bytes: inout [UInt8]) {
    switch self {
    case .told(let id, let answer): answer.write(to: &bytes, id: id)
    case .refused(let id, let code, let message):
      bytes += (["id": id, "code": .string(code), "error": .string(message)] as Value).jsonBytes
    }
    bytes.append(UInt8(ascii: "\n"))
  }
}

/// Answers on their way from where outcomes are told to one who writes them, and room for more lines. One writes, one
/// reads lines, any thread tells.
final class LineAnswers: Sendable {
  private struct State {
    var answers: [LineAnswer] = []
    /// Lines that are under way.
    var expected = 0
    /// No more lines come.
    var isRead = false
    /// Nobody writes any more.
    var isOver = false
    var writer: CheckedContinuation<Void, Never>?
    var reader: CheckedContinuation<Void, Never>?
    /// Answers that are being written.
    var taken = 0

    var load: Int { answers.count + expected + taken }

    mutating func wakeWriter() -> CheckedContinuation<Void, Never>? {
      defer { writer = nil }
      return writer
    }

    mutating func wakeReader() -> CheckedContinuation<Void, Never>? {
      defer { reader = nil }
      return reader
    }
  }

  private let bound: Int
  private let state = Mutex(State())

  init(bound: Int) { self.bound = bound }

  /// A line is under way: its answer is told.
  func expect() { state.withLock { $0.expected += 1 } }

  /// It is not: there is another answer.
  func unexpect() { state.withLock { $0.expected -= 1 } }

  /// The answer to a line that was expected. Does next to nothing.
  func tell(_ answer: LineAnswer) {
    let writer = state.withLock { state in
      state.expected -= 1
      if !state.isOver { state.answers.append(answer) }
      return state.wakeWriter()
    }
    writer?.resume()
  }

  /// The answer to a line that is not under way.
  func add(_ answer: LineAnswer) {
    let writer = state.withLock { state in
      if !state.isOver { state.answers.append(answer) }
      return state.wakeWriter()
    }
    writer?.resume()
  }

  /// No more lines come.
  func finish() {
    let writer = state.withLock { state in
      state.isRead = true
      return state.wakeWriter()
    }
    writer?.resume()
  }

  /// Nobody waits for anything any more.
  func end() {
    let (writer, reader) = state.withLock { state in
      state.isOver = true
      return (state.wakeWriter(), state.wakeReader())
    }
    writer?.resume()
    reader?.resume()
  }

  /// Suspends until another line may be sent; false when none may.
  func room() async -> Bool {
    while true {
      let isDecided: Bool? = state.withLock { state in
        state.isOver ? false : state.load < bound ? true : nil
      }
      if let isDecided { return isDecided }
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          if state.isOver || state.load < bound { return true }
          state.reader = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    }
  }

  /// Suspends until there are answers; nil when there will be none. What it has given before is written.
  func next() async -> [LineAnswer]? {
    while true {
      let (answers, reader): ([LineAnswer]?, CheckedContinuation<Void, Never>?) = state.withLock { state in
        state.taken = state.answers.count
        defer { state.answers = [] }
        let answers = state.answers
        // Half of the room at once: a line at a time would cost a change of tasks each.
        return (answers, state.load <= bound / 2 || answers.isEmpty ? state.wakeReader() : nil)
      }
      reader?.resume()
      if answers?.isEmpty == false { return answers }
      let isOver = await wait()
      if isOver { return nil }
    }
  }

  /// - Returns: true when nothing comes any more.
  private func wait() async -> Bool {
    let isOver = state.withLock { state in
      state.answers.isEmpty && (state.isOver || state.isRead && state.expected == 0)
    }
    if isOver { return true }
    await withCheckedContinuation { continuation in
      let mayGo = state.withLock { state in
        if !state.answers.isEmpty || state.isOver || state.isRead && state.expected == 0 { return true }
        state.writer = continuation
        return false
      }
      if mayGo { continuation.resume() }
    }
    return false
  }
}
