import Testing

@testable import TriggerServer

@Suite struct ConnectionClockTests {
  private let start = ContinuousClock.now
  private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

  /// The second at which it is late, and for what.
  private func late(_ clock: ConnectionClock) -> String {
    guard let deadline = clock.deadline else { return "never" }
    #expect(clock.lateness(at: deadline - .nanoseconds(1)) == nil)
    return
      "\((deadline - start) / .seconds(1)) \(clock.lateness(at: deadline) == .idle ? "idle" : "request")"
  }

  @Test func eachPartOfARequestHasItsTime() {
    var clock = ConnectionClock(ServerLimits(), now: at(5))
    #expect(late(clock) == "125.0 idle")
    clock.bytesCame(at: at(100))
    // A byte a second is no way to stay.
    for second in 101...109 { clock.bytesCame(at: at(Double(second))) }
    #expect(late(clock) == "110.0 request")
    clock.headCame()
    // Time counts while the server waits for more, and not while it has enough to do.
    #expect(late(clock) == "never" && clock.isInBody && clock.mayReadOn)
    clock.readBegins(at: at(110))
    clock.readBegins(at: at(120))
    #expect(late(clock) == "140.0 request")
    clock.bytesCame(at: at(130))
    #expect(late(clock) == "never")
    clock.requestEnded(at: at(131))
    // The turn is the server's own, and of a next request nothing is read.
    #expect(late(clock) == "never" && !clock.mayReadOn)
    clock.answerEnded(at: at(500))
    #expect(late(clock) == "620.0 idle" && clock.mayReadOn)
  }

  @Test func anAnswerMayEndBeforeItsRequest() {
    var clock = ConnectionClock(ServerLimits(), now: at(0))
    clock.bytesCame(at: at(0))
    clock.headCame()
    clock.answerEnded(at: at(1))
    clock.readBegins(at: at(2))
    #expect(late(clock) == "32.0 request" && clock.mayReadOn)
    clock.requestEnded(at: at(3))
    #expect(late(clock) == "123.0 idle")
  }
}
