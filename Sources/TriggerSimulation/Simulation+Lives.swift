import TriggerCore
import TriggerHost
import TriggerReplay

/// Starts, crashes, and the end.
extension Simulation {
  func start() throws {
    while true {
      // While a host writes anew what a failed sync has left in doubt, the power must not fail as well.
      let dies = disk != nil && !isDraining && !mayBeInDoubt && chance(1, in: 10)
      if dies { disk?.die(in: Int.random(in: 1...30, using: &random)) }
      mayFail = dies
      do { return try open() } catch let violation as Violation { throw violation } catch {
        note("start fails: \(error)")
        life = nil
        guard let disk, dies else { throw Violation("the host does not start: \(error)") }
        let powerFails = chance(1, in: 2)
        if powerFails { mustBeThere = 0 }
        disk.restart(powerFails: powerFails)
      }
    }
  }

  private func open() throws {
    var kept: [LogRecord] = []
    life = try Life(
      plan, disk: disk, clock: clock,
      Life.Defects(
        acknowledgesEarly: options.canary == .acknowledgement, beginsNoEpoch: options.canary == .recovery),
      tree: { [facts] in try Self.tree($0, facts) }, kept: { kept.append($0) },
      decided: { [weak self] in self?.decided($0) })
    if let violation = lost(kept) { throw violation }
    try forget(after: kept.last?.seq ?? 0)
    let variant = Int.random(in: 0..<Scripts.variants.count, using: &random)
    let number = try life.bind(variant)
    facts.trees[number] = variant
    facts.inForce = [variant]
    facts.lifeBegan = history.last
    facts.treeAtStart = number
    mayBeInDoubt = false
    note("start after seq \(history.last), \(life.unfinished) to do, variant \(variant) as tree \(number)")
    let interruption: @Sendable (Int) -> Void = { [weak self] in self?.interrupted($0) }
    try life.start(plan.hasSchedules ? jobs() : [], interruption: plan.interrupts ? interruption : nil)
    (frontier, visible) = (life.engine.frontier, life.engine.visible)
    guard let hold = life.engine.hold() else { throw Violation("nobody may read after a start") }
    defer { life.engine.giveBack(hold) }
    if hold.seq != history.last {
      throw Violation("readers see \(hold.seq) after a start at \(history.last)")
    }
    try check(hold, history.stores(asOf: hold.seq))
    try checkDigests()
  }

  /// How what the log has kept is not what it must have.
  private func lost(_ kept: [LogRecord]) -> Violation? {
    let last = kept.last?.seq ?? 0
    if last > history.last { return Violation("the log ends with \(last), \(history.last) were given to it") }
    for record in kept where record != history.records[Int(record.seq) - 1] {
      return Violation("seq \(record.seq) was \(history.records[Int(record.seq) - 1]), the log has \(record)")
    }
    if let first = kept.first?.seq, first > 1, plan.retention.bytes == nil {
      return Violation("the log begins with seq \(first), and was to keep everything")
    }
    let needed = plan.durability == .group ? seen : mustBeThere
    return last < needed ? Violation("seq \(needed) is lost, the log ends with \(last)") : nil
  }

  private func forget(after last: Int64) throws {
    history = try history.cut(to: last, facts)
    facts.killed = facts.killed.filter { $0 <= last }
    waiting = [:]
    holds = []
    stalled = [:]
    refusedAt = nil
    (seen, written, mustBeThere) = (min(seen, last), min(written, last), min(mustBeThere, last))
  }

  func crash(powerFails: Bool) throws {
    guard let disk else { return }
    note("crash\(powerFails ? ", the power fails" : "")")
    crashes += 1
    disk.die()
    mustBeThere = powerFails ? 0 : written
    life = nil
    disk.restart(powerFails: powerFails)
    if powerFails { mayBeInDoubt = false }
    // No two lives are at one time: a fire is its job and its instant.
    clock.advance(by: .nanoseconds(Int64(1) << Int64.random(in: 20...42, using: &random)))
    try start()
    if isDraining { life.scheduler.stop() }
  }

  private func jobs() -> [ScheduledJob] {
    var random = SplitMix64(seed: options.seed)
    func work() -> Value.Map {
      maker.work(&random).merging(["seed": .int(Int64.random(in: 0..<1000, using: &random))]) { $1 }
    }
    var every = ScheduledJob(name: "every", rule: .every(.seconds(3)), action: .event("tick"))
    every.payload = work()
    every.mode = [.single, .queued, .parallel, .restart].randomElement(using: &random)!
    var timer = ScheduledJob(name: "timer", rule: .every(.milliseconds(700)), action: .trigger("timer"))
    timer.payload = work()
    timer.jitter = .milliseconds(300)
    timer.coalesce = Bool.random(using: &random)
    var start = ScheduledJob(name: "start", rule: .start, action: .trigger("timer"))
    start.payload = work()
    var cron = ScheduledJob(
      name: "cron", rule: try! ScheduledJob.Rule(cron: "* * * * * *", zone: Zone("UTC")!),
      action: .event("tick"))
    cron.payload = work()
    cron.coalesce = Bool.random(using: &random)
    cron.misfireGraceTime = .seconds(Int64.random(in: 1...20, using: &random))
    return [every, timer, start, cron]
  }

