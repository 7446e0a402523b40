import TriggerCore
import TriggerHost

/// What can happen in a step.
extension Simulation {
  func perform(_ action: Plan.Action) throws {
    switch action {
    case .send: try send()
    case .resend: try resend()
    case .take: exchange()
    case .begin: begin()
    case .end: end()
    case .stall: stall()
    case .kill: kill()
    case .watch: watch()
    case .write: write()
    case .advance: advance()
    case .fire: fire()
    case .step: stepClock()
    case .read: try read()
    case .hold: hold()
    case .giveBack: try giveBack()
    case .cancel: cancel()
    case .reload: try reload()
    case .checkpoint: try checkpoint()
    case .failDisk: failDisk()
    case .crash: try crash()
    }
  }

  // MARK: Events

  private func send() throws {
    guard !isDraining, life.engine.unfinished < plan.backlog,
      let name = plan.events.randomElement(using: &random)
    else { return }
    let content = maker.event(&random)
    let n = content["n"]!.intValue!
    var event = Event(
      name, .map(content), priority: chance(1, in: 5) ? Priority.allCases.randomElement(using: &random) : nil,
      source: UInt64.random(in: 0..<plan.sources, using: &random))
    event.isKept = chance(1, in: 4)
    facts.priorities[n] = event.priority
    let key = chance(1, in: 6) ? "key \(n)" : nil
    if event.isKept || key != nil {
      events[n] = SentEvent(event: event, key: key, firstSent: clock.now())
    }
    let cancellation = key == nil && chance(1, in: 6) ? Cancellation() : nil
    try admit(n, event, key: key, cancellation)
  }

  /// Sends an event; for the first time, or again with its key.
  private func admit(_ n: Int64, _ event: Event, key: String?, _ cancellation: Cancellation?) throws {
    var event = event
    offers += 1
    let offer = offers
    let promised: @Sendable () -> Void = { [weak self] in self?.events[n]?.promised.insert(offer) }
    let route = Scripts.route(event.name, facts.trees[life.engine.tree]!)
    let isNew: Bool
    let keyPromised: @Sendable (EventID) -> Void = { _ in promised() }
    if let key {
      let id: EventID?
      do {
        id = try life.queue.offer(
          event, scope: "sender", key: key, whenKept: event.isKept ? keyPromised : nil
        ) { [weak self] in self?.answered(n, $1) }
      } catch let error where !(error is KeyReused) {
        // The disk would not say what came of it.
        return note("send \(event.name) \(n) again: \(error)")
      }
      isNew = id.map { events[n]!.ids.insert($0).inserted } ?? false
      if !isNew { return note("send \(event.name) \(n) again: \(id.map { "\($0)" } ?? "refused")") }
    } else {
      event.id = event.isKept ? life.queue.makeEventID() : nil
      let count = life.queue.offer(
        telling: { [weak self] in self?.acknowledged(n, $0) }, event, cancellation: cancellation,
        keeping: event.isKept ? promised : nil)
      isNew = count != nil
      if count ?? 0 > 0 { waiting[n] = Waiting(expected: count!, cancellation: cancellation) }
      if let id = event.id, isNew { events[n]?.ids.insert(id) }
    }
    note(
      "send \(event.name) \(n) source \(event.source)\(event.priority.map { " \($0)" } ?? "")"
        + "\(event.isKept ? " kept" : "")\(key == nil ? "" : " keyed")\(isNew ? "" : ": refused")")
    guard isNew else { return }
    if life.log.failure != nil { throw Violation("the queue takes event \(n) though the log has failed") }
    facts.arrivals[n, default: []].append((sent, clock.now()))
    events[n]?.route = route
    events[n]?.offer = offer
    sent += 1
  }

  private func resend() throws {
    let keyed = events.filter {
      $0.value.key != nil && clock.now() - $0.value.firstSent < 20 * 3_600_000_000_000
    }
    guard !isDraining, let n = keyed.keys.sorted().randomElement(using: &random), let sent = keyed[n] else {
      return
    }
    guard sent.answer?.isEmpty == false, plan.durability == .group, chance(1, in: 8) else {
      return try admit(n, sent.event, key: sent.key, nil)
    }
    var other = sent.event
    other.payload = CanonicalEncoding.encode(["n": .int(n)])
    do {
      _ = try life.queue.offer(other, scope: "sender", key: sent.key!) { _, _ in }
    } catch { return note("key of \(n) with another event: refused") }
    throw Violation("the key of event \(n) came with another event, and is taken")
  }

