import Foundation
import HostConfig
import ServiceLifecycle
import Synchronization
import TriggerCore
import TriggerHost

/// Events as lines of text, one JSON object a line, and their answers: what standard input and output have.
///
///     {"event": "bars/EURUSD", "payload": {...}, "id": 7, "kind": "data", "priority": "high", "source": "a",
///      "key": "bar-2026-11-24T10", "wait": "committed"}
///
/// Only `event` must be there. Each line is answered when its operations are decided
/// and durable, in no particular order:
///
///     {"id": 7, "event_id": "3-7", "results": [{"trigger": "rsi", "seq": 12, "outcome": "committed"}]}
///
/// An event whose place another took before it had a seq (`debounce`, `throttle`, `coalesce`, a trigger that
/// restarts) is answered `superseded`, with the seq that ran instead and how that ended:
///
///     {"trigger": "rsi", "seq": 13, "outcome": "superseded", "instead": "committed"}
///
/// What failed has a `code` for programs (`FailureCode`) and an `error` for people.
///
/// An event that no trigger takes is answered with `"results": []` and a `hint` that says so.
///
/// With `"wait": "accepted"` the answer is `{"id": 7, "event_id": "3-7", "accepted": true}`, as soon as the
/// event is sure to be run, whatever happens. A `key` that has come within a day is answered like the first
/// time, and nothing is run again. What is wrong is answered at once with
/// `{"id": 7, "code": "bad_line", "error": "..."}` (`Refusal`). `id` is whatever was sent, the line number by default.
///
/// No answer is ever left out. While too many wait for who reads them, no more lines are read. When the host ends, what
/// it has not taken gets no answer, whether it was read or not, and neither does what it has taken and not decided: send
/// that again, with its key. So any answer to a line is the last word about it.
package final class EventLines: Service {
  private let queue: TriggerQueue
  private let scripts: HostScripts
  private let answers: Answers
  private let descriptor: Int32
  private let refusals = Atomic<Int>(0)

  /// - Parameters:
  ///   - descriptor: where lines are read; closed at the end, unless it is one of the process's standard ones.
  ///   - answers: takes an answer to each.
  package init(_ host: RunningHost, reading descriptor: Int32, _ answers: Answers) {
    (queue, scripts) = (host.queue, host.scripts)
    self.answers = answers
    self.descriptor = descriptor
  }

  /// Lines that were answered with an error.
  package var refused: Int { refusals.load(ordering: .relaxed) }

  /// Reads until the lines end, or the host does. Once.
  package func run() async {
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    // Reads block, and so does a full queue: not on the cooperative pool.
    Thread { [self] in
      let lines = LineReader(descriptor: descriptor, cap: Feed.rowLimit, lookingFor: "id")
      while let line = lines.next() {
        answers.waitForRoom()
        handle(line)
        // What comes after is not even read: there may be no end of it.
        if queue.isStopped { break }
      }
      end.finish()
    }.start()
    // Ends with the input, or when the task is cancelled: the thread goes with the process then.
    for await _ in ends {}
  }

  private func handle(_ line: LineReader.Line) {
    if line.isCut {
      let id = Self.id(line.member) ?? .int(Int64(line.number))
      return refuse(id, .badLine, "line \(line.number) is longer than \(Feed.rowLimit >> 20) MiB")
    }
    do {
      let text = try String(text: line.bytes)
      if text.allSatisfy(\.isWhitespace) { return }
      try admit(line: text, number: line.number)
    } catch let error as LineError {
      refuse(error.id, error.code, error.message)
    } catch {
      let id = Self.id(in: line.bytes) ?? .int(Int64(line.number))
      refuse(id, .badLine, "line \(line.number): \(error)")
    }
  }

  /// The `id` of a line that is no JSON: its sender waits for an answer all the same.
  private static func id(in line: some Sequence<UInt8>) -> Value? {
    var search = JSONMember("id")
    search.read(line)
    return id(search.value)
  }

  private static func id(_ text: [UInt8]?) -> Value? {
    text.flatMap { try? String(text: $0) }.flatMap { try? JSON.parse($0) }
  }

  /// Why nothing of a line has happened: one word, for programs. The word never changes.
  package enum Refusal: String, CaseIterable {
    /// The line is no event: sent again, it is refused again.
    case badLine = "bad_line"
    /// The key came with another event.
    case keyReused = "key_reused"
    /// As many keys are known as may be (`limits.keys`).
    case keysFull = "keys_full"
    /// What the first event with the key has come to cannot be read from the disk.
    case storage

    /// - Parameter error: of an event that was not taken.
    fileprivate init(_ error: any Error) {
      switch error {
      case is KeyReused: self = .keyReused
      case is KeysFull: self = .keysFull
      default: self = .storage
      }
    }
  }

  private struct LineError: Error {
    var id: Value
    var code = Refusal.badLine
    var message: String
  }

  private func admit(line: String, number: Int) throws {
    var id = Value.int(Int64(number))
    func refuse(_ message: String) -> LineError { LineError(id: id, message: "line \(number): \(message)") }
    let fields: Value.Map
    do {
      guard case .map(let parsed) = try JSON.parse(line) else { throw refuse("expected a JSON object") }
      fields = parsed
    } catch let error as ValueError {
      id = Self.id(in: line.utf8) ?? id
      // The place is line:column, and the line is this one.
      let text = "\(error)"
      throw refuse(text.hasPrefix("1:") ? "column \(text.dropFirst(2))" : text)
    }
    if let given = fields["id"] { id = given }
    let known = ["event", "payload", "id", "kind", "priority", "source", "key", "wait"]
    for field in fields.keys.sorted() where !known.contains(field) {
      let kind = ["message", "data"].contains(field) ? "write \"event\": NAME, \"kind\": \"\(field)\"" : nil
      let hint =
        kind ?? Suggestion.hint(for: field, among: known) ?? "there are \(known.joined(separator: ", "))"
      throw refuse("unknown field '\(field)'; \(hint)")
    }
    guard case .string(let name)? = fields["event"], !name.isEmpty else {
      throw refuse("'event' must name the event")
    }
    var event = Event(name, fields["payload"] ?? .map([:]), source: 1)
    if let given = fields["priority"] {
      guard case .string(let text) = given, let priority = Priority(text) else {
        throw refuse("'priority' is critical, high, normal or low")
      }
      event.priority = priority
    }
    if let given = fields["kind"] {
      guard case .string(let text) = given, let kind = EventKind(rawValue: text),
        [.event, .data, .message].contains(kind)
      else { throw refuse("'kind' is event, data or message") }
      event.kind = kind
    }
    if let given = fields["source"] {
      guard case .string(let source) = given else { throw refuse("'source' must be a string") }
      event.source = StableHash.of(source)
    }
    if let given = fields["wait"] {
      guard given == "accepted" || given == "committed" else {
        throw refuse("'wait' is accepted or committed")
      }
      event.isKept = given == "accepted"
    }
    var key: String?
    if let given = fields["key"] {
      guard case .string(let text) = given, (1...256).contains(text.utf8.count) else {
        throw refuse("'key' must be a string of 1 to 256 bytes")
      }
      key = text
    }
    do { try send(event, key: key, id: id) } catch {
      throw LineError(id: id, code: Refusal(error), message: "line \(number): \(error)")
    }
  }

  /// When the host ends, nothing of the event is there, and nobody is answered: its sender cannot know which of the
  /// lines after it were read, and sends all of them again.
  private func send(_ event: Event, key: String?, id: Value) throws {
    var event = event
    let eventID = queue.makeEventID()
    event.id = eventID
    // One answer: when it is accepted, or when it is decided.
    let waitsForDecision = !event.isKept
    let whenKept: @Sendable (EventID) -> Void = { [self] event in
      if !waitsForDecision { answer(["id": id, "event_id": .string("\(event)"), "accepted": true]) }
    }
    let (kind, name) = (event.kind, event.name)
    let whenDecided: @Sendable (EventID, [OperationResult]) -> Void = { [self] eventID, results in
      if waitsForDecision {
        answer(id, eventID, results, hint: results.isEmpty ? scripts.hint(for: kind, name) : nil)
      }
    }
    let receipt = Receipt { whenDecided(eventID, $0) }
    while queue.failure == nil, !queue.isStopped {
      if let key {
        let first = try queue.offer(
          event, scope: event.name, key: key, keeping: whenKept, telling: whenDecided)
        if first != nil { return }
      } else {
        let count = queue.offer(telling: { receipt.add($0) }, event, keeping: { whenKept(eventID) })
        if let count {
          receipt.expect(count)
          return
        }
      }
      waitForRoom()
    }
  }

  private func waitForRoom() {
    let room = DispatchSemaphore(value: 0)
    Task {
      await queue.waitForRoom()
      room.signal()
    }
    room.wait()
  }

  private func answer(_ id: Value, _ event: EventID, _ results: [OperationResult], hint: String?) {
    var answer: Value.Map = [
      "id": id, "event_id": .string("\(event)"),
      "results": .array(
        results.map { result in
          var fields: Value.Map = [
            "trigger": .string(result.trigger), "seq": .int(result.seq),
            "outcome": .string("\(result.outcome)"),
          ]
          if let instead = result.instead { fields["instead"] = .string("\(instead)") }
          if let failure = result.failure {
            fields["code"] = .string(failure.code.rawValue)
            fields["error"] = .string(failure.message)
          }
          if let time = result.retryAt { fields["retry_at"] = .string("\(Timestamp(nanoseconds: time))") }
          return .map(fields)
        }),
    ]
    if let hint { answer["hint"] = .string(hint) }
    self.answer(.map(answer))
  }

  private func refuse(_ id: Value, _ code: Refusal, _ message: String) {
    refusals.wrappingAdd(1, ordering: .relaxed)
    answer(["id": id, "code": .string(code.rawValue), "error": .string(message)])
  }

  private func answer(_ value: Value) { answers.add(value) }
}
