import TriggerCore
import TriggerHost

/// What every `EngineClock` keeps, checked against one: call it from a test of the clock.
public struct EngineClockContract {
  /// A rule that the clock broke.
  public struct Violation: Error, CustomStringConvertible {
    /// Which rule, and what was seen instead.
    public let description: String
  }

  private let clock: any EngineClock

  /// Runs the contract. Takes a few hundredths of a second with a clock that nobody moves.
  ///
  /// - Parameter pass: lets time pass on the clock, where it does not by itself; called while somebody sleeps.
  /// - Throws: the first `Violation`.
  public static func check(
    _ clock: any EngineClock, letPass pass: @escaping @Sendable (Duration) async -> Void = { _ in }
  ) async throws {
    let contract = EngineClockContract(clock: clock)
    try await contract.neverGoesBack(pass)
    try contract.readsBothAtOnce()
    try await contract.wakes(pass)
    try await contract.canBeCancelled()
  }

  private func require(_ condition: Bool, _ rule: @autoclosure () -> String) throws {
    if !condition { throw Violation(description: rule()) }
  }

  /// Seen from several threads.
  private func neverGoesBack(_ pass: @escaping @Sendable (Duration) async -> Void) async throws {
    let clock = clock
    let worst = await withTaskGroup(of: Int64.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var worst = Int64.max
          var last = clock.monotonic()
          for _ in 0..<10_000 {
            let now = clock.monotonic()
            worst = min(worst, now - last)
            last = now
          }
          return worst
        }
      }
      await pass(.milliseconds(1))
      return await group.reduce(Int64.max) { min($0, $1) }
    }
    try require(worst >= 0, "monotonic() never goes back; it went back by \(-worst) ns")
  }

  private func readsBothAtOnce() throws {
    let (wallBefore, before) = (clock.now(), clock.monotonic())
    let reading = clock.read()
    let (wallAfter, after) = (clock.now(), clock.monotonic())
    try require(
      before <= reading.monotonic && reading.monotonic <= after,
      "read() has the monotonic time of the call; \(reading.monotonic) is not from \(before) to \(after)")
    // Somebody may set the machine's clock meanwhile: by less than this, as a rule.
    let slack: Int64 = 1_000_000_000
    try require(
      reading.wall >= wallBefore - slack && reading.wall <= wallAfter + slack,
      "read() has the wall time of the call; \(reading.wall) is not from \(wallBefore) to \(wallAfter)")
  }

  /// Either clock's time is enough.
  private func wakes(_ pass: @escaping @Sendable (Duration) async -> Void) async throws {
    let past = clock.read()
    try await clock.sleep(until: past)
    for byWall in [true, false] {
      let start = clock.read()
      let span: Int64 = 2_000_000
      let due = ClockReading(
        wall: byWall ? start.wall + span : .max,
        monotonic: byWall ? .never : start.monotonic + span)
      let clock = clock
      let sleeper = Task {
        while !(clock.now() >= due.wall || clock.monotonic() >= due.monotonic) {
          try await clock.sleep(until: due)
        }
      }
      await pass(.nanoseconds(span))
      try await sleeper.value
    }
  }

  private func canBeCancelled() async throws {
    let clock = clock
    let sleeper = Task {
      while true { try await clock.sleep(until: ClockReading(wall: .max, monotonic: .never)) }
    }
    sleeper.cancel()
    if case .failure(let error) = await sleeper.result {
      try require(
        error is CancellationError, "a sleep that is cancelled throws CancellationError, not \(error)")
    }
  }
}