  // MARK: The end

  /// Nothing fails any more and everybody moves: what was admitted has its outcome soon. Then the power fails
  /// once more, and what the log has kept is executed again.
  func finish() throws {
    isDraining = true
    try drain()
    if disk != nil {
      try crash(powerFails: true)
      try drain()
    }
    if let left = history.unfinished.first { throw Violation("everything is decided, but not \(left)") }
    try checkPromises()
    try checkDigests()
    try checkEffects()
    try replay()
  }

  /// Who delivers effects finds those of the commits that the log keeps: all, in order, each once.
  private func checkEffects() throws {
    let (first, found) = try life.effects()
    let expected = history.records.filter { $0.seq >= first }.flatMap { record in
      record.intents.enumerated().filter { $0.element.kind == "send" || $0.element.kind == "broadcast" }
        .map { "\(record.seq)/\($0.offset) \($0.element.kind) \($0.element.key) \($0.element.value)" }
    }
    let read = found.map { "\($0.id.seq)/\($0.id.index) \($0.kind) \(Array($0.target.utf8)) \($0.message)" }
    if let (one, other) = zip(read, expected).first(where: { $0 != $1 }) {
      throw Violation("effects: the log gives \(one), the commits had \(other)")
    }
    if read.count != expected.count {
      throw Violation("effects: the log gives \(read.count), the commits had \(expected.count)")
    }
  }

  /// What senders were told to be kept has its outcomes.
  private func checkPromises() throws {
    if plan.durability == .async { return }
    for (n, sent) in events where sent.isPromised {
      for trigger in sent.route {
        let hasEnded = sent.ids.contains { history.ended.contains("\(trigger) of \($0)") }
        if !hasEnded {
          throw Violation("event \(n) was promised to be kept, and \(trigger) has had no outcome for it")
        }
      }
    }
  }

  private func drain() throws {
    life.scheduler.stop()
    if life.log.failure != nil { try crash(powerFails: false) }
    disk?.heal()
    for hold in holds { life.engine.giveBack(hold.hold) }
    holds = []
    var rounds = 0
    while try !isIdle() {
      rounds += 1
      if rounds > 20_000 {
        throw Violation(
          "\(life.engine.unfinished) operations have no outcome after \(rounds) rounds, readers see \(life.engine.visible) of \(history.last)"
        )
      }
      for worker in life.engine.generalWorkers { drain(worker) }
      if chance(1, in: 4) { for worker in life.engine.workers { drain(worker) } }
      if let violation { throw violation }
    }
    if let n = waiting.keys.min() { throw Violation("the sender of event \(n) learns of no outcome") }
  }

  private func drain(_ worker: Int) {
    if life.engine.running(worker) != nil {
      end(worker)
    } else if life.engine.holdsBatch(worker) {
      begin(worker)
    } else {
      exchange(worker)
    }
  }

  private func isIdle() throws -> Bool {
    let look = life.engine.watch()
    write()
    clock.advance(by: .milliseconds(1))
    try check()
    if look.isActive || life.engine.workers.contains(where: { life.engine.running($0) != nil }) {
      return false
    }
    if let due = [look.gateDue, life.engine.retryDue].compactMap({ $0 }).min() {
      clock.advance(by: .nanoseconds(max(0, due - clock.monotonic())))
      return false
    }
    return life.engine.unfinished == 0 && life.engine.visible == history.last
  }

  private static func tree(_ number: Int, _ facts: History.Facts) throws -> ScriptTree? {
    guard let variant = facts.trees[number] else { return nil }
    var tree = Scripts.trees[variant]
    tree.identity = ScriptTree.Identity(number: number, time: 0, seed: 0)
    return tree
  }

  /// Executing the log again gives what it says.
  private func replay() throws {
    let replayer = Replayer(configuration: plan.configuration) { [facts] in try Self.tree($0, facts) }
    for record in history.records {
      if let difference = try replayer.verify(record) { throw Violation("replay: \(difference)") }
    }
    for (name, store) in history.model.stores {
      guard try replayer.content(of: name) == store.content else {
        throw Violation("replay: store \(name) differs")
      }
    }
  }
}
