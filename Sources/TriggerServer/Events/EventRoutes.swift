import HTTPTypes
import Hummingbird
import NIOCore
import TriggerCore
import TriggerHost
import TriggerRuntime

/// `POST /v1/events/{name}` and `POST /v1/events`.
struct EventRoutes: Sendable {
  let sender: EventSender
  let limits: ServerLimits
  let access: AccessControl

  /// What of a body's type decides how it is read.
  private enum Form {
    case one, lines, cloudEvent, cloudEvents
  }

  fileprivate static let jsonTypes = ["application/json", "text/json"]
  fileprivate static let lineTypes = ["application/jsonl", "application/x-ndjson", "application/jsonlines"]
  private static let accepted = "application/json, application/jsonl, application/x-ndjson"
  private static let acceptedOfMany =
    "application/jsonl, application/x-ndjson, application/cloudevents+json, application/cloudevents-batch+json"

  // MARK: One name

  /// The body is the event, or each of its lines is.
  func sendNamed(_ request: Request, _ context: ServerContext) async throws -> Response {
    let name = try request.rest(after: 2)
    let caller = context.caller
    try access.check(caller, may: .send(event: name))
    let wishes = try Wishes(request, context.caller, "kind")
    switch request.mediaType {
    case nil: break
    case let type? where Self.jsonTypes.contains(type): break
    case let type? where Self.lineTypes.contains(type):
      if wishes.key != nil {
        throw Problem(
          .badRequest, "an Idempotency-Key goes with one event; POST /v1/events takes lines with keys")
      }
      return exchange(request) { [access] text, number in
        do throws(Refusal) { try access.spend(1, of: caller) } catch {
          throw LineExchange.Refused(id: .int(Int64(number)), Problem(error))
        }
        let value = try Self.value(text, line: number)
        return (.int(Int64(number)), EventSender.Message(event: wishes.event(name, value)))
      }
    case let type?: throw Problem(type: type, accepted: Self.accepted)
    }
    let bytes = try await request.collect(upTo: limits.bodyBytes)
    // Nothing is an event without fields.
    let payload = bytes.isEmpty ? .map([:]) : try Self.json(bytes)
    var message = EventSender.Message(event: wishes.event(name, payload))
    message.key = wishes.key.map { (context.caller.scope(of: name), $0) }
    return try await answer(message)
  }

  /// 200 with what came of it, or 202 when that was not waited for.
  private func answer(_ message: EventSender.Message) async throws -> Response {
    let answer = try await sender.send(message)
    var bytes: [UInt8] = []
    answer.write(to: &bytes)
    let status: HTTPResponse.Status = if case .accepted = answer { .accepted } else { .ok }
    return Response(status: status, bytes: bytes, type: "application/json")
  }

  // MARK: Any name

  /// Lines that each name their event, or CloudEvents.
  func sendAny(_ request: Request, _ context: ServerContext) async throws -> Response {
    let wishes = try Wishes(request, context.caller)
    if wishes.key != nil {
      throw Problem(
        .badRequest, "an Idempotency-Key goes with POST /v1/events/{name}; here each event has its own")
    }
    let type = request.mediaType
    if CloudEvent.isBinary(request.head) {
      let bytes = try await request.collect(upTo: limits.bodyBytes)
      return try await answer(cloud(CloudEvent(request.head, body: bytes), wishes, context.caller))
    }
    switch type {
    case "application/cloudevents+json"?:
      let value = try Self.json(try await request.collect(upTo: limits.bodyBytes))
      return try await answer(cloud(CloudEvent(value), wishes, context.caller))
    case "application/cloudevents-batch+json"?:
      return try await sendBatch(request, wishes, context.caller)
    case let type? where Self.lineTypes.contains(type):
      let caller = context.caller
      return exchange(request) { [access] text, number in
        let line = try EventLine(text, number: number, wishes.defaults, mix: { caller.mix($0) })
        let event = line.event
        do throws(Refusal) {
          try access.spend(1, of: caller)
          try access.check(caller, may: .send(event: event.name))
        } catch { throw LineExchange.Refused(id: line.id, Problem(error)) }
        var message = EventSender.Message(event: event)
        message.key = line.key.map { (caller.scope(of: event.name), $0) }
        return (line.id, message)
      }
    default: throw Problem(type: type ?? "", accepted: Self.acceptedOfMany)
    }
  }

