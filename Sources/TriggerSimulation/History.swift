import TriggerCore
import TriggerHost

/// Something that must not be.
struct Violation: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// The decided seqs so far, checked one by one as they are decided: dense, each as the oracle has it, every
/// operation with one outcome, nothing that one commit emits run twice or never, and no two of one order key in
/// the wrong order. After a crash it is made again from what the log still holds.
struct History {
  /// What the simulation knows of the operations, and no record says.
  struct Facts {
    /// Of an event from outside, by its number: how many were admitted before it, and when; several times when
    /// its sender came again after a crash.
    var arrivals: [Int64: [(place: Int, admitted: Int64)]] = [:]
    /// What events brought with them.
    var priorities: [Int64: Priority] = [:]
    /// Operations that their senders know to have been dropped.
    var dropped: Set<String> = []
    var now: Int64 = 0
    /// Somebody has set the wall clock: wall times tell of no spans.
    var clockWasSet = false
    /// Identities of operations whose attempts it has ended.
    var killed: Set<Int64> = []
    /// Numbers of events that it has taken back.
    var cancelled: Set<Int64> = []
    /// Variants of the script tree by number, and those in force since the last start.
    var trees: [Int: Int] = [:]
    var inForce: [Int] = []
    /// The variant that decides where events go.
    var routing = 0
    /// The last seq before this life, and the tree in force since.
    var lifeBegan: Int64 = 0
    var treeAtStart = 0
    var maximumHops = 64
    var maximumEmits = 1000
    /// Every so many seqs a record says what stores hold.
    var digestInterval: Int64 = 1
    /// Snapshots may be taken away.
    var mayExpire = false
  }

  private struct Emitted: Hashable {
    var seq: Int64
    var index: Int
    var trigger: String
  }

  /// Where an operation stands among those with its order key.
  private struct Place: Comparable {
    var seq: Int64
    var index: Int
    static func < (left: Place, right: Place) -> Bool { (left.seq, left.index) < (right.seq, right.index) }
  }

  private(set) var records: [LogRecord] = []
  /// Of the facts, at each record: what only then was so.
  private var circumstances: [(inForce: [Int], routing: Int, lifeBegan: Int64, treeAtStart: Int)] = []
  /// Trees that were put in force, by the first seq of the operation that did, or the last before a start.
  private var installed: [(seq: Int64, tree: Int)] = []
  private var newestLife: Int64 = -1
  private var treeless: Set<Int64> = []
  private(set) var model = SerialModel()
  /// The stores as of `visible`.
  private var behind = SerialModel()
  private var behindSeq: Int64 = 0
  /// What each seq committed.
  private var commits: [[SerialModel.Intent]] = []
  private var emitted: Set<Emitted> = []
  /// Seqs of outcomes, by what the operation was about.
  private(set) var finals: [String: Int64] = [:]
  /// Triggers and ids of events from outside that have had an outcome, by themselves or in others.
  private(set) var ended: Set<String> = []
  /// Failed seqs that are to be tried again.
  private var retries: Set<Int64> = []
  /// Failed seqs whose order key waits for them to be tried again.
  private var turns: [String: Int64] = [:]
  private var finalIdentities: Set<Int64> = []
  private var newest: [String: (place: Place, seq: Int64)] = [:]
  private(set) var outcomes: [Outcome: Int] = [:]

  var last: Int64 { Int64(records.count) }

