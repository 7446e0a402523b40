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
  /// So much time has passed since the start; the wall is ahead of that by `off`.
  private func now(_ seconds: Double, off: Double = 0) -> ClockReading {
    ClockReading(
      wall: at(seconds + off).nanoseconds, monotonic: MonotonicTime(nanoseconds: Int64(seconds * 1e9)))
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
      let isAdded = machine.add(job, at: now(0))
      #expect(isAdded)
    }
    return machine
  }

  private func fires(_ first: Double, _ last: Double, _ count: Int, isMore: Bool = false) -> Machine.Fires {
    Machine.Fires(job: "job", first: at(first), last: at(last), count: count, isMore: isMore)
  }
  private func due(_ machine: Machine) -> Timestamp? {
    machine.jobs.compactMap { machine.nextDue(of: $0.name) }.min()
  }

  @Test func everyInstantOnce() {
    var machine = machine(every(.seconds(2)))
    #expect(due(machine) == at(2))
    #expect(machine.advance(to: now(1.9)).isEmpty)
    #expect(machine.advance(to: now(2)) == [.start(fire(2))])
    #expect(machine.advance(to: now(2)).isEmpty)
    #expect(due(machine) == at(4))
  }

  /// A job that is saved anew goes on where it was, and what has fired does not fire again.
  @Test func jobsAreReplaced() {
    var job = every(.seconds(10))
    var machine = machine(job, every(.seconds(100), "other"))
    #expect(machine.advance(to: now(10)) == [.start(fire(10))])
    _ = machine.ended(fire(10), at: now(10))
    job.payload = ["n": 1]
    var isThere = machine.replace(job, at: now(15))
    #expect(isThere && machine.jobs.map(\.payload).first == ["n": 1] && machine.nextDue(of: "job") == at(20))
    // Another rule begins anew.
    job.rule = .every(.seconds(7))
    isThere = machine.replace(job, at: now(15))
    #expect(isThere && machine.nextDue(of: "job") == at(22) && machine.jobs.map(\.name) == ["job", "other"])
    isThere = machine.replace(every(.seconds(1), "none"), at: now(15))
    #expect(!isThere)
    // Gone and back at a wall time that it has fired at.
    var once = ScheduledJob(name: "once", rule: .at(at(30)), action: .trigger("t"))
    _ = machine.add(once, at: now(16))
    #expect(machine.advance(to: now(30)).contains(.start(fire(30, "once"))))
    _ = machine.remove("once")
    _ = machine.add(once, at: now(30))
    #expect(!machine.advance(to: now(40)).contains(.start(fire(30, "once"))))
    once.payload = ["n": 2]
    isThere = machine.replace(once, at: now(40))
    #expect(isThere && machine.nextDue(of: "once") == nil)
  }

  @Test func jobsInOrderOfTheirTimes() {
    var machine = machine(every(.seconds(3), "slow"), every(.seconds(2), "quick"))
    #expect(machine.advance(to: now(3)) == [.start(fire(2, "quick")), .start(fire(3, "slow"))])
  }

  @Test func lateFiresCoalesceOrAreMissed() {
    var job = every(.seconds(1))
    var machine = machine(job)
    // Five seconds late: three are more than one period late.
    #expect(
      machine.advance(to: now(5)) == [.missed(fires(1, 3, 3)), .leftOut(fires(4, 4, 1)), .start(fire(5))])
    job.misfireGraceTime = .seconds(10)
    machine = self.machine(job)
    #expect(machine.advance(to: now(5)) == [.leftOut(fires(1, 4, 4)), .start(fire(5))])
  }

  @Test func aYearAsleepIsNotCountedOut() {
    var machine = machine(every(.seconds(1)))
    let year = 365.0 * 86_400
    let actions = machine.advance(to: now(year))
    guard case .missed(let missed)? = actions.first else { return #expect(Bool(false)) }
    #expect(missed.isMore && missed.count >= Machine.countLimit)
    #expect(missed.first == at(1) && missed.last == at(year - 2))
    #expect(Array(actions.dropFirst()) == [.leftOut(fires(year - 1, year - 1, 1)), .start(fire(year))])
    #expect(due(machine) == at(year + 1))
  }

  // MARK: Several at once

  private func late(_ mode: OverlapMode, maxInstances: Int? = nil, grace: Duration = .seconds(3600))
    -> ScheduledJob
  {
    var job = every(.seconds(1))
    (job.coalesce, job.misfireGraceTime, job.mode, job.maxInstances) = (false, grace, mode, maxInstances)
    return job
  }

  /// Whatever the mode: one after another, oldest first, and none is dropped because of another.
  @Test(arguments: OverlapMode.allCases) func missedFiresRunOneAfterAnother(mode: OverlapMode) {
    var machine = machine(late(mode))
    #expect(machine.advance(to: now(9)) == [.start(fire(1))])
    for n in 1..<9 {
      let next = machine.ended(fire(Double(n)), at: now(9))
      #expect(next == [.start(fire(Double(n + 1)))])
    }
    let end = machine.ended(fire(9), at: now(9))
    #expect(end.isEmpty && machine.advance(to: now(9.5)).isEmpty)
    // Then as ever.
    #expect(machine.advance(to: now(10)) == [.start(fire(10))])
  }

  /// Those beyond the bound are the oldest, and that is said.
  @Test(arguments: OverlapMode.allCases) func moreThanTheBoundAreSaid(mode: OverlapMode) {
    var machine = machine(late(mode))
    #expect(machine.advance(to: now(300)) == [.leftOut(fires(1, 200, 200)), .start(fire(201))])
    var run: [Double] = [201]
    while let action = machine.ended(fire(run.last!), at: now(300)).first {
      guard case .start(let next) = action else { return #expect(Bool(false), "\(action)") }
      run.append(Double(next.instant.nanoseconds - start.nanoseconds) / 1e9)
    }
    #expect(run == (201...300).map(Double.init))
  }

  @Test func aYearToCatchUpIsNotGoneThrough() {
    var machine = machine(late(.single, grace: .seconds(10 * 365 * 86_400)))
    let year = 365.0 * 86_400
    let actions = machine.advance(to: now(year))
    guard case .leftOut(let left)? = actions.first else { return #expect(Bool(false), "\(actions)") }
    #expect(left.isMore && left.first == at(1) && left.last == at(year - 100))
    #expect(Array(actions.dropFirst()) == [.start(fire(year - 99))])
  }

  /// What comes due while others catch up waits behind them; when its turn comes too late, it is missed.
  @Test func firesThatComeMeanwhileWaitBehind() {
    var machine = machine(late(.single, grace: .seconds(4)))
    #expect(machine.advance(to: now(3)) == [.start(fire(1))])
    #expect(machine.advance(to: now(4)).isEmpty)
    #expect(machine.ended(fire(1), at: now(4)) == [.start(fire(2))])
    #expect(machine.advance(to: now(5)).isEmpty)
    #expect(machine.ended(fire(2), at: now(8.5)) == [.start(fire(3))])
    #expect(machine.ended(fire(3), at: now(8.5)) == [.missed(fires(4, 4, 1)), .start(fire(5))])
  }

  /// A run that is going on when several come due is not pushed out, nor overlapped.
  @Test func catchingUpWaitsForWhatRuns() {
    var machine = machine(late(.restart))
    #expect(machine.advance(to: now(1)) == [.start(fire(1))])
    #expect(machine.advance(to: now(4)).isEmpty)
    #expect(machine.ended(fire(1), at: now(4)) == [.start(fire(2))])
  }

  /// The host stops in the middle: the next one goes on after the last that was started.
  @Test func catchingUpGoesOnAfterARestart() {
    var machine = machine(late(.single))
    #expect(machine.advance(to: now(9)) == [.start(fire(1))])
    #expect(machine.ended(fire(1), at: now(9)) == [.start(fire(2))])
    var fired = FiredInstants()
    for n in 1...2 { fired.add(at(Double(n)).nanoseconds, after: at(Double(n - 1)).nanoseconds) }
    var next = Machine()
    let isAdded = next.add(late(.single), at: now(0, off: 10), since: start, fired: fired)
    #expect(isAdded)
    #expect(next.advance(to: now(0, off: 10)) == [.start(fire(3))])
    for n in 3..<10 {
      let following = next.ended(fire(Double(n)), at: now(0, off: 10))
      #expect(following == [.start(fire(Double(n + 1)))])
    }
  }

  // MARK: Somebody sets the clock

  private func cron(_ text: String) -> ScheduledJob {
    ScheduledJob(
      name: "job", rule: try! ScheduledJob.Rule(cron: text, zone: Zone("UTC")!), action: .trigger("t"))
  }

  /// Runs all that starts at once, and says which instants started.
  private final class Runner {
    var machine: Machine
    let start: Timestamp
    init(_ machine: Machine, _ start: Timestamp) { (self.machine, self.start) = (machine, start) }

    func callAsFunction(_ now: ClockReading) -> [Double] {
      var instants: [Double] = []
      for action in machine.advance(to: now) {
        guard case .start(let fire) = action else { continue }
        instants.append(Double(fire.instant.nanoseconds - start.nanoseconds) / 1e9)
        _ = machine.ended(fire, at: now)
      }
      return instants
    }
  }
  private func runner(_ job: ScheduledJob) -> Runner { Runner(machine(job), start) }

  /// A job of spans takes no notice of the wall, but in what it says the time is.
  @Test(arguments: [-3600, 3600, -315_360_000, 315_360_000, 2.5, -2.5] as [Double])
  func spansTakeNoNotice(step: Double) {
    let run = runner(every(.seconds(10)))
    #expect(run(now(10)) == [10])
    #expect(run(now(14, off: step)) == [])
    #expect(run(now(19.9, off: step)) == [])
    let second = run(now(20, off: step))
    #expect(second.count == 1 && abs(second[0] - 20 - step) < 0.001)
    // (Its instants may be moved by a nanosecond.)
    #expect(run(now(30.1, off: step)).count == 1)
  }

  /// No instant fires twice, though the wall shows some twice, to the nanosecond.
  @Test func spansDoNotFireTwice() {
    let run = runner(every(.seconds(10)))
    var seen: Set<Double> = []
    for n in 1...100 {
      let off = Double(n / 20) * -100
      for instant in run(now(Double(n * 10) + 0.1, off: off)) {
        #expect(seen.insert(instant).inserted)
      }
    }
    #expect(seen.count == 100)
  }

  /// Set back: cron goes on at once with what has not fired, and leaves out what has.
  @Test func cronHealsWhenTheClockIsSetBack() {
    let run = runner(cron("* * * * * *"))
    for n in 1...5 { #expect(run(now(Double(n))) == [Double(n)]) }
    #expect(run(now(6, off: -3600)) == [])
    #expect(run(now(7, off: -3600)) == [-3593])
    // It comes by the five again.
    for n in 3597...3606 { _ = run(now(Double(n), off: -3600)) }
    var again: [Double] = []
    for n in 3607...3612 { again += run(now(Double(n), off: -3600)) }
    #expect(again == [7, 8, 9, 10, 11, 12])
  }

  @Test func cronLeavesOutWhatHasFired() {
    let run = runner(cron("* * * * * *"))
    var instants: [Double] = []
    for n in 1...10 { instants += run(now(Double(n))) }
    for n in 11...30 { instants += run(now(Double(n), off: -8)) }
    #expect(instants == (1...22).map(Double.init))
  }

  /// A glitch of ten years: what fired there is put aside, and said; cron goes on at once when the clock is right again.
  @Test func aGlitchAheadSilencesNothing() {
    let glitch = 3650 * 86_400.0
    let run = runner(cron("* * * * * *"))
    #expect(run(now(1)) == [1])
    #expect(run(now(2, off: glitch)) == [2 + glitch])
    #expect(run(now(3, off: glitch)) == [3 + glitch])
    #expect(
      run.machine.advance(to: now(4)) == [
        .ahead(fire(3 + glitch), next: at(2)), .missed(fires(2, 2, 1)), .leftOut(fires(3, 3, 1)),
        .start(fire(4)),
      ])
  }

  /// And after a restart: the log has what fired.
  @Test func aGlitchBeforeARestartSilencesNothing() {
    let glitch = 3650 * 86_400.0
    var fired = FiredInstants()
    for n in 1...5 { fired.add(at(Double(n)).nanoseconds, after: at(Double(n - 1)).nanoseconds) }
    fired.add(at(glitch).nanoseconds, after: at(glitch - 1).nanoseconds)
    var machine = Machine()
    let isAdded = machine.add(cron("* * * * * *"), at: now(0, off: 5.5), since: start, fired: fired)
    #expect(isAdded)
    #expect(machine.advance(to: now(0, off: 5.5)) == [.ahead(fire(glitch), next: at(6))])
    #expect(machine.advance(to: now(1, off: 5.5)) == [.start(fire(6))])
    // A job of spans waits for its span, no longer.
    machine = Machine()
    let isSpanAdded = machine.add(every(.seconds(60)), at: now(0, off: 5.5), since: start, fired: fired)
    #expect(isSpanAdded && due(machine) == at(65.5))
  }

  /// A single time that a glitch has fired does not fire again; one that it made late does at its time.
  @Test func singleTimesFireOnce() {
    var once = every(.seconds(1))
    once.rule = .at(at(100))
    let run = runner(once)
    #expect(run(now(1, off: 500)) == [100])
    #expect(run(now(2)) == [])
    #expect(run(now(200)) == [])
  }

  @Test func aKnownJobGoesOnWhereItWas() {
    // Known since 5, never fired: its span does not begin anew at 100.
    var machine = known(every(.seconds(60)), at: 100, since: 5)
    #expect(due(machine) == at(65))
    #expect(machine.advance(to: now(100)) == [.start(fire(65))])
    #expect(due(machine) == at(125))
    // Its newest fire was at 65: not again.
    machine = known(every(.seconds(60)), at: 100, since: 65)
    #expect(due(machine) == at(125))
    // What is past fires late when it was known before, once.
    var once = every(.seconds(1))
    once.rule = .at(at(50))
    machine = known(once, at: 100, since: 5)
    #expect(machine.advance(to: now(100)) == [.start(fire(50))])
    machine = known(once, at: 100, since: 50)
    #expect(due(machine) == nil)
    // Each start of the host is a start.
    once.rule = .start
    machine = known(once, at: 100, since: 5)
    #expect(due(machine) == at(100))
    // A clock that was set back silences nothing for longer than its span.
    machine = known(every(.seconds(60)), at: 100, since: 500)
    #expect(due(machine) == at(160))
  }

  private func known(_ job: ScheduledJob, at now: Double, since: Double) -> Machine {
    var machine = Machine()
    let isNew = machine.add(job, at: self.now(now), since: at(since))
    #expect(isNew)
    return machine
  }

  @Test func overlaps() {
    var job = every(.seconds(1))
    var machine = machine(job)
    #expect(machine.advance(to: now(1)) == [.start(fire(1))])
    #expect(machine.advance(to: now(2)) == [.dropped(fire(2))])
    #expect(machine.ended(fire(1), at: now(3)).isEmpty)
    #expect(machine.advance(to: now(3)) == [.start(fire(3))])

    job.mode = .restart
    machine = self.machine(job)
    #expect(machine.advance(to: now(1)) == [.start(fire(1))])
    #expect(machine.advance(to: now(2)) == [.replace(old: fire(1), by: fire(2))])
    // The end of what was replaced frees no place.
    #expect(machine.ended(fire(1), at: now(3)).isEmpty)
    #expect(machine.advance(to: now(3)) == [.replace(old: fire(2), by: fire(3))])

    job.mode = .parallel
    job.maxInstances = 2
    machine = self.machine(job)
    #expect(machine.advance(to: now(1)) == [.start(fire(1))])
    #expect(machine.advance(to: now(2)) == [.start(fire(2))])
    #expect(machine.advance(to: now(3)) == [.dropped(fire(3))])
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
    let isAdded = machine.add(every(.seconds(1), "once"), at: now(0))
    #expect(!isAdded)
    #expect(machine.advance(to: now(0)) == [.start(fire(0, "boot"))])
    // Late by an hour: a single time runs all the same.
    #expect(machine.advance(to: now(3600)) == [.start(fire(5, "once"))])
    #expect(due(machine) == nil)
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
        for action in machine.advance(to: self.now(now)) {
          switch action {
          case .start(var fire):
            decided.append(fire.instant)
            while case .start(let next)? = machine.ended(fire, at: self.now(now)).first {
              decided.append(next.instant)
              fire = next
            }
          case .missed(let fires): missed += fires.count
          default: Issue.record("seed \(seed): \(action)")
          }
        }
      }
      let next = try #require(due(machine))
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
