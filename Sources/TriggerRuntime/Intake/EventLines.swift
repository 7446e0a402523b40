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
/// `{"id": 7, "code": "bad_line", "error": "..."}` (`EventRefusal`). `id` is whatever was sent, the line number by default.
///
/// No answer is ever left out. While too many wait for who reads them, no more lines are read. When the host ends, what
/// it has not taken gets no answer, whether it was read or not, and neither does what it has taken and not decided: send
/// that again, with its key. So any answer to a line is the last word about it.
package final class EventLines: Service {
  private let intake: EventIntake
  private let answers: Answers
  private let descriptor: Int32
  private let refusals = Atomic<Int>(0)

  /// - Parameters:
  ///   - descriptor: where lines are read; closed at the end, unless it is one of the process's standard ones.
  ///   - answers: takes an answer to each.
  package init(_ host: RunningHost, reading descriptor: Int32, _ answers: Answers) {
    intake = EventIntake(host)
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
        if intake.isOver { break }
      }
      end.finish()
    }.start()
    // Ends with the input, or when the task is cancelled: the thread goes with the process then.
    for await _ in ends {}
  }

  private func handle(_ line: LineReader.Line) {
    if line.isCut {
      let id = EventLine.id(line.member) ?? .int(Int64(line.number))
      return refuse(id, .badLine, "line \(line.number) is longer than \(Feed.rowLimit >> 20) MiB")
    }
    do {
      let text = try String(text: line.bytes)
      if text.allSatisfy(\.isWhitespace) { return }
      try send(EventLine(text, number: line.number, EventLine.Defaults(source: 1)), number: line.number)
    } catch let error as EventLine.Refused {
      refuse(error.id, error.code, error.message)
    } catch {
      let id = EventLine.id(in: line.bytes) ?? .int(Int64(line.number))
      refuse(id, .badLine, "line \(line.number): \(error)")
    }
  }

  /// When the host ends, nothing of the event is there, and nobody is answered: its sender cannot know which of the
  /// lines after it were read, and sends all of them again.
  private func send(_ line: EventLine, number: Int) throws {
    var event = line.event
    event.id = intake.queue.makeEventID()
    do {
      while !intake.isOver {
        let isTaken = try intake.offer(event, scope: event.name, key: line.key) { [self] in
          var fields = $0.fields
          fields["id"] = line.id
          answer(.map(fields))
        }
        if isTaken { return }
        waitForRoom()
      }
    } catch {
      throw EventLine.Refused(
        id: line.id, code: EventRefusal(error), message: "line \(number): \(error)")
    }
  }

  private func waitForRoom() {
    let room = DispatchSemaphore(value: 0)
    Task {
      await intake.queue.waitForRoom()
      room.signal()
    }
    room.wait()
  }

  private func refuse(_ id: Value, _ code: EventRefusal, _ message: String) {
    refusals.wrappingAdd(1, ordering: .relaxed)
    answer(["id": id, "code": .string(code.rawValue), "error": .string(message)])
  }

  private func answer(_ value: Value) { answers.add(value) }
}
