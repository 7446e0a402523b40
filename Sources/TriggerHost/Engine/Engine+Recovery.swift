import Synchronization
import TriggerCore

/// What an earlier run has left: taken in before the start.
extension Engine {
  /// Rebuilds the state from a log. Once, before `start`.
  ///
  /// - Parameter scripts: a tree of an earlier run by its number, for operations that were dequeued under it.
  func recover(
    scripts: @escaping (_ tree: Int) throws -> ScriptTree?, _ body: (Recovery) throws -> Void
  ) throws -> Recovery {
    let recovery = Recovery(self)
    try body(recovery)
    scriptsOfTree = scripts
    recovered = recovery.fold
    accepted = recovery.accepted
    keys.restore(recovered, recovery.keptKeys, now: keyTime)
    withState { $0.resume(after: recovery.lastSeq) }
    return recovery
  }

  /// Ids of events begin with it. Before `start`.
  func open(epoch number: Int64) { epoch.store(number, ordering: .relaxed) }

  /// Index for records of triggers that are not in force.
  func index(ofName name: String) -> Int {
    intakeLock.withLock { indexOf(name) }
  }

  /// Operations that were admitted before the last stop go on where they were. One whose trigger is gone
  /// ends `skipped`.
  func admitRecovered() {
    let records = recovered.unfinished
    recovered = LogFold()
    admit(unfinished: records, accepted: accepted)
  }

  /// Admits operations that failed for good and were put back: the log keeps their events. Any thread, at any time.
  func admit(requeued events: [AcceptedEvent]) {
    var fold = LogFold()
    for event in events { fold.accept(event) }
    admit(unfinished: fold.unfinished, accepted: Set(events.map(\.id)))
  }

  private func admit(unfinished records: [LogRecord], accepted: Set<EventID>) {
    let events = Self.outsideEvents(of: records, accepted: accepted)
    let earlier = earlierSets(records)
    let now = clock.read()
    for record in records {
      let trigger =
        (record.identity != 0 ? earlier[record.tree]?[record.trigger] : nil) ?? installed(record.trigger)
        ?? adopt(name: record.trigger, body: .missing, options: TriggerOptions())
      let past = Operation.Past()
      let arrival = Arrival(
        kind: record.kind, name: record.event, source: record.source, priority: Self.priority(of: record),
        hops: UInt8(clamping: record.hops), inside: Arrival.Inside(cause: record.cause, past: past))
      past.identity = record.identity
      past.hasWaited = record.identity == 0
      past.admitted = record.cause == nil || record.identity != 0 ? record.admitted : nil
      past.retry = record.retryOf.map {
        Operation.Retry(of: $0, tries: record.tries, sender: record.sender)
      }
      // Others have passed one that was put back long ago.
      past.takesTurn = record.tries > 0 && trigger.options.retry?.order == .keep
      past.due = record.retryAt.map { Self.due($0, pause: record.retryPause, at: now) }
      past.outside = record.outside.flatMap { events[$0.id] }
      past.absorbed = record.absorbed.map { item in
        switch item {
        case .event(let event):
          let event = events[event.id]!
          return Operation.Absorbed(completion: completion(for: event), origin: .event(event))
        case .commit(let cause): return Operation.Absorbed(origin: .commit(cause))
        case .retry(let seq, let sender):
          let retry = Operation.Retry(of: seq, tries: 0, sender: sender)
          return Operation.Absorbed(completion: amendment(for: retry), origin: .retry(retry))
        }
      }
      record.payload.withUnsafeBufferPointer {
        _ = admit(
          to: trigger, arrival, payload: $0,
          completion: past.retry.flatMap { amendment(for: $0) }
            ?? completion(for: past.outside))
      }
    }
  }

  /// What was to happen at a wall time, after a pause, does when that is; at the latest when the pause has passed anew,
  /// for the clock may have been set back meanwhile.
  private static func due(_ time: Int64, pause: Int64, at now: ClockReading) -> MonotonicTime {
    let left = time.subtractingReportingOverflow(now.wall)
    if left.overflow || left.partialValue <= 0 { return now.monotonic }
    return now.monotonic + (pause > 0 ? min(left.partialValue, pause) : left.partialValue)
  }

  /// One that had no seq yet has what its event brought or, with nil, what its trigger declares: the record
  /// is of whatever came before it.
  private static func priority(of record: LogRecord) -> Priority? {
    if record.identity != 0 || record.retryOf != nil { return record.priority }
    return record.outside?.priority
  }

  /// Trees of operations that were dequeued before the last stop: they go on with what they had.
  private func earlierSets(_ records: [LogRecord]) -> [Int: TriggerSet] {
    let current = triggersInForce.tree?.identity.number
    var sets: [Int: TriggerSet] = [:]
    for number in Set(records.filter { $0.identity != 0 }.map(\.tree)) where number > 0 && number != current {
      // One that cannot be had any more is replaced by the newest.
      guard let scripts = try? scriptsOfTree(number), let identity = scripts.identity else { continue }
      let tree = LoadedTree(identity, scripts.contents)
      sets[number] = makeSet(
        scripts.triggers.map { ($0.name, .lua(tree: tree, path: $0.path), $0.options) }, tree: tree)
    }
    return sets
  }

  /// The events that operations of an earlier run share, each with as many operations as are left.
  private static func outsideEvents(
    of records: [LogRecord], accepted: Set<EventID>
  ) -> [EventID: OutsideEvent] {
    var events: [EventID: OutsideEvent] = [:]
    for record in records {
      let absorbed = record.absorbed.compactMap { item -> LogRecord.Outside? in
        if case .event(let event) = item { event } else { nil }
      }
      for event in [record.outside].compactMap({ $0 }) + absorbed {
        let known =
          events[event.id]
          ?? OutsideEvent(event, isAccepted: accepted.contains(event.id), left: 0)
        known.left += 1
        events[event.id] = known
      }
    }
    return events
  }

  /// Hands an operation's result to whoever sends its key again.
  private func completion(for event: OutsideEvent?) -> (@Sendable (OperationResult) -> Void)? {
    guard case .client(let scope, let key, _)? = event?.named.key else { return nil }
    return { [weak self] in self?.keys.add($0, to: SenderKey(scope: scope, key: key)) }
  }

  /// Whoever sends the key again learns what came of the failed seq when it was tried again.
  func amendment(for retry: Operation.Retry) -> (@Sendable (OperationResult) -> Void)? {
    guard let sender = retry.sender else { return nil }
    return { [weak self] result in
      guard let self else { return }
      keys.amend(sender.place, of: sender.event, failed: retry.seq, result, now: keyTime)
    }
  }
}
