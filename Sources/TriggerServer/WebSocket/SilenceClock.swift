import NIOCore

/// Since when nothing has come on a WebSocket, and what to do about it. A pure machine: it is told what happens and at what
/// time.
struct SilenceClock {
  enum Step: Equatable {
    /// Look again at this moment.
    case wait(until: NIODeadline)
    /// Ask, and look again at this moment.
    case ping(until: NIODeadline)
    /// Nobody is there any more.
    case dead
  }

  private let bound: TimeAmount
  private var heard: NIODeadline
  private var asked: NIODeadline?

  init(bound: TimeAmount, now: NIODeadline) { (self.bound, heard) = (bound, now) }

  /// A sign of life, or the end of a time in which there could be none.
  mutating func heard(at now: NIODeadline) { (heard, asked) = (now, nil) }

  mutating func look(at now: NIODeadline) -> Step {
    if let asked { return now < asked + bound ? .wait(until: asked + bound) : .dead }
    if now < heard + bound { return .wait(until: heard + bound) }
    asked = now
    return .ping(until: now + bound)
  }
}
