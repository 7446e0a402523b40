import Synchronization
import TriggerCore

/// Events come in, from any thread: admitted, refused, or waiting for room.
extension Engine {
  /// True when the queue has room for an event from outside.
  var hasRoom: Bool {
    queued.load(ordering: .relaxed) < configuration.queueCapacity && takesEvents
  }

  /// When the queue is full, a tenth more waits for what is urgent: a flood keeps nobody out who goes ahead of it anyway.
  private func hasReserve(for priority: Priority) -> Bool {
    let capacity = configuration.queueCapacity
    return priority >= .high && takesEvents && queued.load(ordering: .relaxed) < capacity + capacity / 10
  }

  private func hasReserve(for arrival: Arrival) -> Bool {
    if let priority = arrival.priority { return hasReserve(for: priority) }
    let matching = intakeLock.withLock { router.route(arrival.kind, arrival.name) }
    return matching.contains { hasReserve(for: $0.options.priority) }
  }

  /// The engine neither stops nor has a log that has failed.
  var takesEvents: Bool { !isEnding && !hasFailed.load(ordering: .relaxed) }

  /// An id for an event to come.
  func makeEventID() -> EventID {
    EventID(
      epoch: epoch.load(ordering: .relaxed),
      number: eventNumber.wrappingAdd(1, ordering: .relaxed).newValue)
  }

  /// What of an event from outside its operations have in common; nil when that is nothing, as for an event
  /// of one operation that nobody has a name for. Intake lock: before any of the operations can be decided.
  private func outsideEvent(
    _ arrival: Arrival, _ matching: [LoadedTrigger], payload: UnsafeBufferPointer<UInt8>, now: Int64
  ) -> OutsideEvent? {
    if let known = arrival.inside?.past?.outside { return known }
    guard arrival.inside?.cause == nil, arrival.inside?.past?.retry == nil, !matching.isEmpty,
      arrival.id != nil || arrival.key != nil || arrival.isKept || matching.count > 1
    else { return nil }
    let named = LogRecord.Outside(
      id: arrival.id ?? makeEventID(), key: arrival.key, triggers: matching.map(\.name),
      priority: arrival.priority)
    let event = OutsideEvent(
      named,
      // Part of the event may end in another one: what is left then is in no record.
      isAccepted: arrival.isKept
        || matching.count > 1 && matching.contains { $0.options.isGated || $0.options.coalesce != nil },
      left: matching.count)
    if event.isAccepted {
      log?.accept(
        AcceptedEvent(
          id: named.id, key: named.key, kind: arrival.kind, name: arrival.name, payload: Array(payload),
          priority: arrival.priority, source: arrival.source, admitted: now, triggers: named.triggers),
        whenKept: arrival.whenKept ?? {})
    }
    return event
  }

  /// Admits an event: one operation for each trigger it matches. Returns how many; nil when the queue is
  /// full. Any thread; O(matching triggers).
  func admit(
    _ arrival: Arrival, payload: UnsafeBufferPointer<UInt8>,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) -> Int? {
    if arrival.inside == nil, !hasRoom, !hasReserve(for: arrival) { return nil }
    let now = clock.now()
    var name = arrival.name
    intakeLock.lock()
    let matching = router.route(arrival.kind, name)
    let outside = outsideEvent(arrival, matching, payload: payload, now: now)
    name.withUTF8 { name in
      for place in matching.indices {
        // Workers look at the trigger all the time: nothing is counted there.
        let trigger = matching.withUnsafeBufferPointer { Unmanaged.passUnretained($0[place]) }
        let operation = trigger._withUnsafeGuaranteedRef {
          makeOperation(
            $0, arrival, outside, name: name, payload: payload, now: now, completion: completion)
        }
        incoming.append(operation)
      }
    }
    _ = queued.wrappingAdd(matching.count, ordering: .relaxed)
    _ = unfinished.wrappingAdd(matching.count, ordering: .sequentiallyConsistent)
    intakeLock.unlock()
    rouseWatchdog()
    if !matching.isEmpty { wakeWorker() }
    if outside?.isAccepted != true || log == nil { arrival.whenKept?() }
    return matching.count
  }

