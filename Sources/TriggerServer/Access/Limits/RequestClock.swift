import TriggerCore
import TriggerHost

/// When a connection has kept the host waiting for too long: between requests, in the head of one, in its body. A pure
/// machine for one connection: it is told what happens, and says until when it waits for what. O(1), no allocation.
///
/// While the host itself does not read, since it has enough to do, no time counts against the sender.
public struct RequestClock: Hashable, Sendable {
  /// What happens on a connection.
  public enum Event: Hashable, Sendable {
    /// Bytes have come, of whatever.
    case bytes(Int)
    /// The head of a request is whole.
    case head
    /// The body of a request is whole; also of one without a body.
    case end
    /// The answer is on its way.
    case answered
    /// The host stops reading.
    case paused
    /// The host reads on.
    case resumed
  }

  /// What is to be done when the time has come.
  public enum Due: Hashable, Sendable {
    /// End the connection without a word: nothing was asked.
    case close
    /// Answer so, and end the connection.
    case refuse(Refusal)
  }

  private enum Phase: Hashable {
    /// Nothing of a request has come.
    case idle
    case head
    case body
    /// The request is here, the answer is not.
    case serving
  }

  private let limits: ServerLimits
  private var phase = Phase.idle
  private var since: MonotonicTime
  private var received = 0
  /// Bytes of the next request have come while the one before is served.
  private var hasNext = false
  /// The answer went out before the body was whole.
  private var isAnswered = false
  private var pausedSince: MonotonicTime?

  /// - Parameter now: when the connection was opened.
  public init(_ limits: ServerLimits, at now: MonotonicTime) {
    self.limits = limits
    since = now
  }

  /// Until when the host waits, and for what; nil: the turn is the host's own.
  public var deadline: (time: MonotonicTime, due: Due)? {
    if pausedSince != nil { return nil }
    switch phase {
    case .serving: return nil
    case .idle: return (since + limits.idleTime.nanoseconds, .close)
    case .head:
      let text = "The head of the request was not whole after \(TimeSpan.format(limits.headerTime))."
      return (since + limits.headerTime.nanoseconds, .refuse(Refusal(.headerTime, text)))
    case .body:
      let text =
        "The body of the request comes more slowly than \(ByteSize(bytes: limits.bodyRate)) a second."
      return (since + bodyTime, .refuse(Refusal(.bodyTime, text)))
    }
  }

  /// Nanoseconds that the body may take with what has come of it.
  private var bodyTime: Int64 {
    let earned = Duration.seconds(Double(received) / Double(limits.bodyRate))
    return (limits.bodyTime + earned).nanoseconds
  }

  /// Goes on; ask for `deadline` afterwards.
  public mutating func handle(_ event: Event, at now: MonotonicTime) {
    switch event {
    case .bytes(let count): take(count, at: now)
    case .head:
      (phase, received, isAnswered) = (.body, 0, false)
      start(at: now)
    case .end:
      if phase == .body { isAnswered ? begin(at: now) : (phase = .serving) }
    case .answered:
      if phase == .body { isAnswered = true } else if phase == .serving { begin(at: now) }
    case .paused: pausedSince = pausedSince ?? now
    case .resumed:
      if let pausedSince { since = since + (now - pausedSince) }
      pausedSince = nil
    }
  }

  private mutating func take(_ count: Int, at now: MonotonicTime) {
    switch phase {
    case .idle:
      phase = .head
      start(at: now)
    case .head: break
    case .body: received += min(count, .max - received)
    case .serving: hasNext = true
    }
  }

  private mutating func begin(at now: MonotonicTime) {
    (phase, hasNext) = (hasNext ? .head : .idle, false)
    start(at: now)
  }

  /// A pause that goes on counts from now.
  private mutating func start(at now: MonotonicTime) {
    since = now
    if pausedSince != nil { pausedSince = now }
  }
}
