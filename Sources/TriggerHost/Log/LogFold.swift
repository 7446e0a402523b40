import DequeModule
import TriggerCore

/// What a log leaves to remember beside the stores: operations that were admitted and not decided, how far
/// feeds and schedules are, which keys have come, which operations failed for good. A fold over the records
/// in seq order; a pure state machine.
///
/// Every operation has one origin: the commit that emitted its event, an event from outside, the failed seq
/// that it tries again, or, for an event without a name, its own first seq. Origin and trigger together are
/// decided once.
package struct LogFold: Sendable, Equatable {
  package enum Origin: Hashable, Sendable {
    case commit(LogRecord.Cause)
    case event(EventID)
    case retry(of: Int64)
    case seq(Int64)
  }
  package struct Slot: Hashable, Sendable {
    package var origin: Origin
    package var trigger: String
  }

  /// An event from outside of which some operations are decided, or deferred.
  package struct Seen: Sendable, Equatable {
    package var total: Int
    package var decided = 0
    package var triggers: Set<String> = []

    /// - Returns: true when all operations are decided.
    package mutating func note(_ record: LogRecord) -> Bool {
      triggers.insert(record.trigger)
      if record.outcome != .deferred { decided += 1 }
      return decided >= total
    }
  }

  /// Script trees that records have put in force, until a checkpoint has noted that: no part of what the fold is as of a
  /// seq.
  package struct InstalledTrees: Sendable, Equatable {
    /// By number, the first seq that may use it.
    package var seqs: [Int: Int64] = [:]

    /// What is to be noted: records may go, and the trees stay.
    package var jobs: [LogJob] { seqs.sorted { $0.key < $1.key }.map { .treeInForce(number: $0, seq: $1) } }

    package static func == (_: InstalledTrees, _: InstalledTrees) -> Bool { true }
  }

  /// Failed operations that are remembered for `dead`; beyond, the oldest are forgotten.
  package static let deadKept = 10_000

  /// The newest seq seen.
  package internal(set) var lastSeq: Int64 = 0
  /// Records without intents; what is set says how to go on: `identity` when it had a seq, `retryAt` when it
  /// waits for its time.
  package var pending: [Slot: LogRecord] = [:]
  package var seen: [EventID: Seen] = [:]
  package internal(set) var feeds: [String: FeedRows] = [:]
  /// What each job has fired.
  package internal(set) var fires: [String: FiredInstants] = [:]
  package var keys: [SenderKey: KeyState] = [:]
  package var finished = FinishedKeys()
  package var failed: Deque<Int64> = []
  package var installed = InstalledTrees()

  package init() {}

  /// Seqs that failed for good, oldest first.
  package var dead: [Int64] { Array(failed) }

  // MARK: Records

  /// Takes the next record. O(1) for a plain one.
  package mutating func apply(_ view: RecordView) throws(LogDamage) {
    lastSeq = view.seq
    if let number = view.installedTree { installed.seqs[number] = view.identity }
    if view.isPlain, view.outcome != .failed { return }
    apply(try LogRecord(view, intents: false))
  }

  package mutating func apply(_ record: LogRecord) {
    lastSeq = record.seq
    let slot = Slot(origin: Self.origin(of: record), trigger: record.trigger)
    if record.outcome == .deferred {
      pending[slot] = record
    } else {
      pending[slot] = nil
      if record.outcome == .failed { fail(record) }
      // Put back and not run: whoever did that may do it again.
      if record.outcome == .skipped, record.isRequeued { bury(record.seq) }
      emit(record)
      if let failed = record.retryOf {
        amendKey(record.sender, failed: failed, by: record, isAbsorbed: false)
      }
    }
    if let event = record.outside { note(event, by: record, isAbsorbed: false) }
    for item in record.absorbed {
      switch item {
      case .event(let event): note(event, by: record, isAbsorbed: true)
      case .commit(let cause): pending[Slot(origin: .commit(cause), trigger: record.trigger)] = nil
      case .retry(let seq, let sender):
        pending[Slot(origin: .retry(of: seq), trigger: record.trigger)] = nil
        if record.outcome != .deferred { amendKey(sender, failed: seq, by: record, isAbsorbed: true) }
      }
    }
  }

  package static func origin(of record: LogRecord) -> Origin {
    if let seq = record.retryOf { return .retry(of: seq) }
    if let cause = record.cause { return .commit(cause) }
    if let event = record.outside { return .event(event.id) }
    return .seq(record.identity)
  }

  private mutating func fail(_ record: LogRecord) {
    guard let due = record.retryAt else { return bury(record.seq) }
    var retry = Self.fresh(record)
    retry.retryOf = record.seq
    retry.sender = record.senderOfEvent
    retry.tries = record.tries + 1
    retry.retryAt = due
    retry.retryPause = record.retryPause
    retry.admitted = due
    pending[Slot(origin: .retry(of: record.seq), trigger: record.trigger)] = retry
  }

  private mutating func bury(_ seq: Int64) {
    failed.append(seq)
    if failed.count > Self.deadKept { failed.removeFirst() }
  }

  private mutating func emit(_ record: LogRecord) {
    for (index, emission) in record.emissions.enumerated() {
      var operation = Self.fresh(record)
      operation.kind = emission.kind
      operation.event = emission.name
      operation.payload = emission.payload
      operation.hops = record.hops + 1
      operation.cause = LogRecord.Cause(seq: record.seq, index: index)
      operation.source = EventSource.emitted(emission.kind, by: StableHash.of(record.trigger))
      for trigger in emission.triggers {
        operation.trigger = trigger
        pending[Slot(origin: .commit(operation.cause!), trigger: trigger)] = operation
      }
    }
  }

  /// An operation of the record's event that has no seq yet.
  private static func fresh(_ record: LogRecord) -> LogRecord {
    var operation = record
    operation.identity = 0
    operation.cause = nil
    operation.outside = nil
    operation.absorbed = []
    operation.emissions = []
    operation.reads = []
    operation.error = nil
    operation.retryOf = nil
    operation.tries = 0
    operation.sender = nil
    operation.retryAt = nil
    operation.retryPause = 0
    return operation
  }

  /// One operation of the event is decided or deferred, by itself or in another one that absorbed it.
  private mutating func note(_ event: LogRecord.Outside, by record: LogRecord, isAbsorbed: Bool) {
    let total = max(1, event.triggers.count)
    if seen[event.id] == nil {
      noteSource(event)
      noteKey(event, total: total, admitted: record.admitted)
      // The event counts whole or not at all. (An absorbed one's content is in the accepted event.)
      if !isAbsorbed { admitSiblings(of: event, record) }
    }
    if isAbsorbed { pending[Slot(origin: .event(event.id), trigger: record.trigger)] = nil }
    if record.outcome != .deferred { noteResult(record, event, isAbsorbed: isAbsorbed) }
    // In place: a copy for each of the event's operations would cost the square of them.
    if seen[event.id, default: Seen(total: total)].note(record) { seen[event.id] = nil }
  }

  private mutating func admitSiblings(of event: LogRecord.Outside, _ record: LogRecord) {
    var operation = Self.fresh(record)
    operation.outside = event
    for trigger in event.triggers where trigger != record.trigger {
      operation.trigger = trigger
      pending[Slot(origin: .event(event.id), trigger: trigger)] = operation
    }
  }

  // MARK: Sources

  /// The event's source has come so far.
  private mutating func noteSource(_ event: LogRecord.Outside) {
    switch event.key {
    case nil, .client?: break
    case .row(let feed, let number, let floor)?:
      feeds[feed, default: FeedRows()].note(number, floor: floor)
    case .fire(let job, let instant, let after)?:
      fires[job, default: FiredInstants()].add(instant, after: after)
    }
  }

  // MARK: Accepted events

  /// An event that the log had accepted, as it stands there at its end: what no record tells of is still to
  /// do.
  package mutating func accept(_ event: AcceptedEvent) {
    let outside = LogRecord.Outside(
      id: event.id, key: event.key, triggers: event.triggers, priority: event.priority)
    noteSource(outside)
    noteKey(outside, total: event.triggers.count, admitted: event.admitted)
    let known = seen[event.id]?.triggers ?? []
    for trigger in event.triggers where !known.contains(trigger) {
      var operation = LogRecord(
        seq: 0, identity: 0, outcome: .skipped, trigger: trigger, kind: event.kind, event: event.name,
        payload: event.payload, priority: event.priority ?? .normal, admitted: event.admitted,
        source: event.source, hops: event.hops, tree: 0, cause: nil, attempts: 0, intents: [], emissions: [],
        isKilled: false, error: nil, reads: [])
      operation.outside = outside
      operation.retryOf = event.retryOf
      operation.sender = event.sender
      pending[Slot(origin: Self.origin(of: operation), trigger: trigger)] = operation
    }
  }

  /// What is left to do: retries first, for others may have to wait for them, then deferred operations, then what
  /// commits emitted, then events from outside; each in the order it was admitted in.
  package var unfinished: [LogRecord] {
    func place(_ slot: Slot, _ record: LogRecord) -> [Int64] {
      if case .retry(let seq) = slot.origin { return [0, seq] }
      if record.identity != 0 { return [1, record.identity] }
      switch slot.origin {
      case .retry(let seq), .seq(let seq): return [1, seq]
      case .commit(let cause): return [2, cause.seq, Int64(cause.index)]
      case .event(let id): return [3, id.epoch, id.number]
      }
    }
    return pending.map { (place: place($0, $1), slot: $0, record: $1) }
      .sorted { left, right in
        left.place == right.place
          ? left.slot.trigger < right.slot.trigger : left.place.lexicographicallyPrecedes(right.place)
      }
      .map(\.record)
  }
}