  private func cloud(
    _ cloud: CloudEvent, _ wishes: Wishes, _ caller: Caller
  ) throws -> EventSender.Message {
    try access.check(caller, may: .send(event: cloud.type))
    var event = wishes.event(cloud.type, cloud.payload)
    // Its source is who keeps an order.
    event.source = caller.mix(StableHash.of(cloud.source))
    return EventSender.Message(
      event: event, key: (scope: "\(caller.identity)\u{0}cloudevents\u{0}\(cloud.source)", key: cloud.id))
  }

  /// All are looked at before the first is sent.
  private func sendBatch(_ request: Request, _ wishes: Wishes, _ caller: Caller) async throws -> Response {
    guard case .array(let items) = try Self.json(try await request.collect(upTo: limits.bodyBytes)) else {
      throw Problem(.badEvent, "a batch is a JSON array of CloudEvents")
    }
    var messages: [EventSender.Message] = []
    for (index, item) in items.enumerated() {
      do { messages.append(try cloud(CloudEvent(item), wishes, caller)) } catch var problem as Problem {
        problem.detail = "event \(index + 1) of \(items.count): \(problem.detail ?? problem.code.title)"
        throw problem
      }
    }
    let replies = messages.map { _ in Reply<Result<EventAnswer, Problem>>() }
    let answers: [Value] = try await sender.waiting.during({ for reply in replies { reply.tell(nil) } }) {
      for (message, reply) in zip(messages, replies) {
        do { try await sender.offer(message) { reply.tell(.success($0)) } } catch let problem as Problem {
          reply.tell(.failure(problem))
        }
      }
      var answers: [Value] = []
      for reply in replies {
        switch await reply.value() {
        case .success(let answer)?: answers.append(.map(answer.fields))
        case .failure(let problem)?:
          answers.append(["code": .string(problem.code.rawValue), "error": .string(problem.detail ?? "")])
        case nil: throw Problem(.stopping, "send the batch again: what has come before is not run twice")
        }
      }
      return answers
    }
    return Response(status: wishes.isAccepted ? .accepted : .ok, json: .array(answers))
  }

  // MARK: Bodies

  private func exchange(
    _ request: Request, _ read: @escaping LineExchange.Read
  ) -> Response {
    let exchange = LineExchange(sender: sender, limits: limits, read: read)
    return Response(
      status: .ok, headers: [.contentType: "application/jsonl"],
      body: ResponseBody { writer in
        try await exchange.run(request.body, &writer)
        try await writer.finish(nil)
      })
  }

  private static func value(_ text: String, line: Int) throws -> Value {
    do { return try JSON.parse(text) } catch {
      throw LineExchange.Refused(
        id: .int(Int64(line)), code: EventRefusal.badLine.rawValue,
        message: "line \(line): \(EventLine.text(of: error))")
    }
  }

  /// - Throws: `Problem`, `bad_json`.
  static func json(_ bytes: [UInt8]) throws -> Value {
    do { return try JSON.parse(bytes) } catch {
      throw Problem(.badJSON, "\(error)", fields: ["reason": .string(error.code.rawValue)])
    }
  }
}

extension Problem {
  /// `unsupported_media_type`
  fileprivate init(type: String, accepted: String) {
    let given = type.isEmpty ? "say what the body is" : "'\(type.prefix(80))' is not taken here"
    self.init(
      .unsupportedMediaType, "\(given): Content-Type is one of \(accepted)",
      headers: [HTTPField.Name("Accept-Post")!: accepted, .connection: "close"])
  }
}

