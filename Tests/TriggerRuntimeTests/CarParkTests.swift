import Logging
import ServiceLifecycle
import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

@testable import car_park

/// `examples/embedder`, on a clock that the test moves.
@Suite(.timeLimit(.minutes(10))) struct CarParkTests {
  private let start = try! Timestamp(parsing: "2026-01-31T21:00:00Z")

  @Test func anEveningAndAMidnight() async throws {
    let clock = ManualClock(now: start.nanoseconds)
    let garage = try Garage(spaces: 2, clock: clock)
    func pass(_ span: Duration) async {
      clock.advance(by: span)
      garage.host.scheduler.fireDue()
      await garage.host.scheduler.waitUntilFired()
      await garage.host.queue.waitUntilIdle()
    }
    let doors = Doors(garage: garage, lines: AsyncStream { $0.finish() }) { _ in }
    #expect(try await doors.answer(to: "enter A") == "A may enter. Free: 1, taken today: 0 cents")
    #expect(try await doors.answer(to: "enter A") == "no: Enter: A is inside already")
    #expect(try await doors.answer(to: "enter B") == "B may enter. Free: 0, taken today: 0 cents")
    #expect(try await doors.answer(to: "enter C") == "no: Enter: every space is taken")
    #expect(try await doors.answer(to: "open") == "say 'enter PLATE' or 'leave PLATE'")
    await pass(.seconds(90 * 60))
    #expect(try await doors.answer(to: "leave A") == "A may leave. Free: 1, taken today: 500 cents")
    await pass(.seconds(90 * 60))
    let midnight = try Timestamp(parsing: "2026-02-01T00:00:00Z").nanoseconds
    #expect(garage.park.days == [CarPark.Day(end: midnight, cents: 500)])
    #expect(garage.park.cents == 0 && Array(garage.park.inside.keys) == ["B"])
    let bad = try await garage.host.queue.perform(Event("enter", ["plate": 7]))
    #expect(bad.first?.error == "Enter: event.plate: expected a string, got an integer")
    await garage.host.stop()
  }

  /// More cars than spaces, all at once: nobody gets a space twice.
  @Test func theLastSpaceGoesToOne() async throws {
    let garage = try Garage(spaces: 3, clock: ManualClock(now: start.nanoseconds))
    let doors = Doors(garage: garage, lines: AsyncStream { $0.finish() }) { _ in }
    let answers = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<20 { group.addTask { try await doors.answer(to: "enter car \(number)") } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.count { !$0.hasPrefix("no:") } == 3)
    #expect(garage.park.free == 0)
    await garage.host.stop()
  }

  /// As `main` runs it: both services in a group that ends with the lines.
  @Test func inAServiceGroup() async throws {
    let garage = try Garage(spaces: 1)
    let said = Mutex<[String]>([])
    let lines = AsyncStream<String> { line in
      for text in ["enter A", "leave A"] { line.yield(text) }
      line.finish()
    }
    let doors = Doors(garage: garage, lines: lines) { text in said.withLock { $0.append(text) } }
    try await ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(service: garage.host),
          .init(service: doors, successTerminationBehavior: .gracefullyShutdownGroup),
        ], logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    ).run()
    #expect(said.withLock { $0.count } == 2)
    #expect(said.withLock { $0.last } == "A may leave. Free: 1, taken today: 250 cents")
    await #expect(throws: QueueStopped.self) { try await garage.host.queue.perform(Event("enter")) }
  }
}
