import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct ScheduleMachineTests {
  private typealias Machine = ScheduleMachine
  /// 2026-01-01T00:00:00Z.
  private let start = Timestamp(nanoseconds: 1_767_225_600_000_000_000)

  private func at(_ seconds: Double) -> Timestamp {
    Timestamp(nanoseconds: start.nanoseconds + Int64(seconds * 1e9))
  }
  private func every(_ span: Duration, _ name: String = "job") -> ScheduledJob {
    ScheduledJob(name: name, rule: .every(span), action: .trigger("t"))
  }
  private func fire(_ seconds: Double, _ job: String = "job") -> Machine.Fire {
    Machine.Fire(job: job, instant: at(seconds))
  }
  private func machine(_ jobs: ScheduledJob...) -> Machine {
    var machine = Machine()
    for job in jobs {
      let isAdded = machine.add(job, at: start)
      #expect(isAdded)
    }
    return machine
  }

  @Test func everyInstantOnce() {
    var machine = machine(every(.seconds(2)))
    #expect(machine.nextDue == at(2))
    #expect(machine.advance(to: at(1.9)).isEmpty)
    #expect(machine.advance(to: at(2)) == [.start(fire(2))])
    #expect(machine.advance(to: at(2)).isEmpty)
    // The clock goes back: nothing fires twice.
    #expect(machine.advance(to: at(1)).isEmpty)
    #expect(machine.nextDue == at(4))
  }

  @Test func jobsInOrderOfTheirTimes() {
    var machine = machine(every(.seconds(3), "slow"), every(.seconds(2), "quick"))
    #expect(machine.advance(to: at(3)) == [.start(fire(2, "quick")), .start(fire(3, "slow"))])
  }

  @Test func lateFiresCoalesceOrAreMissed() {
    var job = every(.seconds(1))
    var machine = machine(job)
    // Five seconds late: four are more than one period late, the last one is not.
    #expect(
      machine.advance(to: at(5)) == [.missed(last: fire(3), count: 3), .start(fire(5))])
    job.misfireGraceTime = .seconds(10)
    machine = self.machine(job)
    #expect(machine.advance(to: at(5)) == [.start(fire(5))])
    job.coalesce = false
    job.mode = .queued
    machine = self.machine(job)
    #expect(
      machine.advance(to: at(3)) == [.start(fire(1)), .waits(fire(2)), .waits(fire(3))])
    #expect(machine.ended(fire(1)) == fire(2))
    #expect(machine.ended(fire(2)) == fire(3))
    #expect(machine.ended(fire(3)) == nil)
  }

  @Test func aYearAsleepIsNotCountedOut() {
    var machine = machine(every(.seconds(1)))
    let year = 365.0 * 86_400
    let actions = machine.advance(to: at(year))
    #expect(actions.count == 2)
    guard case .missed(_, let count)? = actions.first else { return #expect(Bool(false)) }
    #expect(count > Machine.catchUpLimit)
    #expect(actions.last == .start(fire(year)))
    #expect(machine.nextDue == at(year + 1))
  }

  @Test func aKnownJobGoesOnWhereItWas() {
    // Known since 5, never fired: its span does not begin anew at 100.
    var machine = known(every(.seconds(60)), at: 100, since: 5)
    #expect(machine.nextDue == at(65))
    #expect(machine.advance(to: at(100)) == [.start(fire(65))])
    #expect(machine.nextDue == at(125))
    // Its newest fire was at 65: not again.
    machine = known(every(.seconds(60)), at: 100, since: 65)
    #expect(machine.nextDue == at(125))
    // What is past fires late when it was known before, once.
    var once = every(.seconds(1))
    once.rule = .at(at(50))
    machine = known(once, at: 100, since: 5)
    #expect(machine.advance(to: at(100)) == [.start(fire(50))])
    machine = known(once, at: 100, since: 50)
    #expect(machine.nextDue == nil)
    // Each start of the host is a start.
    once.rule = .start
    machine = known(once, at: 100, since: 5)
    #expect(machine.nextDue == at(100))
    // A clock that was set back makes no fire happen twice.
    machine = known(every(.seconds(60)), at: 100, since: 500)
    #expect(machine.nextDue == at(560))
  }

  private func known(_ job: ScheduledJob, at now: Double, since: Double) -> Machine {
    var machine = Machine()
    let isNew = machine.add(job, at: at(now), since: at(since))
    #expect(isNew)
    return machine
  }

  @Test func overlaps() {
    var job = every(.seconds(1))
    var machine = machine(job)
    #expect(machine.advance(to: at(1)) == [.start(fire(1))])
    #expect(machine.advance(to: at(2)) == [.dropped(fire(2))])
    #expect(machine.ended(fire(1)) == nil)
    #expect(machine.advance(to: at(3)) == [.start(fire(3))])

    job.mode = .restart
    machine = self.machine(job)
    #expect(machine.advance(to: at(1)) == [.start(fire(1))])
    #expect(machine.advance(to: at(2)) == [.replace(old: fire(1), by: fire(2))])
    // The end of what was replaced frees no place.
    #expect(machine.ended(fire(1)) == nil)
    #expect(machine.advance(to: at(3)) == [.replace(old: fire(2), by: fire(3))])

    job.mode = .parallel
    job.maxInstances = 2
    machine = self.machine(job)
    #expect(machine.advance(to: at(1)) == [.start(fire(1))])
    #expect(machine.advance(to: at(2)) == [.start(fire(2))])
    #expect(machine.advance(to: at(3)) == [.dropped(fire(3))])
  }

  @Test func jitterIsBoundedAndRepeats() {
    var job = every(.seconds(10))
    job.jitter = .seconds(3)
    var extras: Set<Int64> = []
    for n in 1...200 {
      let instant = at(Double(n) * 10)
      let extra = job.due(instant).nanoseconds - instant.nanoseconds
      #expect(extra == job.due(instant).nanoseconds - instant.nanoseconds)
      #expect((0..<3_000_000_000).contains(extra))
      extras.insert(extra)
    }
    #expect(extras.count > 190)
    var other = job
    other.name = "other"
    #expect(other.due(at(10)) != job.due(at(10)))
  }

  @Test func singleTimesAndStarts() {
    var machine = machine(
      ScheduledJob(name: "past", rule: .at(at(-1)), action: .event("e")),
      ScheduledJob(name: "once", rule: .at(at(5)), action: .event("e")),
      ScheduledJob(name: "boot", rule: .start, action: .event("e")))
    let isAdded = machine.add(every(.seconds(1), "once"), at: start)
    #expect(!isAdded)
    #expect(machine.advance(to: start) == [.start(fire(0, "boot"))])
    // Late by an hour: a single time runs all the same.
    #expect(machine.advance(to: at(3600)) == [.start(fire(5, "once"))])
    #expect(machine.nextDue == nil)
    let removals = [machine.remove("once"), machine.remove("once")]
    #expect(removals == [true, false])
  }

  /// Whatever the steps of the clock: each instant is decided once, in order, and none is left out.
  @Test func everyInstantIsDecidedOnce() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for _ in 0..<100 {
      var job = every(.seconds(Int.random(in: 1...5, using: &random)))
      job.jitter = Bool.random(using: &random) ? .zero : .milliseconds(1500)
      job.coalesce = false
      job.mode = .parallel
      job.maxInstances = 1000
      var machine = machine(job)
      var (now, decided, missed) = (0.0, [Timestamp](), 0)
      while now < 200 {
        now += Double(Int.random(in: 0...9000, using: &random)) / 1000
        for action in machine.advance(to: at(now)) {
          switch action {
          case .start(let fire): decided.append(fire.instant)
          case .missed(_, let count): missed += count
          default: Issue.record("seed \(seed): \(action)")
          }
        }
      }
      let next = try #require(machine.nextDue)
      #expect(Set(decided).count == decided.count, "seed \(seed): fired twice")
      #expect(decided == decided.sorted(), "seed \(seed): out of order")
      let all = try #require(job.rule.anchored(at: start).instants(until: next, of: job))
      #expect(decided.count + missed == all, "seed \(seed): \(decided.count) + \(missed) of \(all)")
    }
  }
}

extension ScheduledJob.Rule {
  /// How many instants are due before `end`.
  fileprivate func instants(until end: Timestamp, of job: ScheduledJob) -> Int? {
    guard case .every(_, let from?) = self else { return nil }
    var (time, count) = (from, 0)
    while let next = next(after: time), job.due(next) < end {
      count += 1
      time = next
    }
    return count
  }
}
