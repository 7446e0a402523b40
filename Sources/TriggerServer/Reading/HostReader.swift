import TriggerCore
import TriggerHost
import TriggerRuntime

/// What routes that read a host have in common. Any thread.
final class HostReader: Sendable {
  let host: RunningHost
  /// Answers that have no end: they end first.
  let streams = Waiting()
  /// What is short, and bounded by the bytes that it reads. Nil: nobody can read the log.
  private let short: ReadingThreads?
  /// What runs history again.
  private let long: ReadingThreads?
  private let past: PastStates

  /// How long a request waits for a seq (`min_seq`).
  static let longestWait = Duration.seconds(30)

  /// A stream without anything to say says this often that it is still there.
  let heartbeat: Duration

  init(_ host: RunningHost, heartbeat: Duration) {
    self.host = host
    self.heartbeat = heartbeat
    short = host.openLog.map { ReadingThreads("read", count: 2, waiting: 20_000, open: $0) }
    long = host.openLog.map { ReadingThreads("history", count: 2, waiting: 16, open: $0) }
    past = PastStates(host.config)
  }

  /// The newest seq that anybody outside may see.
  var newest: Int64 { host.coordinator.seqs.newest }

  /// Reads a bounded part of the log.
  ///
  /// - Throws: `Problem`: `no_log` and those of `ReadingThreads.run`.
  func read<Answer: Sendable>(_ body: @escaping @Sendable (LogReader) throws -> Answer) async throws -> Answer
  {
    try await Self.there(short).run(body)
  }

  /// Runs what may take as long as the log is.
  func replay<Answer: Sendable>(
    _ body: @escaping @Sendable (LogReader) throws -> Answer
  ) async throws -> Answer {
    try await Self.there(long).run(body)
  }

  private static func there(_ threads: ReadingThreads?) throws -> ReadingThreads {
    guard let threads else { throw Problem(.noLog, "trigger-host run --data DIR keeps one") }
    return threads
  }

  /// Reads the stores as of a seq, as of now without one.
  ///
  /// - Throws: `Problem`: `seq_ahead`, `seq_gone`, `busy`.
  func stores<Answer: Sendable>(
    at seq: Int64?, _ body: @escaping @Sendable (StoreCut) throws -> Answer
  ) async throws -> Answer {
    guard let seq else { return try Self.reading(host.coordinator, body) }
    let newest = newest
    guard seq <= newest else {
      throw Problem(.seqAhead, "the newest seq is \(newest); min_seq waits for a later one")
    }
    // Often it is what is there now.
    let answer = try Self.reading(host.coordinator) { cut in cut.seq == seq ? try body(cut) : nil }
    if let answer { return answer }
    if let coordinator = past.known(seq) { return try Self.reading(coordinator, body) }
    return try await replay { [past] reader in try Self.reading(try past.state(at: seq, reader), body) }
  }

  private static func reading<Answer>(
    _ coordinator: CommitCoordinator, _ body: (StoreCut) throws -> Answer
  ) throws -> Answer {
    do { return try coordinator.reading(body) } catch let error as StoreError {
      throw Problem(.busy, "\(error)").retryAfter(1)
    }
  }

  /// Waits until a seq is visible.
  ///
  /// - Throws: `Problem`, `not_yet`.
  func wait(for seq: Int64?) async throws {
    guard let seq else { return }
    let isThere = await streams.during(host.coordinator.seqs, seq, atMost: Self.longestWait)
    if !isThere { throw Problem(.notYet, "the newest seq is \(newest)").retryAfter(1) }
  }

  /// What waits for the host ends.
  func endStreams() { streams.endAll() }

  /// Nothing is read any more.
  func close() {
    short?.close()
    long?.close()
    past.clear()
  }
}

extension Waiting {
  /// Waits for a seq; when the server ends, it waits no longer.
  ///
  /// - Returns: whether it has come.
  func during(_ seqs: SeqWatch, _ seq: Int64, atMost bound: Duration) async -> Bool {
    if seqs.newest >= seq { return true }
    let task = Task { await seqs.wait(for: seq, atMost: bound) }
    return await during({ task.cancel() }) {
      await withTaskCancellationHandler {
        await task.value
      } onCancel: {
        task.cancel()
      }
    }
  }
}
