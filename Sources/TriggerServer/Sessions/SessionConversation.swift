import DequeModule
import HostConfig
import Hummingbird
import NIOCore
import NIOWebSocket
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// What a client of a session says on a WebSocket: its messages become events, in order, and what it wants of the session
/// becomes a wish of it. On the socket's event loop.
///
/// A client that sends faster than its messages are decided is not read any more, and no other is held up.
final class SessionConversation: WebSocketConversation {
  private let sessions: HostSessions
  private let intake: EventIntake
  private let access: AccessControl
  private let caller: Caller
  private let resumed: (id: String, since: Int64)?
  private var socket: SessionOutlet?
  private var link: SessionLink?
  /// Messages that were read and wait for room.
  private var waiting: Deque<ByteBuffer> = []
  private var waitsForRoom = false
  private var isPaused = false
  /// The client has done something in its session, or has asked for another.
  private var hasSpoken = false

  init(
    _ sessions: HostSessions, _ intake: EventIntake, _ access: AccessControl, _ caller: Caller,
    resumed: (id: String, since: Int64)?
  ) {
    (self.sessions, self.intake, self.access, self.caller) = (sessions, intake, access, caller)
    self.resumed = resumed
  }

  /// - Throws: `Problem`, `bad_query`.
  static func maker(_ sessions: HostSessions, _ intake: EventIntake, _ access: AccessControl)
    -> MakeConversation
  {
    { request, context in
      let query = try request.query("session", "since")
      let since = try query.integer("since", in: 0...Int64.max)
      if query["session"] != nil, since == nil {
        throw Problem(
          .badQuery, "'session' goes with 'since': the token of the last message that was seen, or 0")
      }
      return SessionConversation(
        sessions, intake, access, context.caller,
        resumed: query["session"].flatMap { id in since.map { (id, $0) } })
    }
  }

  // MARK: The socket

  func opened(_ outlet: WebSocketOutlet) {
    let bound = NIOLoopBound(self, eventLoop: outlet.eventLoop)
    let socket = SessionOutlet(outlet, access.counts) { bound.value.goOn() }
    self.socket = socket
    link = sessions.open(SessionOpening(owner: caller.identity, resumed: resumed), socket)
  }

  func text(_ message: ByteBuffer) {
    waiting.append(message)
    goOn()
  }

  func ended() {
    waiting = []
    if let link { sessions.leave(link) }
    socket?.close()
    socket = nil
  }

  /// Takes the messages that there is room for.
  private func goOn() {
    guard let socket else { return }
    while let message = waiting.first, !waitsForRoom, let session = socket.session, socket.mayTake {
      if handle(message, session, socket) { waiting.removeFirst() }
    }
    // What was read already may be a little more than there is room for.
    if waiting.isEmpty == isPaused {
      isPaused.toggle()
      if isPaused { socket.outlet.pauseReading() } else { socket.outlet.resumeReading() }
    }
  }

  // MARK: Messages

  /// - Returns: false when it must come again, once there is room.
  private func handle(_ message: ByteBuffer, _ session: String, _ socket: SessionOutlet) -> Bool {
    var id: Value?
    do {
      guard
        case .map(var fields) = try message.withUnsafeReadableBytes({ bytes in
          try EventRoutes.json(Array(bytes))
        })
      else { throw Problem(.badEvent, "a message is a JSON object") }
      id = fields["id"]
      guard case .string(let type)? = fields["type"] else {
        throw Problem(.badEvent, "a message has a 'type', which is text")
      }
      try access.spend(1, of: caller)
      if type.hasPrefix("$") {
        try obey(type, fields, message.readableBytes, socket)
        return true
      }
      try access.check(caller, may: .send(event: type))
      fields["type"] = nil
      let isAccepted = try Self.waitsForAcceptance(&fields)
      fields["session"] = .string(session)
      fields["user"] = caller.token == nil ? nil : .string(caller.name)
      var event = Event(type, .map(fields), kind: .message, source: StableHash.of(session))
      event.isKept = isAccepted
      return try send(event, try id.map(Self.key), message.readableBytes, session, socket)
    } catch let refusal as Refusal {
      refuse(Problem(refusal), id, socket)
    } catch { refuse(EventSender.problem(with: error), id, socket) }
    return true
  }

  /// `$wait` is no part of the payload: its names are the sender's.
  private static func waitsForAcceptance(_ fields: inout Value.Map) throws -> Bool {
    guard let wait = fields.removeValue(forKey: "$wait") else { return false }
    guard fields["id"] != nil else {
      throw Problem(.badEvent, "'$wait' goes with 'id': who has none gets no answer")
    }
    switch wait {
    case "accepted": return true
    case "committed": return false
    default: throw Problem(.badEvent, "'$wait' is accepted or committed")
    }
  }

