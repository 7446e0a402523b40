import DequeModule
import TriggerCore

/// What recovery must know beside the stores: the operations that were admitted and not decided, how far feeds and
/// schedules have come, which keys have come, and which operations failed for good. A fold over the records in seq
/// order. A pure state machine.
///
/// Every operation has one origin: the commit that emitted its event, an event from outside, the failed seq that it
/// tries again, or, for an event without an id, its own first seq. An origin and a trigger together name one operation,
/// which is decided once.
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

  /// How many operations that failed for good the fold knows. With more it forgets the oldest.
  package static let deadKept = 10_000

  /// The seq of the newest record.
  package internal(set) var lastSeq: Int64 = 0
  /// The operations that are admitted and not decided, as records without intents. `identity` is set when the operation
  /// has had a seq, and `retryAt` when it waits for its time.
  package var pending: [Slot: LogRecord] = [:]
  package var seen: [EventID: Seen] = [:]
  package internal(set) var feeds: [String: FeedRows] = [:]
  /// The instants that each job has fired, by the job's name.
  package internal(set) var fires: [String: FiredInstants] = [:]
  package var keys: [SenderKey: KeyState] = [:]
  package var finished = FinishedKeys()
  package var failed: Deque<Int64> = []
  package var installed = InstalledTrees()

  package init() {}

  /// Seqs that failed for good, oldest first.
  package var dead: [Int64] { Array(failed) }

  // MARK: Records

  /// Brings the fold up to the next record. O(1) for a plain record.
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
      // The operation was put back and did not run: whoever put it back may do so again.
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
      operation.source = EmissionSource.emitted(emission.kind, by: StableHash.of(record.trigger))
      for trigger in emission.triggers {
        operation.trigger = trigger
        pending[Slot(origin: .commit(operation.cause!), trigger: trigger)] = operation
      }
    }
  }

  /// An operation of the record's event that has not had a seq.
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

  /// Notes that the record decided or deferred one operation of the event, or an operation that superseded it.
  private mutating func note(_ event: LogRecord.Outside, by record: LogRecord, isAbsorbed: Bool) {
    let total = max(1, event.triggers.count)
    if seen[event.id] == nil {
      noteSource(event)
      noteKey(event, total: total, admitted: record.admitted)
      // All operations of an event are admitted, or none. (The log keeps the content of an absorbed event as an
      // accepted event.)
      if !isAbsorbed { admitSiblings(of: event, record) }
    }
    if isAbsorbed { pending[Slot(origin: .event(event.id), trigger: record.trigger)] = nil }
    if record.outcome != .deferred { noteResult(record, event, isAbsorbed: isAbsorbed) }
    // In place: a copy for each operation of the event would cost the square of their number.
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

  /// Notes how far the event's source has come.
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

  /// Adds an accepted event that the log still keeps. Those of its operations that no record names are still to do.
  /// Call this after the last record.
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

  /// The operations that are left to do: first retries, because others may have to wait for them, then deferred
  /// operations, then events that commits emitted, then events from outside. Each of these in the order of admission.
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
