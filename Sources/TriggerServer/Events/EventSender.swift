import TriggerCore
import TriggerHost
import TriggerRuntime

/// Sends events for callers, and waits for their answers without holding a thread.
struct EventSender: Sendable {
  let intake: EventIntake
  let waiting: Waiting
  /// `queue.when_full` is `refuse`.
  let refusesWhenFull: Bool

  /// One event, as its sender wants it.
  struct Message: Sendable {
    /// `isKept` says that its sender waits for that alone.
    var event: Event
    /// Whose key it is, and the key.
    var key: (scope: String, key: String)?
  }

  /// Sends one event and waits for its answer.
  ///
  /// - Throws: `Problem`.
  func send(_ message: Message) async throws -> EventAnswer {
    let reply = Reply<EventAnswer>()
    return try await waiting.during({ reply.tell(nil) }) {
      try await offer(message) { reply.tell($0) }
      guard let answer = await reply.value() else { throw Self.undecided }
      return answer
    }
  }

  /// Hands one event over, as soon as there is room.
  ///
  /// - Parameter tell: gets its answer, where outcomes are told: it must do next to nothing.
  /// - Throws: `Problem`; nothing of the event happens then.
  func offer(_ message: Message, tell: @escaping @Sendable (EventAnswer) -> Void) async throws {
    var event = message.event
    event.id = intake.queue.makeEventID()
    while true {
      try checkTakes()
      do {
        if let key = message.key {
          // What came of a first one may have to be read from the disk.
          let isTaken = try await withTaskExecutorPreference(globalConcurrentExecutor) { [event] in
            try intake.offer(event, scope: key.scope, key: key.key, tell: tell)
          }
          if isTaken { return }
        } else if try intake.offer(event, scope: "", key: nil, tell: tell) {
          return
        }
      } catch { throw Self.problem(with: error) }
      try checkTakes()
      if refusesWhenFull {
        throw Problem(.queueFull, "the queue is full: try again later, or raise queue.capacity").retryAfter(1)
      }
      await intake.queue.waitForRoom()
    }
  }

  private func checkTakes() throws {
    guard intake.isOver else { return }
    if let failure = intake.queue.failure {
      throw Problem(.logFailed, "the log cannot be written: \(failure); nothing of the event happens")
    }
    throw Problem(.stopping, "the event was not taken, and nothing of it happens").retryAfter(5)
  }

  private static let undecided = Problem(
    .stopping,
    "the host ended before it was told what became of the event: send it again, with its Idempotency-Key"
  ).retryAfter(5)

  static func problem(with error: any Error) -> Problem {
    switch error {
    case is KeyReused: Problem(.keyReused, "\(error)")
    case let full as KeysFull:
      Problem(.keysFull, "\(full)", fields: ["until": .string("\(full.until)")]).retryAfter(3600)
    case let problem as Problem: problem
    default: Problem(.storage, "\(error); nothing was run").retryAfter(5)
    }
  }
}
