import Dispatch
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct ClockTests {
  private let second: Int64 = 1_000_000_000

  private func reading(_ seconds: Double, off: Double = 0) -> ClockReading {
    let passed = Int64(seconds * 1e9)
    return ClockReading(
      wall: 1_767_225_600_000_000_000 + passed + Int64(off * 1e9),
      monotonic: MonotonicTime(nanoseconds: passed))
  }

  @Test func aStepIsNoticedOnceInBothDirections() {
    var watch = ClockWatch(reading(0))
    #expect(watch.look(reading(1)) == nil)
    let ahead = watch.look(reading(2, off: 3))
    #expect(ahead == ClockWatch.Step(by: 3 * second, to: reading(2, off: 3).wall))
    #expect(watch.look(reading(3, off: 3)) == nil)
    #expect(watch.look(reading(4, off: -3597))?.by == -3600 * second)
    #expect(watch.look(reading(100_000, off: -3597)) == nil)
    #expect(
      "\(ClockStep(by: .seconds(-3600), to: Timestamp(nanoseconds: reading(4, off: -3600).wall)))".hasPrefix(
        "the clock was set back by 3600.0 s, to 2025-12-31T23:00:04Z"))
  }

  /// A clock that is made to run faster to catch up was not set.
  @Test func aClockThatIsSlewedWasNotSet() {
    var watch = ClockWatch(reading(0))
    for n in 1...10_000 { #expect(watch.look(reading(Double(n), off: Double(n) * 0.0005)) == nil) }
    // Not looked at for a day.
    #expect(watch.look(reading(96_400, off: 48.2)) == nil)
  }

  @Test func timeInWhichTheProcessStoodStillDoesNotCount() {
    var passage = Passage(MonotonicTime(nanoseconds: 0))
    var passed: Int64 = 0
    for n in 1...100 { passed += passage.look(MonotonicTime(nanoseconds: Int64(n) * 500_000)).passed }
    #expect(passed == 50_000_000)
    // Stopped for two and a half seconds.
    let stopped = passage.look(MonotonicTime(nanoseconds: 2_550_000_000))
    #expect(stopped.passed == Passage.longest && stopped.paused == 2_500_000_000 - Passage.longest)
  }

  private func queue(_ options: String, _ clock: ManualClock, workers: Int = 1) -> (
    CommitCoordinator, TriggerQueue
  ) {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: workers), clock: clock)
    let queue = TriggerQueue(coordinator)
    let script = """
      return { on = { event = "n" }, \(options), execute = function(event, ctx)
        local state = ctx:store("state")
        if event.fails and not state:get("mended") then error("broken") end
        return { state:append("all", event.n), event.mends and state:put("mended", true) or nil }
      end }
      """
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    return (coordinator, queue)
  }

  /// Moves everything that can move without the clock.
  private func run(_ engine: SteppedEngine) {
    for _ in 0..<4 {
      _ = engine.watch()
      if engine.exchange(0) > 0 { while engine.begin(0) { engine.end(0) } }
    }
  }

  /// Whoever sets the wall clock, and however far: spans are over when they are over.
  @Test(arguments: [-3600, 3600, -315_360_000, 315_360_000]) func gatesAndRetriesTakeNoNotice(step: Int)
    throws
  {
    for (options, fails) in [
      (#"debounce = "10s""#, false), (#"throttle = "10s""#, false),
      (#"retry = { attempts = 2, backoff = "10s" }"#, true),
    ] {
      let clock = ManualClock(now: 1_767_225_600_000_000_000)
      let (coordinator, queue) = queue(options, clock)
      let engine = SteppedEngine(queue)
      defer { engine.end() }
      func seen() throws -> Value? { try coordinator.store("state").get("all") }
      if options.contains("throttle") {
        #expect(try queue.offer(Event("n", ["n": 0])) == 1)
        run(engine)
      }
      #expect(try queue.offer(Event("n", ["n": 1, "fails": .bool(fails)])) == 1)
      run(engine)
      if fails {
        #expect(try queue.offer(Event("n", ["n": 2, "mends": true], source: 7)) == 1)
        run(engine)
      }
      let before = try seen()
      clock.step(by: .seconds(step))
      clock.advance(by: .seconds(7))
      run(engine)
      #expect(try seen() == before, "\(options), too early")
      clock.advance(by: .seconds(6))
      run(engine)
      #expect(try seen()?.arrayValue?.contains(1) == true, "\(options), never")
    }
  }

  /// What was to be tried again at a wall time is, after a restart, when its pause has passed at the latest.
  @Test func aRetryOutlivesAClockThatWasSetBack() throws {
    let clock = ManualClock(now: 1_767_225_600_000_000_000)
    let log = MemoryCommitLog()
    let script = """
      return { on = { event = "n" }, retry = { attempts = 2, backoff = "10s" }, execute = function() error("broken") end }
      """
    func start(_ clock: ManualClock) throws -> (TriggerQueue, SteppedEngine) {
      let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), clock: clock, log: log)
      try coordinator.recover { recovery in for record in log.all { try recovery.apply(record) } }
      let queue = TriggerQueue(coordinator)
      queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
      return (queue, SteppedEngine(queue))
    }
    let (queue, engine) = try start(clock)
    #expect(try queue.offer(Event("n")) == 1)
    run(engine)
    engine.end()
    #expect(log.all.map(\.seq) == [1] && (7_500_000_000...12_500_000_000).contains(log.all[0].retryPause))
    let earlier = ManualClock(now: clock.now() - 3600 * second)
    let (next, later) = try start(earlier)
    defer { later.end() }
    run(later)
    #expect(log.all.count == 1, "its time has not come")
    earlier.advance(by: .milliseconds(12_500))
    run(later)
    #expect(log.all.map(\.seq) == [1, 2])
    _ = next
  }

  /// Latencies are of what passed: those that saw the clock being set are left out.
  @Test func latenciesAreOfWhatPassed() async throws {
    let clock = ManualClock(now: 1_767_225_600_000_000_000)
    let (coordinator, queue) = queue(#"priority = "normal""#, clock)
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    let (steps, heard) = AsyncStream.makeStream(of: Duration.self)
    coordinator.whenClockSteps { heard.yield($0.by) }
    for n in 0..<3 { #expect(try queue.offer(Event("n", ["n": .int(Int64(n))])) == 1) }
    clock.step(by: .seconds(86_400))
    _ = engine.watch()
    run(engine)
    #expect(await steps.first { _ in true } == .seconds(86_400))
    #expect(coordinator.stats.latency[.normal]?.count ?? 0 == 0)
    #expect(coordinator.stats.committed == 3)
  }

  /// Any number hear that the clock was set. One that hangs holds up neither the others nor the watchdog.
  @Test func everybodyHearsOfAClockThatIsSet() async throws {
    let clock = ManualClock(now: 1_767_225_600_000_000_000)
    let (coordinator, queue) = queue(#"priority = "normal""#, clock)
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    let goOn = DispatchSemaphore(value: 0)
    defer { goOn.signal() }
    coordinator.whenClockSteps { _ in goOn.wait() }
    let observers = (0..<2).map { _ in AsyncStream.makeStream(of: Duration.self) }
    for (_, heard) in observers { coordinator.whenClockSteps { heard.yield($0.by) } }
    #expect(try queue.offer(Event("n", ["n": .int(1)])) == 1)
    clock.step(by: .seconds(86_400))
    _ = engine.watch()
    for (steps, _) in observers { #expect(await steps.first { _ in true } == .seconds(86_400)) }
    run(engine)
  }
}