  /// Takes the next record.
  mutating func append(_ record: LogRecord, _ facts: Facts) throws {
    func refuse(_ reason: String) -> Violation {
      Violation("seq \(record.seq) \(record.trigger) \(record.outcome): \(reason)")
    }
    guard record.seq == last + 1 else { throw refuse("it follows seq \(last)") }
    outcomes[record.outcome, default: 0] += 1
    try checkTree(record, facts, refuse)
    try checkPriority(record, facts, refuse)
    var commit: [SerialModel.Intent] = []
    if record.outcome != .deferred {
      let key = try event(record, facts, refuse)
      try checkOnce(record, key, facts, refuse)
      // (One that is skipped has done nothing before or after another.)
      if record.outcome != .skipped { try checkOrder(record, facts, refuse) }
      try checkTurn(record, refuse)
    }
    switch record.outcome {
    case .deferred: break
    case .skipped: try checkSkipped(record, facts, refuse)
    case .committed, .failed: commit = try checkResult(record, facts, refuse)
    }
    let digests =
      record.seq % facts.digestInterval == 0
      ? model.digests(changedAfter: record.seq - facts.digestInterval) : []
    guard record.digests == digests else {
      throw refuse("the stores' digests are \(record.digests), alone they are \(digests)")
    }
    commits.append(commit)
    records.append(record)
    circumstances.append((facts.inForce, facts.routing, facts.lifeBegan, facts.treeAtStart))
  }

  /// As it was when `last` was decided.
  func cut(to last: Int64, _ facts: Facts) throws -> History {
    var (history, facts) = (History(), facts)
    facts.dropped = []
    facts.now = .max
    for index in 0..<Int(last) {
      (facts.inForce, facts.routing, facts.lifeBegan, facts.treeAtStart) = circumstances[index]
      try history.append(records[index], facts)
    }
    return history
  }

  /// The stores as readers see them at `seq`, which never goes back.
  mutating func stores(asOf seq: Int64) -> [String: SerialModel.Store] {
    while behindSeq < seq {
      _ = behind.apply(commits[Int(behindSeq)], seq: behindSeq + 1)
      behindSeq += 1
    }
    return behind.stores
  }

