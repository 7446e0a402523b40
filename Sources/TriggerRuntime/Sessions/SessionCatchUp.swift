import TriggerCore
import TriggerHost

/// Gives sockets that are behind the messages that they have not got, from the log, each as fast as it takes them, in
/// turns. A thread of its own: whoever comes back after a while holds up nobody who is there.
final class SessionCatchUp: @unchecked Sendable {  // guarded by `condition`
  /// Messages of one turn.
  private static let turn = 64
  /// Bytes in a socket above which it waits.
  private static let room = 256 << 10
  /// How long a socket may take nothing.
  private static let patience = Duration.seconds(30)
  /// How soon it is asked again whether a socket has room.
  private static let pause = Duration.milliseconds(20)

  private let condition = Condition()
  private var behind: [SessionLink] = []
  private var isOver = false

  func add(_ link: SessionLink) {
    condition.lock()
    behind.append(link)
    condition.broadcast()
    condition.unlock()
  }

  func stop() {
    condition.lock()
    isOver = true
    condition.broadcast()
    condition.unlock()
  }

  func start(_ sessions: HostSessions, _ source: any LogSource) {
    // Handed to the thread.
    nonisolated(unsafe) let reader = LogReader(source)
    Thread.detach(name: "resumed") { [self] in
      run(sessions, reader)
      reader.close()
    }
  }

  private func run(_ sessions: HostSessions, _ reader: LogReader) {
    var mayPause = false
    while let links = take(mayPause) {
      mayPause = true
      for link in links {
        switch serve(link, sessions, reader) {
        case .done: break
        case .goesOn:
          mayPause = false
          add(link)
        case .isFull: add(link)
        case .ended(let reason): link.socket.end(reason)
        }
      }
    }
  }

  /// Those that are behind; nil at the end. Waits while there is none, or for a while when all of them were full.
  private func take(_ mayPause: Bool) -> [SessionLink]? {
    condition.lock()
    defer { condition.unlock() }
    if mayPause, !behind.isEmpty, !isOver { condition.wait(for: Self.pause) }
    while behind.isEmpty, !isOver { condition.wait() }
    if isOver { return nil }
    defer { behind = [] }
    return behind
  }

  private enum Turn {
    /// It gets what comes as it comes, or nothing any more.
    case done
    case goesOn
    case isFull
    case ended(SessionEnd)
  }

  /// A message that is to be made of a record.
  private struct Piece {
    var token: Int64
    var entry: Session.Entry
    var text: [UInt8]?
    var seqs: [Int64]?
  }

  private func serve(_ link: SessionLink, _ sessions: HostSessions, _ reader: LogReader) -> Turn {
    let (pieces, turn) = next(link, sessions)
    guard let pieces else { return turn }
    do {
      guard let frames = try frames(of: pieces, sessions, reader) else { return .ended(.slow) }
      sessions.lock.lock()
      defer { sessions.lock.unlock() }
      guard link.way == .behind else { return .done }
      link.socket.send(frames)
      link.sent = pieces.last!.token
      link.progress = .now
      return .goesOn
    } catch {
      sessions.report("\(error)")
      return .ended(.failed)
    }
  }

  private func next(_ link: SessionLink, _ sessions: HostSessions) -> ([Piece]?, Turn) {
    sessions.lock.lock()
    defer { sessions.lock.unlock() }
    guard link.way == .behind, let session = link.session else { return (nil, .done) }
    // What it was given while it was not behind is not on its way yet.
    if !link.coming.isEmpty { return (nil, .isFull) }
    if link.socket.waitingBytes > Self.room {
      return (nil, ContinuousClock.now - link.progress > Self.patience ? .ended(.slow) : .isFull)
    }
    if link.sent == session.shown {
      link.way = .live
      return (nil, .done)
    }
    // So much has come meanwhile that what it has not got is gone.
    guard let entries = session.entries(after: link.sent, atMost: Self.turn) else {
      return (nil, .ended(.slow))
    }
    var token = link.sent
    return (
      entries.map { entry in
        token += 1
        return Piece(token: token, entry: entry, text: session.texts[token], seqs: session.seqs[token])
      }, .goesOn
    )
  }

  /// Nil when a record is not kept any more.
  private func frames(
    of pieces: [Piece], _ sessions: HostSessions, _ reader: LogReader
  ) throws -> [[UInt8]]? {
    var frames: [[UInt8]] = []
    var place = 0
    while place < pieces.count {
      let piece = pieces[place]
      if let text = piece.text {
        frames.append(SessionMessage.frame(piece.token, text))
        place += 1
        continue
      }
      var position = LogPosition(seq: piece.entry.seq - 1)
      let before = place
      // All that are made of one block at once.
      _ = try reader.visitBlock(after: &position, through: piece.entry.seq) { record, _ in
        while place < pieces.count, pieces[place].entry.seq == record.seq, pieces[place].text == nil {
          guard let message = try Self.message(pieces[place], record, reader) else { return }
          frames.append(SessionMessage.frame(pieces[place].token, message.text(sessions.newest)))
          place += 1
        }
      }
      if place == before { return nil }
    }
    return frames
  }

  private static func message(
    _ piece: Piece, _ record: RecordView, _ reader: LogReader
  ) throws -> SessionMessage? {
    switch piece.entry.origin {
    case .kept: return nil
    case .effect(let index), .change(let index):
      var (place, found) = (0, SessionMessage?.none)
      try record.forEachIntent { intent in
        if place == index { found = SessionMessage(record, intent) }
        place += 1
      }
      return found
    case .record(let form): return SessionMessage(.record(try LogRecord(record), form))
    case .ack(let place):
      guard let (event, key) = try event(place, of: record) else { return nil }
      var results: [KeyRow.Result] = []
      for seq in piece.seqs ?? [record.seq] {
        if seq == record.seq {
          if let result = KeyRow.Result(record, isAbsorbed: place > 0) { results.append(result) }
        } else if let result = try result(of: event, at: seq, reader) {
          results.append(result)
        }
      }
      return SessionMessage(.ack(key: key, event, results, hint: nil))
    }
  }

  /// A message of a client, by its place in the record that decided it.
  private static func event(_ place: Int, of record: RecordView) throws -> (EventID, key: String)? {
    var event: LogRecord.Outside?
    if place == 0 {
      var reader = CBORReader(record.outside)
      event = try LogCoding.outside(&reader)
    } else {
      let absorbed = try LogCoding.absorbed(record.absorbed)
      if place <= absorbed.count, case .event(let one) = absorbed[place - 1] { event = one }
    }
    guard let event, case .client(_, let key, _)? = event.key else { return nil }
    return (event.id, key)
  }

  private static func result(
    of event: EventID, at seq: Int64, _ reader: LogReader
  ) throws -> KeyRow.Result? {
    var position = LogPosition(seq: seq - 1)
    var found: KeyRow.Result?
    _ = try reader.visitBlock(after: &position, through: seq) { record, _ in
      guard record.seq == seq else { return }
      var outside = CBORReader(record.outside)
      let isOwn = try LogCoding.outside(&outside)?.id == event
      found = KeyRow.Result(record, isAbsorbed: !isOwn)
    }
    return found
  }
}