extension Request {
  /// What the body is said to be, without its parameters, in small letters; nil when nothing is said.
  fileprivate var mediaType: String? {
    headers[.contentType].map { text in
      // As nearly everybody writes it.
      if EventRoutes.jsonTypes[0] == text || EventRoutes.lineTypes[0] == text { return text }
      return String(text.prefix { $0 != ";" }).trimmingSpaces.lowercased()
    }
  }

  /// The whole body, which is said to be JSON, or nothing.
  ///
  /// - Throws: `Problem`: `unsupported_media_type`, `too_large`.
  func collectJSON(upTo limit: Int) async throws -> [UInt8] {
    if let mediaType, !EventRoutes.jsonTypes.contains(mediaType) {
      throw Problem(type: mediaType, accepted: EventRoutes.jsonTypes[0])
    }
    return try await collect(upTo: limit)
  }

  /// The whole body.
  ///
  /// - Throws: `Problem`, `too_large`.
  func collect(upTo limit: Int) async throws -> [UInt8] {
    let problem = Problem(
      .tooLarge, "a body has at most \(limit) bytes; many events go as application/jsonl",
      headers: [.connection: "close"])
    if let text = headers[.contentLength], let length = Int(text), length > limit { throw problem }
    do {
      let buffer = try await body.collect(upTo: limit)
      return Array(buffer.readableBytesView)
    } catch is NIOTooManyBytesError { throw problem }
  }
}

extension String {
  var trimmingSpaces: String {
    func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }
    guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) })
    else {
      return ""
    }
    return String(self[first...last])
  }
}

/// What a sender wants of all events of a request.
struct Wishes: Sendable {
  let isAccepted: Bool
  let priority: Priority?
  let kind: EventKind
  let source: UInt64
  /// The request's key.
  let key: String?

  /// - Throws: `Problem`.
  init(_ request: Request, _ caller: Caller, _ more: String...) throws {
    let query = try Query(request.uri.query, known: ["wait", "priority", "source"] + more)
    isAccepted = try query.word("wait", ["accepted": true, "committed": false]) ?? false
    priority = try query.word(
      "priority", ["critical": Priority.critical, "high": .high, "normal": .normal, "low": .low])
    kind = try query.word("kind", ["event": EventKind.event, "data": .data, "message": .message]) ?? .event
    source = caller.mix(query["source"].map { StableHash.of($0) } ?? 0)
    key = try request.headers[.idempotencyKey].map(Self.key)
  }

  var defaults: EventLine.Defaults {
    EventLine.Defaults(source: source, priority: priority, isAccepted: isAccepted)
  }

  func event(_ name: String, _ payload: Value) -> Event {
    var event = Event(name, payload, kind: kind, priority: priority, source: source)
    event.isKept = isAccepted
    return event
  }

  /// A string in quotes, as the draft has it (draft-ietf-httpapi-idempotency-key-header-07, section 2.1), or, as most
  /// senders write it, without.
  private static func key(_ text: String) throws -> String {
    var key = text.trimmingSpaces
    if key.count >= 2, key.hasPrefix("\""), key.hasSuffix("\"") { key = String(key.dropFirst().dropLast()) }
    // What stands there for bytes that are no UTF-8: two keys must not become one.
    if key.contains("\u{FFFD}") { throw Problem(.badRequest, "an Idempotency-Key is text in UTF-8") }
    guard (1...EventLine.longestKey).contains(key.utf8.count) else {
      throw Problem(.badRequest, "an Idempotency-Key has 1 to \(EventLine.longestKey) bytes")
    }
    return key
  }
}

extension HTTPField.Name {
  static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}

extension Caller {
  /// The caller's keys for events of a name. Lines of standard input have the name alone.
  func scope(of event: String) -> String { "\(identity)\u{0}\(event)" }

  /// A number for one of the caller's sources: those of two callers are not the same.
  func mix(_ source: UInt64) -> UInt64 { (StableHash.of("http \(identity)") &* 31) ^ source }
}