  private func cancel() {
    let open = waiting.filter { $0.value.cancellation != nil }.keys.sorted()
    guard let n = open.randomElement(using: &random) else { return }
    note("cancel \(n)")
    facts.cancelled.insert(n)
    waiting[n]!.cancellation!.cancel()
  }

  // MARK: Workers

  private func pick(_ condition: (Int) -> Bool) -> Int? {
    life.engine.workers.filter(condition).randomElement(using: &random)
  }

  private func exchange() {
    guard let worker = pick({ life.engine.running($0) == nil && !life.engine.holdsBatch($0) }) else { return }
    // Workers that wait for urgent work alone are rarely awake.
    if !life.engine.generalWorkers.contains(worker), chance(2, in: 3) { return }
    exchange(worker)
  }

  func exchange(_ worker: Int) { note("worker \(worker) takes \(life.engine.exchange(worker))") }

  private func begin() {
    guard let worker = pick({ life.engine.running($0) == nil && life.engine.holdsBatch($0) }) else { return }
    begin(worker)
  }

  func begin(_ worker: Int) {
    guard life.engine.begin(worker), let running = life.engine.running(worker) else {
      return note("worker \(worker) has nothing left")
    }
    note("worker \(worker) begins \(running.trigger) seq \(running.seq) attempt \(running.attempt)")
  }

  private func canEnd(_ worker: Int) -> Bool {
    life.engine.running(worker) != nil && !life.engine.isInLua(worker)
  }

  private func end() {
    guard let worker = pick({ canEnd($0) && stalled[$0, default: 0] <= step }) else { return }
    end(worker)
  }

  func end(_ worker: Int, _ end: SteppedEngine.End = .itself) {
    stalled[worker] = nil
    note("worker \(worker) ends \(end == .killed ? "killed" : "")")
    life.engine.end(worker, options.canary == .validation && end == .itself ? .unchecked : end)
  }

  private func stall() {
    guard let worker = pick(canEnd) else { return }
    stalled[worker] = step + Int.random(in: 5...200, using: &random)
    note("worker \(worker) stalls until \(stalled[worker]!)")
  }

  private func kill() {
    guard let worker = pick(canEnd), let running = life.engine.running(worker) else { return }
    facts.killed.insert(running.identity)
    end(worker, .killed)
  }

  /// Others move in the middle of an attempt, where it looks at a store.
  func interrupted(_ worker: Int) {
    guard depth < 2, violation == nil, chance(1, in: 8) else { return }
    letOthersMove()
  }