  /// Admits an operation for one trigger, whatever it is bound to. False when the queue is full.
  func admit(
    to trigger: LoadedTrigger, _ arrival: Arrival, payload: UnsafeBufferPointer<UInt8>,
    completion: (@Sendable (OperationResult) -> Void)? = nil
  ) -> Bool {
    if arrival.inside == nil, !hasRoom, !hasReserve(for: arrival.priority ?? trigger.options.priority) {
      return false
    }
    var name = arrival.name
    let now = clock.now()
    intakeLock.lock()
    let outside = outsideEvent(arrival, [trigger], payload: payload, now: now)
    name.withUTF8 {
      let operation = makeOperation(
        trigger, arrival, outside, name: $0, payload: payload, now: now, completion: completion)
      // A newer set may have come since the caller looked the trigger up.
      inForce.adopt(operation)
      if trigger.kind == .missing { operation.loseTrigger() }
      incoming.append(operation)
    }
    _ = queued.wrappingAdd(1, ordering: .relaxed)
    if arrival.inside?.isCounted != true { _ = unfinished.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    intakeLock.unlock()
    rouseWatchdog()
    wakeWorker()
    return true
  }

  private func makeOperation(
    _ trigger: LoadedTrigger, _ arrival: Arrival, _ outside: OutsideEvent?,
    name: UnsafeBufferPointer<UInt8>, payload: UnsafeBufferPointer<UInt8>, now: Int64,
    completion: (@Sendable (OperationResult) -> Void)?
  ) -> Operation {
    let past = arrival.inside?.past
    let keys = OperationKeys(trigger: trigger, source: arrival.source, payload: payload)
    return Operation(
      trigger: trigger, priority: arrival.priority ?? trigger.options.priority, hops: arrival.hops,
      orderKey: keys.order, admitted: past?.admitted ?? now, kind: arrival.kind, source: arrival.source,
      cause: arrival.inside?.cause, outside: outside, identity: past?.identity ?? 0, past: past,
      name: name, payload: payload,
      coalesceKey: keys.coalesce, gateKey: keys.gate, completion: completion,
      // A trigger that restarts cancels its own runs, and nothing else that its event's sender may take back.
      cancellation: trigger.options.mode == .restart
        ? Cancellation(within: arrival.cancellation) : arrival.cancellation,
      clockSteps: clockSteps.load(ordering: .relaxed), family: arrival.inside?.family)
  }

  /// What becomes of an event that came with a key of its sender's.
  enum KeyedAdmission {
    /// Results come, of this event or of the first one with its key, whose id it is.
    case taken(EventID)
    case full
    /// The key was used with another event.
    case reused
    /// No more keys can be known until then, nanoseconds since 1970.
    case keysFull(until: Int64)
  }

  /// Admits an event unless its key has come before.
  ///
  /// - Parameters:
  ///   - results: called once, with the results of all operations.
  ///   - whenKept: called once, when the event is kept; for a repeated one, when it is decided.
  /// - Throws: when what came of the first event with the key cannot be read.
  func admit(
    _ arrival: Arrival, scope: String, key: String, payload: UnsafeBufferPointer<UInt8>,
    results: @escaping IdempotencyKeys.Results, whenKept: (@Sendable (EventID) -> Void)?
  ) throws -> KeyedAdmission {
    let place = SenderKey(scope: scope, key: key)
    let digest = XXH64.of(UnsafeRawBufferPointer(payload)) ^ StableHash.of(arrival.name)
    let id = arrival.id ?? makeEventID()
    let verdict = try keys.claim(place, id: id, digest: digest, now: keyTime, first: results) {
      id, known in
      results(id, known)
      whenKept?(id)
    }
    switch verdict {
    case .reused: return .reused
    case .repeated(let first): return .taken(first)
    case .full(let time): return .keysFull(until: time)
    case .first: break
    }
    var arrival = arrival
    arrival.id = id
    if let whenKept { arrival.whenKept = { whenKept(id) } }
    arrival.key = .client(scope: scope, key: key, digest: digest)
    guard let count = admit(arrival, payload: payload, completion: { self.keys.add($0, to: place) }) else {
      keys.withdraw(place)
      return .full
    }
    keys.expect(count, of: place)
    return .taken(id)
  }

  /// Suspends until the queue has room.
  func waitForRoom() async {
    await withCheckedContinuation { continuation in
      let mayGo = intakeLock.withLock {
        if hasRoom || isEnding { return true }
        waitingForRoom.append(continuation)
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  /// Suspends until everything admitted so far, and all that came of it, is decided, durable, seen by readers and
  /// told, or the engine has stopped.
  func waitUntilIdle() async {
    await waitUntilDecided()
    await waitUntilTold()
  }

  /// Suspends until what is decided is durable, seen by readers, and told: receivers have returned.
  func waitUntilTold() async {
    let seq = withState { $0.order.frontier }
    await outbox.wait(for: seq, visible: log == nil ? .max : registry.visible.load(ordering: .acquiring))
    await receivers.waitUntilEnd()
  }

  private func waitUntilDecided() async {
    await withCheckedContinuation { continuation in
      let isIdle = intakeLock.withLock {
        if unfinished.load(ordering: .acquiring) == 0 || isEnding { return true }
        waitingForIdle.append(continuation)
        return false
      }
      if isIdle { continuation.resume() }
    }
  }
}
