import TriggerCore
import TriggerHost

/// All sessions: which messages each of them gets, by the records of the log in their order. From what is kept as of a
/// seq, and the records after it, come the same messages with the same tokens, however often. No threads, clocks or I/O.
struct SessionTable {
  /// Whose keys the log has of messages that ask for an acknowledgement: `session:` and the session's id.
  static let scope = "session:"

  /// Messages that a session keeps for who comes back.
  let kept: Int
  private(set) var byID: [String: Session] = [:]
  private var topics: [ExactText: [String: Session]] = [:]
  private var stores: [ExactText: Subscribers] = [:]
  private var records: [SessionSubscriptions.Records: [String: Session]] = [:]
  /// Messages of clients whose operations are not all decided.
  private(set) var undecided = 0

  /// Who has subscribed to keys of a store.
  private struct Subscribers {
    var keys: [[UInt8]: [String: Session]] = [:]
    var prefixes: [[UInt8]: [String: Session]] = [:]

    var isEmpty: Bool { keys.isEmpty && prefixes.isEmpty }

    /// Each session once. O(prefixes of the store).
    func sessions(of key: UnsafeRawBufferPointer) -> [String: Session] {
      var found = keys.isEmpty ? [:] : keys[Array(key)] ?? [:]
      for (prefix, sessions) in prefixes where key.starts(with: prefix) { found.merge(sessions) { $1 } }
      return found
    }
  }

  /// Called with each new message. Of a message to many the content is the same object.
  typealias Deliver = (_ session: Session, _ token: Int64, _ message: SessionMessage) -> Void

  init(keeping kept: Int) { self.kept = kept }

  /// Some session hears of what says nothing of being heard: changes of stores, records.
  var hearsOfAll: Bool { !stores.isEmpty || !records.isEmpty }

  // MARK: Sessions

  mutating func add(_ session: Session) {
    byID[session.id] = session
    let subscriptions = session.subscriptions
    session.subscriptions = SessionSubscriptions()
    undecided += session.undecided.count
    let wasChanged = session.isChanged
    subscribe(session, subscriptions)
    session.isChanged = wasChanged
  }

  mutating func remove(_ session: Session) {
    unsubscribe(session, session.subscriptions)
    undecided -= session.undecided.count
    byID[session.id] = nil
  }

  mutating func subscribe(_ session: Session, _ more: SessionSubscriptions) {
    session.subscriptions.formUnion(more)
    for topic in more.topics { topics[topic, default: [:]][session.id] = session }
    for place in more.keys {
      stores[place.store, default: Subscribers()].keys[place.key, default: [:]][session.id] = session
    }
    for place in more.prefixes {
      stores[place.store, default: Subscribers()].prefixes[place.key, default: [:]][session.id] = session
    }
    for wish in more.records { records[wish, default: [:]][session.id] = session }
    session.isChanged = true
  }

  mutating func unsubscribe(_ session: Session, _ less: SessionSubscriptions) {
    session.subscriptions.subtract(less)
    for topic in less.topics { Self.remove(session, &topics[topic]) }
    for place in less.keys {
      Self.remove(session, &stores[place.store, default: Subscribers()].keys[place.key])
      if stores[place.store]?.isEmpty == true { stores[place.store] = nil }
    }
    for place in less.prefixes {
      Self.remove(session, &stores[place.store, default: Subscribers()].prefixes[place.key])
      if stores[place.store]?.isEmpty == true { stores[place.store] = nil }
    }
    for wish in less.records { Self.remove(session, &records[wish]) }
    session.isChanged = true
  }

  private static func remove(_ session: Session, _ sessions: inout [String: Session]?) {
    sessions?[session.id] = nil
    if sessions?.isEmpty == true { sessions = nil }
  }

  /// A message that no record makes: its text is kept by the session.
  func say(_ message: SessionMessage, to session: Session, _ newest: SessionMessage.Newest) -> Int64 {
    session.add(Session.Entry(0, .kept), text: message.text(newest), keeping: kept)
  }

  /// Records will say what comes of an event, of a session's message perhaps.
  mutating func expect(_ event: AcceptedEvent) {
    guard case .client(let scope, let key, _)? = event.key, let session = session(of: scope),
      session.undecided[key] == nil
    else { return }
    session.undecided[key] = Session.Undecided(event: event.id, total: max(1, event.triggers.count))
    session.isChanged = true
    undecided += 1
  }

  /// Whose keys these are.
  private func session(of scope: String) -> Session? {
    scope.hasPrefix(Self.scope) ? byID[String(scope.dropFirst(Self.scope.count))] : nil
  }

  /// What is told of was not read to its end: what is missing is missing for everybody.
  mutating func forgetAll() {
    for session in byID.values { session.forget() }
    undecided = 0
  }

  // MARK: Records