  private func send(
    _ event: Event, _ key: String?, _ bytes: Int, _ session: String, _ socket: SessionOutlet
  ) throws -> Bool {
    if event.name.isEmpty { throw Problem(.badEvent, "a message's 'type' is not empty") }
    if intake.isOver { throw Problem(.stopping, "the message was not taken, and nothing of it happens") }
    hasSpoken = true
    socket.begin(bytes)
    var isTaken = false
    defer { if !isTaken { socket.done(bytes) } }
    isTaken = try sessions.offer(event, key: key, session: session, intake) { socket.done(bytes) }
    if isTaken || intake.isOver { return isTaken }
    waitForRoom(socket)
    return false
  }

  private func waitForRoom(_ socket: SessionOutlet) {
    waitsForRoom = true
    let bound = NIOLoopBound(self, eventLoop: socket.outlet.eventLoop)
    let (queue, loop) = (intake.queue, socket.outlet.eventLoop)
    Task {
      await queue.waitForRoom()
      loop.execute {
        bound.value.waitsForRoom = false
        bound.value.goOn()
      }
    }
  }

  /// The key by which the log knows a message: its id, as JSON, so that `1` and `"1"` are two.
  private static func key(_ id: Value) throws -> String {
    switch id {
    case .int, .string:
      let text = try JSON.text(id)
      if text.utf8.count <= EventLine.longestKey { return text }
    default: break
    }
    throw Problem(
      .badEvent, "a message's 'id' is text or a whole number, of at most \(EventLine.longestKey) bytes")
  }

  private func refuse(_ problem: Problem, _ id: Value?, _ socket: SessionOutlet) {
    var fields: Value.Map = [
      "type": "$error", "code": .string(problem.code.rawValue),
      "error": .string(problem.detail ?? problem.code.title),
    ]
    if let id { fields["id"] = id }
    say(fields, socket)
  }

  private func say(_ fields: Value.Map, _ socket: SessionOutlet) {
    socket.send([Value.map(fields).jsonBytes])
  }

  // MARK: The protocol's own

  private func obey(
    _ type: String, _ fields: Value.Map, _ bytes: Int, _ socket: SessionOutlet
  ) throws {
    switch type {
    case "$ping":
      var fields = fields
      fields["type"] = "$pong"
      say(fields, socket)
    case "$resume":
      guard case .string(let id)? = fields["session"], case .int(let since)? = fields["since"] else {
        throw Problem(.badEvent, "$resume has 'session', which is text, and 'since', a token")
      }
      socket.reopen()
      let opening = SessionOpening(owner: caller.identity, resumed: (id, since))
      if let link { sessions.reopen(opening, link, isUnused: !hasSpoken) }
      hasSpoken = true
    case "$subscribe", "$unsubscribe":
      let wanted = try SessionSubscriptions(fields)
      if wanted.count > wanted.topics.count { try access.check(caller, may: .read) }
      hasSpoken = true
      guard let link else { return }
      socket.begin(bytes)
      sessions.subscribe(link, wanted, isMore: type == "$subscribe", id: fields["id"]) { socket.done(bytes) }
    default:
      let known = ["$ping", "$resume", "$subscribe", "$unsubscribe"]
      throw Problem(
        .badEvent,
        "'\(type.prefix(40))' is no message of the protocol; \(Suggestion.hint(for: type, among: known) ?? "there are \(known.joined(separator: ", "))")"
      )
    }
  }
}

extension SessionSubscriptions {
  /// `topics` and `stores` are lists of names; `keys` and `prefixes` are lists of a store and a key or a beginning:
  /// `[{"store": "prices", "key": "EURUSD"}]`. `log` and `executions` are lists of filters: `[{"trigger": "order"}]`.
  ///
  /// - Throws: `Problem`, `bad_event`.
  init(_ fields: Value.Map) throws {
    self.init()
    for (name, value) in fields where !["type", "id"].contains(name) {
      guard case .array(let items) = value, !items.isEmpty else {
        throw Problem(.badEvent, "'\(name.prefix(40))' is a list that is not empty")
      }
      switch name {
      case "topics": topics = Set(try items.map { ExactText(try Self.text($0, name)) })
      case "stores":
        for item in items { prefixes.insert(Place(store: ExactText(try Self.text(item, name)), key: [])) }
      case "keys": keys = Set(try items.map { try Self.place($0, name, "key") })
      case "prefixes": prefixes.formUnion(try items.map { try Self.place($0, name, "prefix") })
      case "log": records.formUnion(try items.map { Records(.log, try Self.filter($0, name)) })
      case "executions": records.formUnion(try items.map { Records(.executions, try Self.filter($0, name)) })
      default:
        throw Self.unknown(name, among: ["topics", "stores", "keys", "prefixes", "log", "executions"])
      }
    }
    if count == 0 {
      throw Problem(.badEvent, "say what is wanted: topics, stores, keys, prefixes, log or executions")
    }
  }

