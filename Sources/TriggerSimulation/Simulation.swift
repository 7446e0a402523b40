import TriggerCore
import TriggerHost

/// The whole engine under one seed: events, workers, watchdog, log, schedules, clock and disk move one at a time
/// in an order that the seed decides, on one thread. After every step it is checked what must hold; a crash
/// leaves what the disk has, and the next life goes on from there.
package final class Simulation: @unchecked Sendable {  // one thread; the engine's closures ask for Sendable
  package struct Options: Sendable {
    package var seed: UInt64
    /// Steps before the end, where everything that was admitted is brought to its outcome.
    package var steps: Int
    /// A rule that is broken on purpose.
    package var canary: Canary?
    /// Newest lines of the trace that a report has.
    package var traceKept: Int

    package init(seed: UInt64, steps: Int = 1000, canary: Canary? = nil, traceKept: Int = 40) {
      self.seed = seed
      self.steps = steps
      self.canary = canary
      self.traceKept = traceKept
    }
  }

  /// What the checkers must find.
  package enum Canary: String, CaseIterable, Sendable {
    /// Attempts are not validated: conflicts go unseen.
    case validation
    /// Outcomes are told before they are durable.
    case acknowledgement
    /// The disk says that it syncs, and does not.
    case sync
    /// The host takes what a dead process left in the system's cache for durable.
    case recovery
    /// A store's digest is not that of what it holds.
    case digest
  }

  package struct Report: Sendable {
    package var seed: UInt64
    package var steps: Int
    /// What must not be, at which step; nil when all is well.
    package var violation: String?
    package var plan: String
    package var trace: [String]
    /// Of the whole trace: equal for two runs of one seed.
    package var digest: UInt64
    package var crashes: Int
    package var seqs: Int64
    package var outcomes: [String: Int]
  }

  let options: Options
  var random: SplitMix64
  let plan: Plan
  let disk: SimulatedDisk?
  let clock: ManualClock
  let startOfTime: Int64 = 1_767_225_600_000_000_000
  var maker: EventMaker
  var trace: Trace
  var step = 0

  var life: Life!
  var history = History()
  var facts = History.Facts()
  var violation: Violation?
  var crashes = 0

  // Of this life:
  /// Events from outside that wait for outcomes, by number.
  var waiting: [Int64: Waiting] = [:]
  var holds: [(hold: SteppedEngine.Hold, stores: [String: SerialModel.Store])] = []
  /// Until which step a worker's attempt is left alone.
  var stalled: [Int: Int] = [:]
  var depth = 0
  var frontier: Int64 = 0
  var visible: Int64 = 0
  /// The log has refused since.
  var refusedAt: Int?
  /// The disk was told to fail.
  var mayFail = false
  /// A sync may have failed since the power did: reads may give what is not on the disk.
  var mayBeInDoubt = false

  /// Nothing new comes any more.
  var isDraining = false

  // Of all lives:
  var sent = 0
  var offers = 0
  /// The newest seq that somebody outside has seen, and that the log has written.
  var seen: Int64 = 0
  var written: Int64 = 0
  /// What the next life must find, whatever the mode.
  var mustBeThere: Int64 = 0

  /// Events that are to be kept or have a key, by number.
  var events: [Int64: SentEvent] = [:]

  struct Waiting {
    var expected: Int
    var received = 0
    var cancellation: Cancellation?
  }

  struct SentEvent {
    var event: Event
    var key: String?
    var firstSent: Int64
    /// Its names, and the triggers it had operations for when it was last admitted.
    var ids: Set<EventID> = []
    var route: [String] = []
    /// Numbers of the offers that were told to be kept, and of the one that was admitted last.
    var promised: Set<Int> = []
    var offer = 0
    var isPromised: Bool { promised.contains(offer) }
    /// What its sender was told of all its operations.
    var answer: [OperationResult]?
  }

  package init(_ options: Options) {
    self.options = options
    random = SplitMix64(seed: options.seed)
    plan = Plan(&random)
    disk = plan.durability == .memory ? nil : SimulatedDisk(seed: random.next())
    if options.canary == .sync { disk?.lie() }
    clock = ManualClock(now: startOfTime)
    maker = EventMaker(plan)
    trace = Trace(kept: options.traceKept)
    facts.maximumHops = plan.configuration.maximumHops
    facts.maximumEmits = plan.configuration.maximumEmits
    facts.digestInterval = plan.configuration.digestInterval
    facts.mayExpire = plan.configuration.retainedVersions < 1000
  }

  /// Runs all steps, or up to the first violation.
  package func run() -> Report {
    do {
      try start()
      while step < options.steps {
        step += 1
        try move()
      }
      try finish()
    } catch {
      trace.note("\(error)")
      violation = violation ?? error as? Violation ?? Violation("\(error)")
    }
    life = nil
    return Report(
      seed: options.seed, steps: step, violation: violation.map { "step \(step): \($0)" },
      plan: "\(plan)", trace: trace.lines, digest: trace.digest, crashes: crashes, seqs: history.last,
      outcomes: Dictionary(uniqueKeysWithValues: history.outcomes.map { ("\($0)", $1) }))
  }

  /// One step, and a look at what must hold after it.
  private func move() throws {
    try perform(plan.action(&random))
    try check()
  }

  func note(_ line: @autoclosure () -> String) {
    trace.note(depth == 0 ? "\(step) \(line())" : "\(step) \(String(repeating: "· ", count: depth))\(line())")
  }

  func chance(_ one: Int, in many: Int) -> Bool { Int.random(in: 0..<many, using: &random) < one }

  // MARK: After every step

  func check() throws {
    if let violation { throw violation }
    if depth > 0 { return }
    let (frontier, visible) = (life.engine.frontier, life.engine.visible)
    if frontier < self.frontier { throw Violation("the frontier went from \(self.frontier) to \(frontier)") }
    if visible < self.visible { throw Violation("readers saw seq \(self.visible), now they see \(visible)") }
    if visible > frontier { throw Violation("readers see seq \(visible), the frontier is \(frontier)") }
    if history.last != frontier {
      throw Violation("the frontier is \(frontier), the log got \(history.last)")
    }
    (self.frontier, self.visible) = (frontier, visible)
    seen = max(seen, visible)
    if life.log.failure != nil { refusedAt = refusedAt ?? step }
    if disk?.isDead == true {
      try crash(powerFails: chance(1, in: 2))
    } else if let refusedAt, step > refusedAt + 20 {
      // Its operator starts it again.
      try crash(powerFails: chance(1, in: 4))
    }
  }

  /// The engine hands a record to the log.
  func decided(_ record: LogRecord) {
    guard violation == nil else { return }
    facts.now = clock.now()
    facts.routing = facts.trees[life.engine.tree]!
    note(
      "seq \(record.seq) \(record.trigger) \(History.name(of: record)) \(record.outcome)\(record.absorbed.isEmpty ? "" : ", absorbed \(record.absorbed)")"
    )
    do { try history.append(record, facts) } catch {
      violation = error as? Violation ?? Violation("\(error)")
    }
  }

  /// A sender learns of an outcome.
  func acknowledged(_ n: Int64, _ result: OperationResult) {
    guard violation == nil else { return }
    do {
      guard waiting[n] != nil else { throw Violation("the sender of event \(n) waits for nothing") }
      waiting[n]!.received += 1
      if waiting[n]!.received == waiting[n]!.expected { waiting[n] = nil }
      try check(result, of: n)
    } catch { violation = error as? Violation }
  }

  /// A sender who gave a key learns of all outcomes.
  func answered(_ n: Int64, _ results: [OperationResult]) {
    guard violation == nil, events[n] != nil else { return }
    do {
      for result in results { try check(result, of: n) }
      // (That no trigger was bound to an event is in no log.)
      if let first = events[n]!.answer, !first.isEmpty, plan.durability == .group {
        guard first.count == results.count, zip(first, results).allSatisfy({ Self.follows($1, $0) }) else {
          throw Violation("the answer for event \(n) was \(first), now it is \(results)")
        }
      }
      events[n]!.answer = results
    } catch { violation = error as? Violation }
  }

  /// The same, or what came of it when it was tried again.
  private static func follows(_ result: OperationResult, _ before: OperationResult) -> Bool {
    if result.trigger != before.trigger { return false }
    if result.seq == before.seq { return result.outcome == before.outcome }
    return before.retryAt != nil && result.seq > before.seq
  }

  private func check(_ result: OperationResult, of n: Int64) throws {
    func refuse(_ reason: String) -> Violation {
      Violation("outcome \(result.outcome) of seq \(result.seq) for event \(n): \(reason)")
    }
    if result.seq == 0 {
      guard (result.instead ?? result.outcome) == .skipped else { throw refuse("it has no seq") }
      facts.dropped.insert("\(result.trigger) of \(n)")
      return
    }
    guard result.seq <= history.last else { throw refuse("the log got \(history.last)") }
    let record = history.records[Int(result.seq) - 1]
    // One whose place another took has the other's seq.
    guard OperationOutcome(record.outcome) == result.instead ?? result.outcome,
      (result.instead != nil) == (result.outcome == .superseded), record.identity == result.identity,
      record.trigger == result.trigger, record.error == result.error, record.retryAt == result.retryAt
    else { throw refuse("the record says \(record.outcome), \(record.trigger)") }
    seen = max(seen, result.seq)
  }

  /// What stores say of themselves is so.
  func checkDigests() throws {
    var (found, expected) = (life.coordinator.allDigests(), history.model.digests())
    // (A store without a commit is there when the host declares it.)
    found.stores.removeAll { $0.digest == StoreDigest() }
    expected.removeAll { $0.digest == StoreDigest() }
    guard found == StateDigests(seq: history.last, stores: expected) else {
      throw Violation(
        "as of seq \(found.seq) the stores' digests are \(found.stores), alone, as of \(history.last), they are \(expected)"
      )
    }
  }

  /// What a reader sees is the state as of its seq.
  func check(_ hold: SteppedEngine.Hold, _ expected: [String: SerialModel.Store]) throws {
    let found = life.engine.contents(at: hold)
    for name in Set(found.keys).union(expected.keys).sorted() {
      let (store, model) = (found[name], expected[name] ?? SerialModel.Store())
      guard (store?.content ?? [:]) == model.content, (store?.seq ?? 0) == model.seq else {
        throw Violation(
          "store \(name) as of seq \(hold.seq): \(store?.seq ?? 0) \(store?.content ?? [:]), alone it is \(model)"
        )
      }
    }
  }
}