  /// Gives messages of the next record their tokens. O(1) for a record that concerns no session, beside its intents and the
  /// filters of those who hear of records.
  mutating func apply(_ record: RecordView, _ deliver: Deliver) throws(LogDamage) {
    if byID.isEmpty { return }
    // One byte is an empty array.
    if record.outcome == .committed, record.intents.count > 1 { try applyIntents(of: record, deliver) }
    if !records.isEmpty { try applyWhole(record, deliver) }
    if record.outside.count > 1 {
      var reader = CBORReader(record.outside)
      if let event = try LogCoding.outside(&reader) { note(event, 0, record, deliver) }
    }
    if record.absorbed.count > 1 {
      for (index, absorbed) in try LogCoding.absorbed(record.absorbed).enumerated() {
        if case .event(let event) = absorbed { note(event, index + 1, record, deliver) }
      }
    }
  }

  private func applyIntents(of record: RecordView, _ deliver: Deliver) throws(LogDamage) {
    var reader = CBORReader(record.intents)
    for index in 0..<(try reader.array()) {
      let intent = try LogCoding.intent(&reader)
      switch intent.action {
      case .emit: break
      case .effect(.send):
        if let session = byID[intent.key.utf8Text] {
          give(record, intent, .effect(index: index), to: CollectionOfOne(session), deliver)
        }
      case .effect(.broadcast):
        if let sessions = topics[ExactText(intent.key.utf8Text)] {
          give(record, intent, .effect(index: index), to: sessions.values, deliver)
        }
      case .change(_, let store):
        if stores.isEmpty { break }
        if let subscribers = stores[ExactText(store.utf8Text)] {
          give(
            record, intent, .change(index: index), to: subscribers.sessions(of: intent.key).values, deliver)
        }
      }
    }
  }

  /// Each session gets a record once in each form, always in the same order.
  private func applyWhole(_ record: RecordView, _ deliver: Deliver) throws(LogDamage) {
    for form in SessionSubscriptions.Records.Form.allCases {
      var wanting: [String: Session] = [:]
      for (wish, sessions) in records where wish.form == form {
        if try wish.filter.passes(record) { wanting.merge(sessions) { $1 } }
      }
      var message: SessionMessage?
      for session in wanting.values {
        let token = session.add(Session.Entry(record.seq, .record(form)), keeping: kept)
        if session.links.isEmpty { continue }
        if message == nil { message = SessionMessage(.record(try LogRecord(record), form)) }
        deliver(session, token, message!)
      }
    }
  }

  private func give(
    _ record: RecordView, _ intent: RecordView.Intent, _ origin: Session.Origin,
    to sessions: some Sequence<Session>, _ deliver: Deliver
  ) {
    var message: SessionMessage?
    for session in sessions {
      let token = session.add(Session.Entry(record.seq, origin), keeping: kept)
      if session.links.isEmpty { continue }
      if message == nil { message = SessionMessage(record, intent) }
      deliver(session, token, message!)
    }
  }

  /// A record decided an operation of an event: of a session's message, perhaps.
  private mutating func note(
    _ event: LogRecord.Outside, _ place: Int, _ record: RecordView, _ deliver: Deliver
  ) {
    guard case .client(let scope, let key, _)? = event.key, let session = session(of: scope) else { return }
    let result = KeyRow.Result(record, isAbsorbed: place > 0)
    let total = max(1, event.triggers.count)
    if total == 1, let result, session.undecided.isEmpty {
      return acknowledge(session, key, event.id, [result], record.seq, place, deliver)
    }
    let known = session.undecided.removeValue(forKey: key)
    if known != nil { undecided -= 1 }
    var state = known ?? Session.Undecided(event: event.id, total: total)
    if state.event != event.id { state = Session.Undecided(event: event.id, total: total) }
    if let result { state.results.append(result) }
    session.isChanged = true
    if state.results.count < total {
      session.undecided[key] = state
      undecided += 1
    } else {
      let results = state.results.sorted { ($0.seq, $0.trigger) < ($1.seq, $1.trigger) }
      acknowledge(session, key, event.id, results, record.seq, place, deliver)
    }
  }

  private func acknowledge(
    _ session: Session, _ key: String, _ event: EventID, _ results: [KeyRow.Result], _ seq: Int64,
    _ place: Int, _ deliver: Deliver
  ) {
    let token = session.add(
      Session.Entry(seq, .ack(place: place)), seqs: results.count > 1 ? results.map(\.seq) : nil,
      keeping: kept)
    if session.links.isEmpty { return }
    deliver(session, token, SessionMessage(.ack(key: key, event, results, hint: nil)))
  }
}

extension SessionMessage {
  /// What an intent of a committed record says.
  convenience init(_ record: RecordView, _ intent: RecordView.Intent) {
    switch intent.action {
    case .change(let change, let store):
      let new: NewValue =
        switch change {
        case .put: .put(Array(intent.value))
        case .delete: .deleted
        default: .relative
        }
      self.init(.change(store: store.utf8Text, key: Array(intent.key), seq: record.seq, new))
    case .emit, .effect: self.init(.effect(Array(intent.value)))
    }
  }
}