  /// What the record's event is called: `17`, `18/low`, `tick at 2026-01-01T00:00:03Z`.
  static func name(of record: LogRecord) -> String {
    guard let payload = try? record.payload.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
      return "?"
    }
    if let time = payload["fire_time"]?.stringValue {
      return "\(payload["job"]?.stringValue ?? "") at \(time)"
    }
    return "\(payload["n"]?.intValue ?? payload["seq"]?.intValue ?? 0)\(payload["by"]?.stringValue ?? "")"
  }

  // MARK: Once

  /// What the operation is about: two with the same have done the same work twice.
  private func event(
    _ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws -> String {
    let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    if record.trigger == Scripts.reload { return "reload at \(record.identity)" }
    var name =
      "\(record.trigger) of \(Self.name(of: record))\(record.tries > 0 ? ", try \(record.tries)" : "")"
    // Of two starts between which the clock stood still, each has its own.
    if payload["job"] == "start", let event = record.outside { name += " (\(event.id))" }
    // One that absorbed another keeps its own place and time, and has the content of that.
    guard record.kind != .commit, payload["fire_time"] == nil, record.cause == nil, record.retryOf == nil,
      !Scripts.byName[record.trigger]!.isMerging
    else { return name }
    let arrivals = payload["n"]?.intValue.flatMap { facts.arrivals[$0] } ?? []
    guard arrivals.contains(where: { $0.admitted == record.admitted }) else {
      throw refuse("its event came at \(arrivals.map(\.admitted)), the record says \(record.admitted)")
    }
    return name
  }

  private mutating func checkOnce(
    _ record: LogRecord, _ key: String, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    if let first = finals[key] { throw refuse("\(key) had its outcome at seq \(first)") }
    if facts.dropped.contains(key) { throw refuse("its sender was told that it is dropped") }
    finals[key] = record.seq
    for item in record.absorbed { try absorb(item, record, refuse) }
    if let event = record.outside { try end(event, record, refuse) }
    guard finalIdentities.insert(record.identity).inserted else {
      throw refuse("operation \(record.identity) has had an outcome before")
    }
    if let seq = record.retryOf { try checkRetry(record, of: seq, facts, refuse) }
    if record.retryAt != nil { retries.insert(record.seq) }
    guard let cause = record.cause else { return }
    guard
      emitted.remove(Emitted(seq: cause.seq, index: cause.index, trigger: record.trigger)) != nil
    else { throw refuse("seq \(cause.seq) has not emitted it, or it has run before") }
  }

  private mutating func end(
    _ event: LogRecord.Outside, _ record: LogRecord, _ refuse: (String) -> Violation
  ) throws {
    guard ended.insert("\(record.trigger) of \(event.id)").inserted else {
      throw refuse("event \(event.id) has had an outcome before")
    }
  }

  private mutating func absorb(
    _ item: LogRecord.Absorbed, _ record: LogRecord, _ refuse: (String) -> Violation
  ) throws {
    switch item {
    case .event(let event):
      try end(event, record, refuse)
    case .retry(let seq, _):
      guard retries.remove(seq) != nil else { throw refuse("it absorbs another try of seq \(seq)") }
    case .commit(let cause):
      let operation = Emitted(seq: cause.seq, index: cause.index, trigger: record.trigger)
      guard emitted.remove(operation) != nil else {
        throw refuse("it absorbs what seq \(cause.seq) has not emitted, or what has run")
      }
    }
  }

  private mutating func checkRetry(
    _ record: LogRecord, of seq: Int64, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    guard retries.remove(seq) != nil else { throw refuse("seq \(seq) is not to be tried again, or has been") }
    let first = records[Int(seq) - 1]
    guard first.trigger == record.trigger, first.payload == record.payload, first.tries + 1 == record.tries
    else {
      throw refuse("it does not try again what seq \(seq) was")
    }
    // (One that is taken back need not wait.)
    let mayBeEarly = facts.clockWasSet || record.outcome == .skipped
    guard let due = first.retryAt, due == record.admitted, due <= facts.now || mayBeEarly else {
      throw refuse("it was due at \(first.retryAt ?? 0), and is decided at \(facts.now)")
    }
  }

  // MARK: Order

  /// Operations of one trigger from one source, or of one `order_by` value, are decided as they arrived.
  private mutating func checkOrder(
    _ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    // What a schedule starts has no place among events, and absorbing gives an older one a newer content.
    guard payload["fire_time"] == nil, let trigger = Scripts.byName[record.trigger],
      !trigger.isMerging, record.retryOf == nil
    else { return }
    var (key, place) = ("", Place(seq: 0, index: 0))
    if let cause = record.cause {
      let emitter = record.kind == .commit ? "a commit" : records[Int(cause.seq) - 1].trigger
      (key, place) = ("emitted by \(emitter)", Place(seq: cause.seq, index: cause.index))
    } else if let n = payload["n"]?.intValue,
      let arrival = facts.arrivals[n]?.last(where: { $0.admitted == record.admitted })
    {
      (key, place) = ("from source \(record.source)", Place(seq: Int64(arrival.place), index: 0))
    }
    if trigger.isOrderedByKey {
      // Events from outside and emitted ones have no common place: each of the two kinds is in order.
      key = "with key \(payload["key"]?.stringValue ?? "")\(record.cause == nil ? "" : ", emitted")"
      if record.cause != nil { return }
    }
    key = "\(record.trigger) \(key)"
    if let before = newest[key], place < before.place {
      throw refuse("\(key): seq \(before.seq) is of a later event")
    }
    newest[key] = (place, record.seq)
  }

  /// Until what failed has been tried for the last time, nothing else of its order key is decided.
  private mutating func checkTurn(_ record: LogRecord, _ refuse: (String) -> Violation) throws {
    guard let trigger = Scripts.byName[record.trigger], trigger.keepsOrder else { return }
    let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    let key =
      "\(record.trigger) \(trigger.isOrderedByKey ? payload["key"]?.stringValue ?? "" : "from \(record.source)")"
    if let seq = turns[key] {
      if record.retryOf == seq {
        turns[key] = nil
      } else if record.outcome != .skipped {
        throw refuse("seq \(seq), of the same order key, is to be tried again before it")
      }
    }
    if record.retryAt != nil { turns[key] = record.seq }
  }

  /// An operation has the priority of its event, or what its trigger declares; across restarts too.
  private func checkPriority(_ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation) throws {
    guard let trigger = Scripts.byName[record.trigger], !trigger.isMerging, record.tree > 0,
      !treeless.contains(record.identity)
    else { return }
    var expected = trigger.priority
    if record.cause == nil, record.kind == .event, record.retryOf == nil {
      let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      if let n = payload["n"]?.intValue, let own = facts.priorities[n] { expected = own }
    }
    if record.retryOf == nil, record.priority != expected {
      throw refuse("its priority is \(record.priority), expected \(expected)")
    }
  }

  // MARK: Scripts

  /// What is dequeued after a reload uses its tree, what was before keeps its own, across restarts too.
  private mutating func checkTree(
    _ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    if newestLife != facts.lifeBegan {
      newestLife = facts.lifeBegan
      installed.append((facts.lifeBegan, facts.treeAtStart))
    }
    if record.trigger == Scripts.reload {
      let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      if record.seq == record.identity, let tree = payload["tree"]?.intValue {
        installed.append((record.seq, Int(tree)))
      }
      return
    }
    // One whose trigger was gone when it was dequeued, and is back after a restart, has what there is.
    if record.outcome == .deferred, record.tree == 0 { treeless.insert(record.identity) }
    // One that ends without a run has none.
    guard record.outcome == .committed || record.outcome == .failed,
      !treeless.contains(record.identity)
    else { return }
    let tree = installed.last { $0.seq < record.identity }?.tree ?? 0
    if record.tree != tree { throw refuse("it ran with tree \(record.tree), tree \(tree) was in force") }
  }

  // MARK: Outcomes

  private func checkSkipped(
    _ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    if !record.intents.isEmpty || !record.emissions.isEmpty { throw refuse("it has intents") }
    if record.trigger == Scripts.reload, record.identity <= facts.lifeBegan { return }
    let payload = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    let isGone = facts.inForce.contains { Scripts.variants[$0].missing.contains(record.trigger) }
    let isDropped =
      record.code == .dropped
      && Scripts.byName[record.trigger]!.options.contains("mode")
    let isCancelled =
      payload["fire_time"] != nil || Scripts.byName[record.trigger]!.mayCancel
      || payload["n"]?.intValue.map { facts.cancelled.contains($0) } == true
    if !isGone, !isCancelled, !isDropped {
      throw refuse("nobody has cancelled it, and its trigger is in force")
    }
  }

  private mutating func checkResult(
    _ record: LogRecord, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws -> [SerialModel.Intent] {
    if record.trigger == Scripts.reload {
      let isExpired = record.isKilled && facts.mayExpire
      guard record.outcome == .committed || isExpired, record.intents.isEmpty else {
        throw refuse("a reload commits nothing: \(record)")
      }
      return []
    }
    if record.isKilled {
      guard record.outcome == .failed, facts.killed.contains(record.identity) || facts.mayExpire else {
        throw refuse("it counts as killed, and nobody has")
      }
      return []
    }
    guard let variant = facts.trees[record.tree] else { throw refuse("nobody knows tree \(record.tree)") }
    let result = try model.execute(record, salt: Scripts.variants[variant].salt)
    switch result {
    case .fails(let text):
      guard record.outcome == .failed, record.error?.contains(text) == true else {
        throw refuse("alone it fails with \(text); the record has \(record.error ?? "no error")")
      }
      return []
    case .commits(let intents): return try checkIntents(record, intents, variant, facts, refuse)
    }
  }

  private mutating func checkIntents(
    _ record: LogRecord, _ intents: [SerialModel.Intent], _ variant: Int, _ facts: Facts,
    _ refuse: (String) -> Violation
  ) throws -> [SerialModel.Intent] {
    if let refusal = limit(record, intents, facts) {
      guard record.outcome == .failed, record.error?.contains(refusal) == true else {
        throw refuse("it goes beyond a limit: \(refusal); the record has \(record.error ?? "no error")")
      }
      return []
    }
    let (changed, refusal) = model.apply(intents, seq: record.seq)
    if let refusal {
      guard record.outcome == .failed, record.error?.contains(refusal) == true else {
        throw refuse("\(refusal) of another kind; the record has \(record.error ?? "no error")")
      }
      return []
    }
    guard record.outcome == .committed else {
      throw refuse("alone it commits; the record has \(record.error ?? "no error")")
    }
    if let difference = difference(record.intents, intents) { throw refuse(difference) }
    try checkEmissions(record, intents, changed, facts, refuse)
    return intents
  }

  private func limit(_ record: LogRecord, _ intents: [SerialModel.Intent], _ facts: Facts) -> String? {
    let emits = intents.count { $0.kind == "emit" }
    if record.hops > facts.maximumHops || emits > 0 && record.hops >= facts.maximumHops { return "loop" }
    return emits > facts.maximumEmits ? "emits \(emits) events" : nil
  }

  private func difference(_ logged: [LogRecord.Intent], _ alone: [SerialModel.Intent]) -> String? {
    guard logged.count == alone.count else {
      return "it has \(logged.count) intents, alone it has \(alone.count)"
    }
    for (logged, alone) in zip(logged, alone) {
      let value = alone.value.map { CanonicalEncoding.encode($0) } ?? []
      if logged.kind != alone.kind || logged.store != alone.store || logged.key != Array(alone.key.utf8)
        || logged.value != value
      {
        return "it has the intent \(logged); alone it has \(alone)"
      }
    }
    return nil
  }

  // MARK: Emissions

  private mutating func checkEmissions(
    _ record: LogRecord, _ intents: [SerialModel.Intent], _ changed: Set<SerialModel.Place>, _ facts: Facts,
    _ refuse: (String) -> Violation
  ) throws {
    let emits = intents.filter { $0.kind == "emit" }
    let events = record.emissions.filter { $0.kind == .event }
    guard events.count == emits.count else {
      throw refuse("it emits \(events.count) events, alone it emits \(emits.count)")
    }
    for (event, emit) in zip(events, emits) {
      let route = Scripts.route(emit.key, facts.routing)
      guard event.name == emit.key, event.payload == CanonicalEncoding.encode(emit.value!),
        route == event.triggers
      else { throw refuse("it emits \(event.name) to \(event.triggers); alone \(emit) to \(route)") }
    }
    try checkCommitEvents(record, changed, facts, refuse)
    for (index, event) in record.emissions.enumerated() {
      for trigger in event.triggers {
        emitted.insert(Emitted(seq: record.seq, index: index, trigger: trigger))
      }
    }
  }

  private func checkCommitEvents(
    _ record: LogRecord, _ changed: Set<SerialModel.Place>, _ facts: Facts, _ refuse: (String) -> Violation
  ) throws {
    var expected: [String: Set<String>] = [:]
    for place in changed {
      if place.store == "a" { expected["watch", default: []].insert("a/\(place.key)") }
      if place.store == "b", place.key.hasPrefix("k") {
        expected["audit", default: []].insert("b/\(place.key)")
      }
    }
    var found: [String: Set<String>] = [:]
    for event in record.emissions where event.kind == .commit {
      let payload = try event.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      guard payload["seq"] == .int(record.seq), event.triggers.count == 1 else {
        throw refuse("an event of the commit is \(payload) for \(event.triggers)")
      }
      found[event.triggers[0]] = Set(payload["keys"]!.arrayValue!.map { $0.stringValue! })
    }
    // `*` stands for no slash: lists are outside of both patterns.
    expected = expected.mapValues { $0.filter { $0.split(separator: "/").count == 2 } }.filter {
      !$0.value.isEmpty
    }
    if found != expected { throw refuse("events of the commit tell \(found), alone \(expected)") }
  }

  // MARK: The end

  /// Operations that were emitted, or are to be tried again, and have had no outcome; but for those that others
  /// may absorb.
  var unfinished: [String] {
    retries.sorted().map { "another try of seq \($0)" }
      + emitted
      .map { "\($0.trigger) of emission \($0.index) of seq \($0.seq)" }.sorted()
  }
}
