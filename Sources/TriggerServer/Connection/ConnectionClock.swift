/// What a connection waits for, and until when. A pure machine: it is told what happens and at what time, and says when
/// it is late.
struct ConnectionClock {
  /// What is late.
  enum Lateness: Equatable {
    /// Nobody asked for anything: the connection is closed without a word.
    case idle
    /// The head or the body of a request has not come.
    case request
  }

  private enum Reading {
    /// Nothing of a request has come.
    case nothing
    case head
    case body
  }

  private let limits: ServerLimits
  private var reading = Reading.nothing
  /// Since when it waits for what it waits for.
  private var since: ContinuousClock.Instant
  /// Requests whose answers have not ended.
  private(set) var unanswered = 0
  /// More of a body is wanted, and has not come.
  private var wantsBody = false

  init(_ limits: ServerLimits, now: ContinuousClock.Instant) {
    self.limits = limits
    since = now
  }

  /// Bytes have come, whatever they are.
  mutating func bytesCame(at now: ContinuousClock.Instant) {
    wantsBody = false
    switch reading {
    case .nothing: (reading, since) = (.head, now)
    // A head has its time in all: one byte a second is late, too.
    case .head: break
    case .body: since = now
    }
  }

  /// The server wants to read on.
  mutating func readBegins(at now: ContinuousClock.Instant) {
    if reading == .body, !wantsBody { (wantsBody, since) = (true, now) }
  }

  mutating func headCame() {
    reading = .body
    unanswered += 1
  }

  mutating func requestEnded(at now: ContinuousClock.Instant) { (reading, since) = (.nothing, now) }

  mutating func answerEnded(at now: ContinuousClock.Instant) {
    unanswered = max(0, unanswered - 1)
    if reading == .nothing { since = now }
  }

  /// A head has come, and its body has not ended.
  var isInBody: Bool { reading == .body }

  /// A request is being read, or the next may be: none waits for its answer.
  var mayReadOn: Bool { reading != .nothing || unanswered == 0 }

  /// When it is late unless something happens before; nil: never.
  var deadline: ContinuousClock.Instant? {
    switch reading {
    case .nothing: unanswered == 0 ? since + limits.idleTime : nil
    case .head: since + limits.headerTime
    case .body: wantsBody ? since + limits.bodyTime : nil
    }
  }

  func lateness(at now: ContinuousClock.Instant) -> Lateness? {
    guard let deadline, now >= deadline else { return nil }
    return reading == .nothing ? .idle : .request
  }
}
