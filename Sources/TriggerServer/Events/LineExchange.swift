import HostConfig
import Hummingbird
import NIOCore
import NIOHTTP1
import TriggerCore
import TriggerRuntime

/// A body of many events, one a line, and their answers, one a line: while the body is read, answers go out, in no
/// particular order. No more of it is read while the queue has no room, or too many lines have no answer that was read.
///
/// A connection that ends early has sent what was read of it. When the host ends, lines that it has not decided get no
/// answer: their sender sends them again, with their keys.
struct LineExchange: Sendable {
  /// A line of which nothing has happened.
  struct Refused: Error {
    var id: Value
    var code: String
    var message: String

    init(id: Value, code: String, message: String) {
      (self.id, self.code, self.message) = (id, code, message)
    }

    init(id: Value, _ problem: Problem) {
      self.init(id: id, code: problem.code.rawValue, message: problem.detail ?? problem.code.title)
    }
  }

  /// Lines that one body gives before another has its turn.
  private static let turn = 16

  /// Makes an event of a line, and says by what its sender knows the line.
  typealias Read = @Sendable (_ line: String, _ number: Int) throws -> (Value, EventSender.Message)

  let sender: EventSender
  let limits: ServerLimits
  let read: Read

  func run(_ body: RequestBody, _ writer: inout any ResponseBodyWriter) async throws {
    let answers = LineAnswers(bound: limits.unanswered)
    // Whatever ends one side ends the other.
    async let reading: Void = send(body, answers)
    try await sender.waiting.during({ answers.end() }) {
      defer { answers.end() }
      while let batch = await answers.next() {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batch.count * 128)
        for answer in batch { answer.write(to: &bytes) }
        try await writer.write(ByteBuffer(bytes: bytes))
      }
    }
    try await reading
  }

  private func send(_ body: RequestBody, _ answers: LineAnswers) async throws {
    defer { answers.finish() }
    var splitter = LineSplitter(cap: limits.bodyBytes)
    do {
      for try await piece in body {
        for (place, line) in piece.withUnsafeReadableBytes({ splitter.split($0) }).enumerated() {
          // Others have their turn, however quickly the lines come.
          if place % Self.turn == 0 { await Task.yield() }
          try await send(line, answers)
        }
      }
      if let line = splitter.finish() { try await send(line, answers) }
    } catch is Over {
    } catch is HTTPParserError {
      // The body ended early: what came of it is answered, and the answer ends as it should.
    }
  }

  /// Nothing more is taken.
  private struct Over: Error {}

  private func send(_ line: LineReader.Line, _ answers: LineAnswers) async throws {
    guard await answers.room() else { throw Over() }
    do {
      if line.isCut {
        throw Refused(
          id: EventLine.id(line.member) ?? .int(Int64(line.number)), code: EventRefusal.badLine.rawValue,
          message: "line \(line.number) is longer than \(limits.bodyBytes) bytes")
      }
      let text: String
      do { text = try String(text: line.bytes) } catch {
        throw Refused(
          id: EventLine.id(in: line.bytes) ?? .int(Int64(line.number)), code: EventRefusal.badLine.rawValue,
          message: "line \(line.number): \(error)")
      }
      if text.utf8.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) { return }
      let (id, message) = try read(text, line.number)
      try await send(id, message, line.number, answers)
    } catch let refused as Refused {
      answers.add(.refused(refused.id, code: refused.code, refused.message))
    } catch let refused as EventLine.Refused {
      answers.add(.refused(refused.id, code: refused.code.rawValue, refused.message))
    }
  }

  private func send(
    _ id: Value, _ message: EventSender.Message, _ number: Int, _ answers: LineAnswers
  ) async throws {
    answers.expect()
    do {
      try await sender.offer(message) { answers.tell(.told(id, $0)) }
    } catch let problem as Problem {
      answers.unexpect()
      // Of what has not been taken nobody is told: its sender sends it again, with what comes after.
      if problem.code == .stopping || problem.code == .logFailed { throw Over() }
      throw Refused(
        id: id, code: problem.code.rawValue,
        message: "line \(number): \(problem.detail ?? problem.code.title)")
    }
  }
}
