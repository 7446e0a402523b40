import HostConfig
import TriggerCore
import TriggerHost

/// What sockets want of the sessions' thread: to begin, to go on, to end, to hear of more or of less. On that thread.
extension HostSessions {
  /// What a session may subscribe to, and filters of records among that: each is asked of each record.
  private static let (mostSubscriptions, mostFilters) = (1000, 16)

  func fulfil(_ wishes: [Wish], at seq: Int64) throws {
    /// What is told once it is kept.
    var answers: [() -> Void] = []
    var isNew = false
    lock.lock()
    for wish in wishes {
      switch wish {
      case .open(let link, let opening, let isUnused):
        let before = detach(link)
        if let before, isUnused { drop(before) }
        isNew = open(link, opening, &answers) || isNew
      case .leave(let link): detach(link)
      case .subscribe(let link, let subscriptions, let isMore, let id, let whenDone):
        if let session = link.session {
          isNew = true
          answers.append(change(session, link, subscriptions, isMore, id, seq))
        }
        answers.append(whenDone)
      case .say(let id, let content):
        guard let session = table.byID[id] else { break }
        isNew = true
        let message = SessionMessage(content)
        let token = table.say(message, to: session, newest)
        answers.append { [self] in show(message, token, to: session) }
      }
    }
    lock.unlock()
    if isNew { _ = try keep(seq, unless: -1) }
    for answer in answers { answer() }
  }

  /// What is said is kept now.
  private func show(_ message: SessionMessage, _ token: Int64, to session: Session) {
    var touched: [SessionLink] = []
    lock.lock()
    session.shown = token
    give(message, token, to: session, &touched)
    lock.unlock()
    flush(touched)
  }

  /// - Returns: whether something must be kept before the client is told.
  private func open(
    _ link: SessionLink, _ opening: SessionOpening, _ answers: inout [() -> Void]
  ) -> Bool {
    var reason: String?
    if let (id, since) = opening.resumed {
      if let session = table.byID[id], session.owner == opening.owner {
        answers.append(resume(session, link, since))
        return false
      }
      reason = "unknown_session"
    }
    guard table.byID.count < limits.most else {
      answers.append { link.socket.end(.full) }
      return false
    }
    let session = Session(id: Self.newID(), owner: opening.owner)
    table.add(session)
    link.session = session
    link.way = .live
    link.sent = 0
    session.links.append(link)
    answers.append { Self.greet(link, session.id, 0, isResumed: false, reason) }
    return true
  }

  private func resume(_ session: Session, _ link: SessionLink, _ since: Int64) -> () -> Void {
    let isThere = session.entries(after: since, atMost: 0) != nil
    link.session = session
    link.sent = isThere ? since : session.token
    session.left = nil
    session.links.append(link)
    let (id, sent) = (session.id, link.sent)
    if sent == session.token {
      link.way = .live
    } else {
      link.way = .behind
      link.progress = .now
    }
    let isBehind = link.way == .behind
    return { [self] in
      Self.greet(link, id, sent, isResumed: isThere, isThere ? nil : "away_too_long")
      if isBehind { catchUp.add(link) }
    }
  }

  private static func greet(
    _ link: SessionLink, _ id: String, _ token: Int64, isResumed: Bool, _ reason: String?
  ) {
    link.socket.opened(session: id)
    var text = "{\"type\":\"$session\",\"session\":\"\(id)\",\"token\":\(token),\"resumed\":\(isResumed)"
    if let reason { text += ",\"reason\":\"\(reason)\"" }
    link.socket.send([Array((text + "}").utf8)])
  }

  @discardableResult private func detach(_ link: SessionLink) -> Session? {
    link.way = .closed
    guard let session = link.session else { return nil }
    link.session = nil
    session.links.removeAll { $0 === link }
    if session.links.isEmpty {
      session.left = clock.now()
      session.isChanged = true
    }
    return session
  }

  /// Lets go of a session that nobody has used, or clients that begin with `$resume` would leave one each time.
  private func drop(_ session: Session) {
    guard session.links.isEmpty, session.token == 0 else { return }
    table.remove(session)
    removed.append(session.id)
  }

  private func change(
    _ session: Session, _ link: SessionLink, _ subscriptions: SessionSubscriptions, _ isMore: Bool,
    _ id: Value?, _ seq: Int64
  ) -> () -> Void {
    var fields: Value.Map = [:]
    if let id { fields["id"] = id }
    let before = session.subscriptions
    if isMore,
      before.count + subscriptions.count > Self.mostSubscriptions
        || before.records.union(subscriptions.records).count > Self.mostFilters
    {
      fields["type"] = "$error"
      fields["code"] = "too_many_subscriptions"
      fields["error"] = .string(
        "a session has at most \(Self.mostSubscriptions) subscriptions, of which \(Self.mostFilters) are to records"
      )
    } else {
      if isMore { table.subscribe(session, subscriptions) } else { table.unsubscribe(session, subscriptions) }
      fields["type"] = isMore ? "$subscribed" : "$unsubscribed"
      fields["seq"] = .int(seq)
    }
    let frame = (try? JSON.bytes(.map(fields))) ?? []
    return { link.socket.send([frame]) }
  }

  /// 192 bits of the system's randomness, as letters, digits, `-` and `_`.
  private static func newID() -> String {
    var generator = SystemRandomNumberGenerator()
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    return String((0..<32).map { _ in letters[Int(generator.next() & 63)] })
  }
}
