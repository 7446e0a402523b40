import TriggerHost

/// A connection to a client of a session, whatever carries it. Any thread; nothing waits.
package protocol SessionSocket: AnyObject, Sendable {
  /// Messages on their way to the client, each as JSON text, in order.
  func send(_ frames: [[UInt8]])
  /// It has a session: events may come in its name.
  func opened(session: String)
  /// Nothing more comes. The session stays, for who comes back.
  func end(_ reason: SessionEnd)
  /// Bytes that were given to `send` and that the client has not taken.
  var waitingBytes: Int { get }
}

/// Why a socket gets nothing more.
package enum SessionEnd: Sendable, Hashable {
  /// Its client takes too little: what it has not got waits in its session, as long as that is kept.
  case slow
  /// The host has as many sessions as it takes (`sessions.most`).
  case full
  /// Records were let go before its session has read them: what they say to it is missing.
  case lost
  /// The log cannot be read.
  case failed
  /// The host ends.
  case stopping
}

/// Who comes, and for what.
package struct SessionOpening: Sendable {
  /// Who opens a session: only the owner gets it again.
  package var owner: String
  /// The session that was there before, and the token that was seen last; nil: a new one.
  package var resumed: (id: String, since: Int64)?

  package init(owner: String, resumed: (id: String, since: Int64)? = nil) {
    (self.owner, self.resumed) = (owner, resumed)
  }
}

/// A socket of a session. Guarded by the lock of `HostSessions`.
package final class SessionLink: @unchecked Sendable {  // as said
  enum Way {
    /// It has no session yet, or none any more.
    case closed
    /// It gets each message as it comes.
    case live
    /// It gets what it has not got from the log.
    case behind
  }

  let socket: any SessionSocket
  var session: Session?
  var way = Way.closed
  /// The token of the last message that was given to the socket.
  var sent: Int64 = 0
  /// Messages that the socket gets with the next ones.
  var coming: [[UInt8]] = []
  var comingBytes = 0
  /// When it last took something while it was behind.
  var progress = ContinuousClock.now

  init(_ socket: any SessionSocket) { self.socket = socket }
}
