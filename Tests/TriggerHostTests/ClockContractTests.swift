import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// Clocks of the library, and one that is broken.
@Suite struct ClockContractTests {
  @Test func theMachines() async throws { try await EngineClockContract.check(SystemClock()) }

  @Test func theManual() async throws {
    let clock = ManualClock(now: 1_000_000_000_000)
    try await EngineClockContract.check(clock) { clock.advance(by: $0) }
  }

  /// A clock of one's own that goes back now and then, as a naive one does when somebody sets the wall clock.
  private final class Broken: EngineClock {
    private let reads = Atomic<Int>(0)
    private let system = SystemClock()

    func now() -> Int64 { system.now() }
    func monotonic() -> MonotonicTime {
      let isBack = reads.wrappingAdd(1, ordering: .relaxed).newValue % 1000 == 0
      return system.monotonic() + (isBack ? -60_000_000_000 : 0)
    }
    func sleep(until due: ClockReading) async throws { try await system.sleep(until: due) }
  }

  @Test func oneThatGoesBackIsFound() async {
    await #expect(throws: EngineClockContract.Violation.self) {
      try await EngineClockContract.check(Broken())
    }
  }
}
