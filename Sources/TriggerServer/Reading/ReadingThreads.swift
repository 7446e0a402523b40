import Glibc
import Synchronization
import TriggerCore
import TriggerHost

/// Threads of a server's own for what reads the log, or takes long: the cooperative pool and the event loops have others to
/// serve. Each has a reader of its own. So many work at a time, and so many wait; more are refused. Any thread.
final class ReadingThreads: Sendable {
  typealias Open = @Sendable () throws -> any LogSource
  /// Gets the log, or why there is none to read.
  private typealias Job = @Sendable (Result<LogReader, any Error>) -> Void

  private struct State {
    var jobs: ArraySlice<Job> = []
    var threads = 0
    var idle = 0
    var isClosed = false
  }

  /// How long a thread that has nothing to do keeps its reader.
  private static let patience = Duration.seconds(5)

  private let name: String
  private let most: Int
  private let waiting: Int
  private let open: Open
  private let condition = Condition()
  /// Guarded by `condition`.
  private nonisolated(unsafe) var state = State()

  /// - Parameters:
  ///   - count: threads.
  ///   - waiting: jobs that may wait for one.
  init(_ name: String, count: Int, waiting: Int, open: @escaping Open) {
    (self.name, most, self.waiting, self.open) = (name, count, waiting, open)
  }

  /// Runs `body` on one of the threads.
  ///
  /// - Throws: what `body` throws; `Problem`: `busy` when too many wait, `stopping`, `storage` for a log that cannot be read.
  func run<Answer: Sendable>(_ body: @escaping @Sendable (LogReader) throws -> Answer) async throws -> Answer
  {
    try await withCheckedThrowingContinuation { continuation in
      let refusal = submit { reader in
        continuation.resume(with: Result { try Self.answer(reader, body) })
      }
      if let refusal { continuation.resume(throwing: refusal) }
    }
  }

  private static func answer<Answer>(
    _ reader: Result<LogReader, any Error>, _ body: (LogReader) throws -> Answer
  ) throws -> Answer {
    do { return try body(try reader.get()) } catch let problem as Problem { throw problem } catch let error
      as LogError
    {
      throw Problem(.storage, "\(error)")
    } catch let error as StorageFailure { throw Problem(.storage, "\(error)") }
  }

  private func submit(_ job: @escaping Job) -> Problem? {
    condition.lock()
    defer { condition.unlock() }
    if state.isClosed { return Problem(.stopping).retryAfter(5) }
    if state.jobs.count >= waiting {
      return Problem(.busy, "\(waiting) such requests wait already").retryAfter(1)
    }
    state.jobs.append(job)
    if state.idle > 0 {
      condition.signal()
    } else if state.threads < most {
      state.threads += 1
      pthread_detach(Thread.spawn(name: name, stackBytes: Thread.scriptStack) { [self] in work() })
    }
    return nil
  }

  private func work() {
    var reader: LogReader?
    while let job = next() {
      do {
        let open = try reader ?? LogReader(open())
        reader = open
        job(.success(open))
      } catch { job(.failure(StorageFailure(error))) }
    }
    reader?.close()
  }

  /// Nil: the thread ends.
  private func next() -> Job? {
    let end = ContinuousClock.now + Self.patience
    condition.lock()
    defer { condition.unlock() }
    state.idle += 1
    defer { state.idle -= 1 }
    while state.jobs.isEmpty, !state.isClosed, .now < end { condition.wait(for: end - .now) }
    if let job = state.jobs.popFirst() { return job }
    state.threads -= 1
    return nil
  }

  /// Nothing more is taken; what waits is done.
  func close() {
    condition.lock()
    state.isClosed = true
    condition.broadcast()
    condition.unlock()
  }
}

/// The log cannot be opened.
private struct StorageFailure: Error, CustomStringConvertible {
  let description: String
  init(_ error: any Error) { description = "\(error)" }
}
