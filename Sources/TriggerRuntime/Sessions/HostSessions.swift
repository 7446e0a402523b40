import Dispatch
import HostConfig
import Synchronization
import TriggerCore
import TriggerHost

/// The sessions of a host: a thread reads the log behind the commits, gives their messages tokens (`SessionTable`) and
/// hands them to the sockets that are there. What the table is as of a seq is kept in the log once in a while, and before
/// anybody is told of what no record says: so the same messages get the same tokens after a crash.
///
/// A socket that takes less than comes is left behind: `SessionCatchUp` gives it the rest from the log when it has room.
package final class HostSessions: @unchecked Sendable {  // guarded by `lock`, but for what is Sendable itself
  /// What somebody wants of the thread.
  enum Wish: Sendable {
    case open(SessionLink, SessionOpening, isUnused: Bool = false)
    case leave(SessionLink)
    case subscribe(
      SessionLink, SessionSubscriptions, isMore: Bool, id: Value?, whenDone: @Sendable () -> Void)
    /// A message that no record makes.
    case say(session: String, SessionMessage.Content)

    /// The socket that waits for it.
    var link: SessionLink? {
      switch self {
      case .open(let link, _, _), .subscribe(let link, _, _, _, _): link
      case .leave, .say: nil
      }
    }
  }

  /// What the thread has not begun with.
  private struct Wishes {
    var waiting: [Wish] = []
    /// Nobody fulfils one any more: what a socket that comes is told.
    var end: SessionEnd?
  }

  /// Bytes that may wait in a socket before it is left behind.
  private static let most = 1 << 20
  /// Whole records of one block that are told as they come: others do not wait for what is made for who watches a busy host.
  private static let mostRecords = 64
  /// How often what has changed is kept.
  private static let interval = Duration.seconds(1)

  let lock = Condition()
  var table: SessionTable
  private let wishes = Mutex(Wishes())
  /// Wishes that the thread fulfils; only that uses them.
  private var underWay: [Wish] = []
  /// The newest record that decided a message of a session. Apart from the rest: whoever tells outcomes waits for nobody.
  private let decided = Atomic<Int64>(0)
  /// Sessions that are to be let go of in the log.
  var removed: [String] = []

  let limits: HostConfig.Sessions
  private let log: HostLog
  private let watch: EffectWatch
  private let coordinator: CommitCoordinator
  let clock: any EngineClock
  private let notices: Notices
  private let isWanted = Atomic<Bool>(false)
  private let isEnding = Atomic<Bool>(false)
  /// Messages of sessions that are not decided.
  private let inFlight = Atomic<Int>(0)
  private let ended = DispatchSemaphore(value: 0)
  let catchUp = SessionCatchUp()
  private let failed = Mutex<String?>(nil)

  init(_ parts: HostParts, _ log: HostLog) {
    self.log = log
    limits = parts.config.sessions
    (watch, coordinator) = (parts.coordinator.effects, parts.coordinator)
    (clock, notices) = (parts.options.clock, parts.notices)
    table = SessionTable(keeping: limits.messages)
  }

  // MARK: For sockets

  /// A client has come. The socket is told once it has a session: its first message says which.
  package func open(_ opening: SessionOpening, _ socket: any SessionSocket) -> SessionLink {
    let link = SessionLink(socket)
    wish(.open(link, opening))
    return link
  }

  /// The client wants another session than it got.
  ///
  /// - Parameter isUnused: it has said nothing in that one: nobody will come back to it.
  package func reopen(_ opening: SessionOpening, _ link: SessionLink, isUnused: Bool) {
    wish(.open(link, opening, isUnused: isUnused))
  }

  /// The socket has ended.
  package func leave(_ link: SessionLink) { wish(.leave(link)) }

  /// The session hears of more, or of less. The socket is told when that counts.
  ///
  /// - Parameters:
  ///   - id: given back in the answer.
  ///   - whenDone: called when that counts, unless the host ends before.
  package func subscribe(
    _ link: SessionLink, _ subscriptions: SessionSubscriptions, isMore: Bool, id: Value?,
    whenDone: @escaping @Sendable () -> Void = {}
  ) {
    wish(.subscribe(link, subscriptions, isMore: isMore, id: id, whenDone: whenDone))
  }

  /// Admits a message of a session; false when there is no room, or nothing more is taken.
  ///
  /// - Parameters:
  ///   - key: its id, as JSON: it is acknowledged, and is not run twice. Nil: neither.
  ///   - whenDecided: called once when true was returned, where outcomes are told: it must do next to nothing.
  /// - Throws: as `EventIntake.offer` does.
  package func offer(
    _ event: Event, key: String?, session: String, _ intake: EventIntake,
    whenDecided: @escaping @Sendable () -> Void
  ) throws -> Bool {
    var event = event
    let id = intake.queue.makeEventID()
    event.id = id
    inFlight.add(1, ordering: .sequentiallyConsistent)
    var isTaken = false
    defer { if !isTaken { inFlight.subtract(1, ordering: .sequentiallyConsistent) } }
    isTaken = try intake.offer(event, scope: SessionTable.scope + session, key: key, tellsAll: true) {
      [self] answer in
      switch answer {
      case .accepted(let told):
        if let key { wish(.say(session: session, .accepted(key: key, told))) }
        // What it comes to is told as well.
        return
      case .decided(let told, let results, let hint):
        if let key { tell(session, key, told, results, hint: hint, isRepeated: told != id) }
      }
      inFlight.subtract(1, ordering: .sequentiallyConsistent)
      whenDecided()
    }
    return isTaken
  }

  /// The log says what came of a message, unless it was decided before, or no record is about it.
  private func tell(
    _ session: String, _ key: String, _ event: EventID, _ results: [OperationResult], hint: String?,
    isRepeated: Bool
  ) {
    let newest = results.map(\.seq).max() ?? 0
    if isRepeated || newest == 0 {
      let results = results.map { KeyRow.Result($0) }
      return wish(.say(session: session, .ack(key: key, event, results, hint: hint)))
    }
    decided.max(newest, ordering: .sequentiallyConsistent)
    poke()
  }

  private func wish(_ wish: Wish) {
    let end = wishes.withLock { wishes in
      if wishes.end == nil { wishes.waiting.append(wish) }
      return wishes.end
    }
    guard let end else { return poke() }
    wish.link?.socket.end(end)
  }

  private func poke() {
    if !isWanted.exchange(true, ordering: .sequentiallyConsistent) { watch.wake() }
  }

  // MARK: Start and end

  /// Reads what is kept, and goes on from there. Call before anything is committed.
  ///
  /// - Throws: what the log says.
  func start() throws {
    let source = try log.openSource()
    let end = try source.end().seq
    // Handed to the thread.
    nonisolated(unsafe) let reader = LogReader(source)
    var position = end
    if let confirmed = try source.confirmed(receiver: SessionRow.receiver) {
      position = min(end, confirmed)
      try load(source)
      // Of messages that were sure to run when the last host ended nobody else says that an answer comes.
      try reader.visitInbox { table.expect($0) }
      if confirmed > end { table.forgetAll() }
    }
    catchUp.start(self, try log.openSource())
    Thread.detach(name: "sessions") { [self, position] in
      run(reader, from: position, until: end)
      catchUp.stop()
      ended.signal()
    }
  }

  private func load(_ source: any LogSource) throws {
    try source.visitSessions { id, checksum, state in
      guard LogBlock.checksum(state) == checksum else {
        notices.problem(
          "session \(id.prefix(8))… is damaged in the log: its client gets a new one", code: .receiver)
        removed.append(id)
        return
      }
      let session = try Session(id: id, state)
      // Its sockets ended with the host.
      session.left = session.left ?? clock.now()
      table.add(session)
    }
  }

  /// Tells what is durable, keeps what is to be kept, and ends. May take as long as the log does.
  func finish() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    watch.wake()
    ended.wait()
  }

  // MARK: The thread

  private func run(_ reader: LogReader, from start: Int64, until end: Int64) {
    var (position, keptAt) = (LogPosition(seq: start), ContinuousClock.now)
    var kept = start
    defer { reader.close() }
    do {
      try read(reader, &position, through: end)
      while true {
        let isLast = isEnding.load(ordering: .sequentiallyConsistent)
        try step(reader, &position)
        let now = ContinuousClock.now
        if isLast || now - keptAt >= Self.interval {
          if try keep(position.seq, unless: kept) { kept = position.seq }
          keptAt = now
        }
        if isLast { return self.end(.stopping) }
        watch.wait(after: position.seq, all: hearsAll, for: Self.interval) {
          isWanted.load(ordering: .sequentiallyConsistent) || isEnding.load(ordering: .sequentiallyConsistent)
        }
      }
    } catch { fail(error) }
  }

  private var hearsAll: Bool {
    lock.lock()
    defer { lock.unlock() }
    return table.hearsOfAll || table.undecided > 0
  }

  private func fail(_ error: any Error) {
    // A log that has failed stops the host, which says so.
    if !(error is LogFailure) { report("\(error)") }
    lock.lock()
    let links = table.byID.values.flatMap(\.links)
    lock.unlock()
    for link in links { link.socket.end(.failed) }
    end(.failed)
  }

  /// Sockets get no messages any more. Said once.
  func report(_ reason: String) {
    let text = "sessions get no messages any more: the log cannot be read: \(reason)"
    let isFirst = failed.withLock { failed in
      defer { failed = failed ?? text }
      return failed == nil
    }
    if isFirst { notices.problem("\(text)", code: .receiver) }
  }

  /// What is wrong, for people; nil when nothing is. Any thread.
  package var failure: String? { failed.withLock { $0 } }

  /// Whoever waits for the thread is told that it has ended, and so is whoever comes.
  private func end(_ reason: SessionEnd) {
    let waiting = wishes.withLock { wishes in
      wishes.end = reason
      defer { wishes.waiting = [] }
      return wishes.waiting
    }
    for wish in underWay + waiting { wish.link?.socket.end(reason) }
    underWay = []
  }

  private func step(_ reader: LogReader, _ position: inout LogPosition) throws {
    // In this order: what is durable by now was noted before, unless it is a message that is in flight.
    let durable = watch.durable
    let isQuiet = inFlight.load(ordering: .sequentiallyConsistent) == 0
    isWanted.store(false, ordering: .sequentiallyConsistent)
    underWay = wishes.withLock { wishes in
      defer { wishes.waiting = [] }
      return wishes.waiting
    }
    var wanted = max(decided.load(ordering: .sequentiallyConsistent), watch.durableEffects)
    if table.hearsOfAll || table.undecided > 0 { wanted = durable }
    let mayJump = isQuiet && table.undecided == 0
    if wanted > position.seq {
      try read(reader, &position, through: wanted)
    } else if mayJump, durable > position.seq {
      position = LogPosition(seq: durable)
    }
    if !underWay.isEmpty { try fulfil(underWay, at: position.seq) }
    underWay = []
  }

  // MARK: Records

  private func read(_ reader: LogReader, _ position: inout LogPosition, through last: Int64) throws {
    while position.seq < last {
      // Without the lock: who has nothing to do with the disk does not wait for it.
      guard let block = try reader.nextBlock(after: position, through: last) else { return }
      let missing = block.missing(after: position)
      if !missing.isEmpty { forget(missing) }
      try apply(block, reader, after: position)
      position = block.end
    }
  }

  private func apply(_ block: LogBlock, _ reader: LogReader, after position: LogPosition) throws {
    var touched: [SessionLink] = []
    var records = 0
    lock.lock()
    defer { flush(touched) }
    defer { lock.unlock() }
    try reader.visitRecords(of: block, after: position) { record in
      try table.apply(record) { session, token, message in
        if message.isRecord, !message.isMade { records += 1 }
        if records > Self.mostRecords, message.isRecord { return leaveBehind(session) }
        give(message, token, to: session, &touched)
      }
    }
  }

  private func forget(_ missing: Range<Int64>) {
    notices.problem(
      "sessions: seqs \(missing.lowerBound) to \(missing.upperBound - 1) were let go before they were read; a larger log.retain keeps them longer",
      code: .receiver)
    lock.lock()
    let links = table.byID.values.flatMap(\.links)
    table.forgetAll()
    lock.unlock()
    // Its client comes back, and is told that messages are missing.
    for link in links { link.socket.end(.lost) }
  }

  /// Under the lock.
  func give(
    _ message: SessionMessage, _ token: Int64, to session: Session, _ touched: inout [SessionLink]
  ) {
    for link in session.links where link.way == .live { give(message, token, to: link, &touched) }
  }

  /// Under the lock.
  private func give(
    _ message: SessionMessage, _ token: Int64, to link: SessionLink, _ touched: inout [SessionLink]
  ) {
    if token <= link.sent { return }
    let frame = SessionMessage.frame(token, message.text(newest))
    if link.coming.isEmpty {
      if link.socket.waitingBytes > Self.most { return leaveBehind(link) }
      touched.append(link)
    }
    link.coming.append(frame)
    link.comingBytes += frame.count
    link.sent = token
    if link.comingBytes > Self.most { leaveBehind(link) }
  }

  private func leaveBehind(_ session: Session) {
    for link in session.links where link.way == .live { leaveBehind(link) }
  }

  private func leaveBehind(_ link: SessionLink) {
    link.way = .behind
    link.progress = .now
    catchUp.add(link)
  }

  /// Without the lock.
  func flush(_ links: [SessionLink]) {
    for link in links {
      lock.lock()
      let coming = link.coming
      (link.coming, link.comingBytes) = ([], 0)
      // Nobody else sends before these: who catches up begins after them.
      link.socket.send(coming)
      lock.unlock()
    }
  }

  /// What a key has now.
  func newest(_ store: String, _ key: String) -> (seq: Int64, value: Value?)? {
    guard let store = try? coordinator.store(store), let value = try? store.get(key) else { return nil }
    return (0, value)
  }

  // MARK: What is kept

  /// Keeps what has changed, as of a seq; forgets sessions whose clients are away for too long.
  ///
  /// - Returns: false when there was nothing to keep.
  func keep(_ seq: Int64, unless kept: Int64) throws(LogFailure) -> Bool {
    lock.lock()
    let now = clock.now()
    var changed: [SessionRow] = []
    for session in table.byID.values {
      if let left = session.left, now - left > limits.keep.nanoseconds {
        table.remove(session)
        removed.append(session.id)
      } else if session.isChanged {
        changed.append(SessionRow(id: session.id, state: session.encoded))
        session.isChanged = false
      }
    }
    let gone = removed
    removed = []
    lock.unlock()
    if changed.isEmpty, gone.isEmpty, table.byID.isEmpty || seq == kept { return false }
    try log.writer.perform([
      .sessions(changed: changed, removed: gone), .confirmed(receiver: SessionRow.receiver, seq: seq),
    ])
    return true
  }

  /// The sessions that there are, for who asks.
  package var count: Int {
    lock.lock()
    defer { lock.unlock() }
    return table.byID.count
  }
}