  private static func unknown(_ name: String, among known: [String]) -> Problem {
    Problem(
      .badEvent,
      "unknown field '\(name.prefix(40))'; \(Suggestion.hint(for: name, among: known) ?? "there are \(known.joined(separator: ", "))")"
    )
  }

  /// As the query of `GET /v1/log` says it.
  private static func filter(_ value: Value, _ name: String) throws -> RecordFilter {
    guard case .map(let fields) = value else {
      throw Problem(.badEvent, "'\(name)' is a list of filters, like [{}] for all")
    }
    var texts: [String: String] = [:]
    for (field, value) in fields {
      guard RecordFilter.names.contains(field) else { throw unknown(field, among: RecordFilter.names) }
      guard case .string(let text) = value else { throw Problem(.badEvent, "'\(field)' is text") }
      texts[field] = text
    }
    do { return try RecordFilter(Query(texts)) } catch let problem as Problem {
      throw Problem(.badEvent, problem.detail)
    }
  }

  private static func text(_ value: Value, _ name: String) throws -> String {
    guard case .string(let text) = value, !text.isEmpty else {
      throw Problem(.badEvent, "'\(name)' is a list of texts that are not empty")
    }
    return text
  }

  private static func place(_ value: Value, _ name: String, _ field: String) throws -> Place {
    guard case .map(let fields) = value, fields.count == 2, case .string(let store)? = fields["store"],
      case .string(let key)? = fields[field], !store.isEmpty
    else { throw Problem(.badEvent, "'\(name)' is a list of {\"store\": ..., \"\(field)\": ...}") }
    return Place(store: ExactText(store), key: Array(key.utf8))
  }
}

/// The host's end of a WebSocket, for a session. Any thread.
final class SessionOutlet: SessionSocket {
  let outlet: WebSocketOutlet
  private let counts: RefusalCounts
  private let goOn: @Sendable () -> Void
  private let opened = Mutex<String?>(nil)
  private let underWay = UnderWay()

  /// - Parameter goOn: called on the event loop when more may be taken.
  init(_ outlet: WebSocketOutlet, _ counts: RefusalCounts, goOn: @escaping @Sendable () -> Void) {
    (self.outlet, self.counts, self.goOn) = (outlet, counts, goOn)
  }

  /// In whose name messages come; nil while it is not known.
  var session: String? { opened.withLock { $0 } }
  var mayTake: Bool { underWay.hasRoom }
  var waitingBytes: Int { outlet.waitingBytes }

  func send(_ frames: [[UInt8]]) { outlet.send(frames.map { ByteBuffer(bytes: $0) }) }

  func opened(session: String) {
    opened.withLock { $0 = session }
    outlet.eventLoop.execute(goOn)
  }

  /// Messages wait until it has the other session.
  func reopen() { opened.withLock { $0 = nil } }

  func close() { opened.withLock { $0 = nil } }

  /// A message of so many bytes is under way.
  func begin(_ bytes: Int) { underWay.begin(bytes) }

  /// It is decided, or was not taken.
  func done(_ bytes: Int) {
    if underWay.done(bytes) { outlet.eventLoop.execute(goOn) }
  }

  func end(_ reason: SessionEnd) {
    switch reason {
    case .slow: outlet.close(Self.tryAgainLater, "too slow: come back with the session and the last token")
    case .full:
      counts.note(.sessions)
      outlet.close(Self.tryAgainLater, "the host has as many sessions as it takes (sessions.most)")
    case .lost:
      outlet.close(
        Self.tryAgainLater,
        "records were let go before they were read (log.retain): come back with the last token")
    case .failed: outlet.close(.unexpectedServerError, "the log cannot be read")
    case .stopping: outlet.close(.goingAway, "the host ends")
    }
  }

  /// IANA's registry of close codes for WebSockets; RFC 6455 does not have it yet.
  private static let tryAgainLater = WebSocketErrorCode.unknown(1013)
}