  private func letOthersMove() {
    depth += 1
    defer { depth -= 1 }
    let quick: Set<Plan.Action> = [
      .send, .resend, .take, .begin, .end, .watch, .write, .advance, .cancel, .kill,
    ]
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let action = plan.action(&random)
      guard quick.contains(action), violation == nil else { continue }
      do { try perform(action) } catch {
        violation = violation ?? error as? Violation ?? Violation("\(error)")
      }
    }
  }

  // MARK: Watchdog, log, clock

  private func watch() {
    var stuck: [(worker: Int, cpuTaken: Int64)] = []
    for worker in life.engine.workers where life.engine.running(worker) != nil || chance(1, in: 10) {
      if chance(1, in: 3) { continue }
      stuck.append((worker, chance(1, in: 2) ? 0 : Int64(1) << Int64.random(in: 10...25, using: &random)))
    }
    note("watch \(stuck.map { "\($0.worker): \($0.cpuTaken)" }.joined(separator: ", "))")
    _ = life.engine.watch(stuck: stuck)
  }

  func write() {
    let end = history.last
    life.log.write()
    let failure = life.log.failure
    note("write up to \(end)\(failure.map { ": refused, \($0)" } ?? "")")
    guard let failure else { return written = end }
    refusedAt = refusedAt ?? step
    if !mayFail { violation = violation ?? Violation("the log refuses on a disk that is well: \(failure)") }
  }

  /// The state is written down, part by part.
  private func checkpoint() throws {
    if refusedAt != nil || depth > 0 { return }
    note("checkpoint")
    if options.canary == .digest { life.engine.falsifyDigest() }
    do {
      try life.checkpoint { [weak self] in self?.letOthersMove() }
      note("checkpoint taken")
      try checkDigests()
    } catch {
      if let violation = error as? Violation { throw violation }
      note("checkpoint refused: \(error)")
      if !mayFail { throw Violation("no checkpoint on a disk that is well: \(error)") }
    }
  }

  private func advance() {
    let span = Int64(1) << Int64.random(in: 0...34, using: &random)
    note("advance \(span)")
    clock.advance(by: .nanoseconds(span))
    if chance(1, in: 2) { fireDue() }
  }

  /// The clock goes on to when something is due.
  private func fire() {
    let gate = life.engine.watch().gateDue.map { $0 - clock.monotonic() }
    let job = life.scheduler.jobs.compactMap { life.scheduler.nextFire(of: $0.name)?.nanoseconds }.min()
      .map { $0 - clock.now() }
    guard let due = [gate, job].compactMap({ $0 }).min() else { return }
    let span = max(0, due)
    note("fire in \(span)")
    clock.advance(by: .nanoseconds(span))
    fireDue()
  }

  /// Within two hours of the time that passed: keys of senders are remembered by the wall.
  private func stepClock() {
    let span =
      Int64.random(in: -1...1, using: &random) * (Int64(1) << Int64.random(in: 20...42, using: &random))
    let off = clock.now() - startOfTime - clock.monotonic().nanoseconds
    guard span != 0, abs(off + span) < 7_200_000_000_000 else { return }
    note("the clock is set by \(span)")
    facts.clockWasSet = true
    clock.step(by: .nanoseconds(span))
    if chance(1, in: 2) { fireDue() }
  }

  private func fireDue() {
    // (A host that cannot log stops.)
    if refusedAt == nil, !isDraining { life.scheduler.fireDue() }
  }

  // MARK: Readers

  private func read() throws {
    guard let hold = life.engine.hold() else { return }
    defer { life.engine.giveBack(hold) }
    note("read as of \(hold.seq)")
    try check(hold, history.stores(asOf: hold.seq))
  }

  private func hold() {
    guard holds.count < 4, let hold = life.engine.hold() else { return }
    note("hold \(hold.seq)")
    holds.append((hold, history.stores(asOf: hold.seq)))
  }

  private func giveBack() throws {
    guard let index = holds.indices.randomElement(using: &random) else { return }
    let (hold, stores) = holds.remove(at: index)
    note("give back \(hold.seq)")
    try check(hold, stores)
    life.engine.giveBack(hold)
  }

  // MARK: Scripts and disk

  private func reload() throws {
    let variant = Int.random(in: 0..<Scripts.variants.count, using: &random)
    if refusedAt != nil || depth > 0 { return }
    do {
      let number = try life.reload(variant) { [weak self] in
        self?.note("reloaded: \($0.outcome) seq \($0.seq)")
      }
      note("reload variant \(variant) as tree \(number.map { "\($0)" } ?? "none: refused")")
      if let number { facts.trees[number] = variant }
      facts.inForce.append(variant)
    } catch {
      note("reload refused: \(error)")
      if !mayFail { throw Violation("no reload on a disk that is well: \(error)") }
    }
  }

  private func failDisk() {
    guard let disk else { return }
    mayFail = true
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let room = Int64.random(in: 0...40_000, using: &random)
      note("disk has room for \(room)")
      disk.leave(room: room)
    case 1:
      let nth = Int.random(in: 1...20, using: &random)
      note("disk: the process dies in \(nth) changes")
      disk.die(in: nth)
    default:
      let call = [SimulatedDisk.Call.write, .write, .sync, .sync, .read, .truncate].randomElement(
        using: &random)!
      let (nth, stays) = (Int.random(in: 1...8, using: &random), chance(1, in: 2))
      note("disk: \(call) \(nth) fails\(stays ? " and all after it" : "")")
      if call == .sync { mayBeInDoubt = true }
      disk.fail(call, nth: nth, stays: stays)
    }
  }

  private func crash() throws {
    if depth > 0 { return }
    try crash(powerFails: chance(1, in: 2))
  }
}
