import Testing
import TriggerCore

@testable import TriggerHost

/// What the age of records is judged by, minute for minute.
@Suite struct AgeClockTests {
  private static let minute: Int64 = 60_000_000_000
  private var wall: Int64 = 1000 * minute
  private var monotonic: Int64 = 5 * minute

  private func reading() -> ClockReading {
    ClockReading(wall: wall, monotonic: MonotonicTime(nanoseconds: monotonic))
  }

  private mutating func pass(_ minutes: Int64) {
    wall += minutes * Self.minute
    monotonic += minutes * Self.minute
  }

  @Test mutating func aClockThatNobodySetsIsBelieved() {
    var clock = AgeClock(reading(), newest: nil)
    for _ in 0..<50 {
      pass(3)
      #expect(clock.look(reading()) == wall)
    }
  }

  @Test mutating func aGlitchAheadIsNotBelieved() {
    var clock = AgeClock(reading(), newest: nil)
    let year = 365 * 24 * 60 * Self.minute
    wall += 10 * year
    for _ in 0..<9 {
      pass(1)
      #expect(clock.look(reading()) == wall - 10 * year)
    }
    wall -= 10 * year
    for _ in 0..<50 {
      pass(1)
      #expect(clock.look(reading()) == wall)
    }
  }

  @Test(arguments: [1, 3, 7, 30]) mutating func aStepAheadIsBelievedInTheEnd(between: Int64) {
    var clock = AgeClock(reading(), newest: nil)
    _ = clock.look(reading())
    wall += 100 * Self.minute
    #expect(clock.look(reading()) == wall - 100 * Self.minute)
    // Two spans, each until the first look that is ten minutes after the one before.
    let most = 2 * ((10 + between - 1) / between * between)
    var minutes: Int64 = 0
    while clock.look(reading()) != wall {
      pass(between)
      minutes += between
      #expect(minutes <= most)
    }
    #expect(minutes >= 10)
  }

  @Test mutating func aStepBackIsBelievedAtOnce() {
    var clock = AgeClock(reading(), newest: nil)
    wall -= 100 * Self.minute
    #expect(clock.look(reading()) == wall)
  }

  /// Whether the host was down or the clock is wrong nobody knows then.
  @Test mutating func aStartWithAClockAheadOfTheLogWaits() {
    let newest = wall
    wall += 500 * Self.minute
    var clock = AgeClock(reading(), newest: newest)
    #expect(clock.look(reading()) == newest)
    for _ in 0..<21 {
      pass(1)
      _ = clock.look(reading())
    }
    #expect(clock.look(reading()) == wall)
  }
}
