import Synchronization
import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// The scheduler's shell on a clock that is moved by hand.
@Suite struct TriggerSchedulerTests {
  private struct Tick: Trigger {
    var name = "tick"
    func execute() async throws -> [CommitIntent] {
      [.emit("ticked", ExecutionContext.current!.event)]
    }
  }

  private static let script = """
    return {
      on = { event = "*" },
      execute = function(event, ctx)
        return { ctx:store("fires"):append(event.job, event.fire_time) }
      end,
    }
    """

  private func host(
    _ script: String = script, start: String = "2026-03-29T00:00:00Z"
  ) throws -> (CommitCoordinator, TriggerQueue, TriggerScheduler, ManualClock) {
    let clock = ManualClock(now: try Timestamp(parsing: start).nanoseconds)
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2), clock: clock)
    let queue = TriggerQueue(coordinator)
    let tree = ScriptTree(files: ["fires.lua": Array(script.utf8)])
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    queue.bind([], scripts: tree)
    queue.start()
    return (coordinator, queue, TriggerScheduler(queue), clock)
  }

  /// Moves the clock on step by step; each time the scheduler sleeps again before the next step.
  private func pass(_ clock: ManualClock, _ queue: TriggerQueue, _ step: Duration, times: Int) async throws {
    for _ in 0..<times {
      try await wait(for: "the scheduler") { await clock.waitForSleeper() }
      clock.advance(by: step)
      try await wait(for: "the scheduler") { await clock.waitForSleeper() }
      await queue.waitUntilIdle()
    }
  }

  @Test func cronJobsFollowTheWallClock() async throws {
    let (coordinator, queue, scheduler, clock) = try host()
    defer { queue.stop() }
    // 02:30 does not exist in Berlin on this day.
    var job = ScheduledJob(
      name: "night", rule: try .init(cron: "CRON_TZ=Europe/Berlin 30 2 * * *"), action: .event("night"))
    job.payload = ["extra": 1]
    try scheduler.add(job)
    try scheduler.scheduleInterval(.seconds(1800), Tick(), name: "pulse")
    // The clock may overtake the end of a run, and then the next fire is dropped.
    let dropped = Mutex(0)
    scheduler.observe { if case .dropped = $0 { dropped.withLock { $0 += 1 } } }
    scheduler.start()
    let fires = try coordinator.store("fires")
    func pulses() throws -> Int { try fires.get("pulse")?.arrayValue?.count ?? 0 }
    for fired in 1...12 {
      try await pass(clock, queue, .seconds(600), times: 3)
      // A task of its own admits the fire: the queue may be idle before.
      try await poll(for: "fire \(fired)") { try pulses() + dropped.withLock { $0 } >= fired }
    }
    scheduler.stop()
    #expect(try fires.get("night") == ["2026-03-29T01:00:00Z"])
    #expect(try pulses() + dropped.withLock { $0 } == 12)
    #expect(try pulses() > 0)
  }

  @Test func aStoppedSchedulerFiresNothing() async throws {
    let (coordinator, queue, scheduler, clock) = try host()
    defer { queue.stop() }
    try scheduler.add(ScheduledJob(name: "a", rule: .every(.seconds(1)), action: .event("a")))
    clock.advance(by: .seconds(10))
    #expect(coordinator.stats.currentSeq == 0)
    #expect(scheduler.nextFire(of: "a")?.description == "2026-03-29T00:00:01Z")
    #expect(throws: ScheduleError.self) {
      try scheduler.add(ScheduledJob(name: "a", rule: .start, action: .event("a")))
    }
    #expect(throws: CronSyntaxError.self) { try scheduler.scheduleCron("61 * * * *", Tick()) }
    #expect(throws: ScheduleError.self) { try scheduler.scheduleCron("CRON_TZ=Nowhere @daily", Tick()) }
  }

  @Test func tellsOfFiresThatDidNotRun() async throws {
    let (_, queue, scheduler, clock) = try host()
    defer { queue.stop() }
    let notices = Watched<[String]>([])
    // The second took the place of the first.
    scheduler.observe { notice in notices.update { $0.append("\(notice)") } }
    scheduler.observe { _ in }.cancel()
    scheduler.observe { _ in }
    try scheduler.add(ScheduledJob(name: "lost", rule: .every(.seconds(1)), action: .trigger("nobody")))
    scheduler.start()
    try await wait(for: "the scheduler") { await clock.waitForSleeper() }
    clock.advance(by: .seconds(5))
    try await notices.wait(for: "all notices") { $0.count >= 3 }
    #expect(
      notices.value == [
        "schedule 'lost': 3 fires from 2026-03-29T00:00:01Z to 2026-03-29T00:00:03Z missed: later than misfire_grace_time allows, raise it to run late ones",
        "schedule 'lost': 1 fire at 2026-03-29T00:00:04Z left out, for newer ones were due too: of several the newest runs, with coalesce: false the newest 100",
        "schedule 'lost': nothing runs at 'nobody'",
      ])
  }

  /// The second fire comes while the first still runs: with `restart` the first ends `skipped`.
  @Test func restartCancelsTheRunThatGoesOn() async throws {
    let (coordinator, queue, scheduler, clock) = try host(
      """
      return {
        on = { event = "unused" },
        timeout = "60s",
        execute = function(event, ctx)
          if event.fire_time == "2026-03-29T00:00:01Z" then while true do end end
          return { ctx:store("fires"):append(event.job, event.fire_time) }
        end,
      }
      """)
    defer { queue.stop() }
    var job = ScheduledJob(name: "job", rule: .every(.seconds(1)), action: .trigger("fires"))
    job.mode = .restart
    try scheduler.add(job)
    scheduler.start()
    try await wait(for: "the scheduler") { await clock.waitForSleeper() }
    clock.advance(by: .seconds(1))
    try await wait(for: "the first fire") { await coordinator.waitUntil { $0.undecided > 0 } }
    try await wait(for: "the scheduler") { await clock.waitForSleeper() }
    clock.advance(by: .seconds(1))
    // Before it sleeps again, it has begun the second fire.
    try await wait(for: "the scheduler") { await clock.waitForSleeper() }
    await scheduler.waitUntilFired()
    await queue.waitUntilIdle()
    #expect(try coordinator.store("fires").get("job") == ["2026-03-29T00:00:02Z"])
    #expect(coordinator.stats.skipped == 1)
  }
}
