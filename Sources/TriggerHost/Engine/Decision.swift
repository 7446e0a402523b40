import TriggerCore

/// What the log gets of a decided seq. Engine lock.
struct Decision: RecordContent {
  let operation: Operation
  let seq: Int64
  let outcome: Outcome
  /// Nil when the seq was deferred.
  let attempt: Attempt?
  /// What `LogCoding.writeIntents` gave before they were applied.
  let intents: UnsafeRawBufferPointer
  let emissions: [EmittedEvent]
  /// When a failed operation is tried again, nanoseconds since 1970; nil: never.
  let retryAt: Int64?
  /// How long until then, in nanoseconds.
  let retryPause: Int64
  /// Of stores, as of right after this seq.
  let digests: [StateDigests.Store]
  let wantsReads: Bool

  var identity: Int64 { operation.identity }
  var kind: EventKind { operation.kind }
  var priority: Priority { operation.priority }
  var admitted: Int64 { operation.admitted }
  var source: UInt64 { operation.source }
  var hops: Int { Int(operation.hops) }
  /// One whose trigger was gone when it was dequeued has no scripts; put off over a restart, it has those of then.
  var tree: Int { operation.isGone ? 0 : operation.trigger.tree }
  var cause: LogRecord.Cause? { operation.cause }
  var attempts: Int { Int(operation.attempts) }
  var isKilled: Bool { attempt?.status == .killed || attempt?.isExpired == true }
  var error: String? { attempt?.failure?.message }
  var code: FailureCode? { attempt?.failure?.code }
  var reads: [String] { wantsReads ? attempt?.reads.descriptions ?? [] : [] }
  var outside: LogRecord.Outside? { operation.outside?.named }
  var retryOf: Int64? { operation.retryOf }
  var tries: Int { operation.tries }
  var sender: LogRecord.Sender? { operation.sender }

  var absorbed: [LogRecord.Absorbed] {
    if operation.absorbed.isEmpty { return [] }
    return operation.absorbed.compactMap(\.origin).map { origin in
      switch origin {
      case .event(let event): .event(event.named)
      case .commit(let cause): .commit(cause)
      case .retry(let retry): .retry(of: retry.seq, sender: retry.sender)
      }
    }
  }

  func writeTrigger(to buffer: CBORBuffer) { buffer.blob(operation.trigger.nameBytes) }
  func writeEvent(to buffer: CBORBuffer) { buffer.blob(UnsafeRawBufferPointer(operation.name)) }
  func writePayload(to buffer: CBORBuffer) { buffer.blob(UnsafeRawBufferPointer(operation.payload)) }

  func writeIntents(to buffer: CBORBuffer, scratch: CBORBuffer) {
    if outcome == .committed { buffer.blob(intents) } else { buffer.emptyArrayBlob() }
  }

  func writeEmissions(to buffer: CBORBuffer, scratch: CBORBuffer) {
    buffer.arrayBlob(outcome == .committed ? emissions.count : 0, scratch) { scratch in
      for event in emissions {
        LogCoding.writeEmission(
          event.kind, name: event.name, payload: event.payload, triggers: event.triggers, to: scratch
        ) { scratch.blob($0.nameBytes) }
      }
    }
  }
}

extension LogCoding {
  /// The intents of an attempt, in list order. Before they are applied: then the stores own the values.
  ///
  /// - Parameter contents: gets where in the buffer strings lie that are likely to come again.
  package static func writeIntents(_ attempt: Attempt, to buffer: CBORBuffer, contents: inout [Range<Int>]) {
    buffer.array(attempt.writes.count)
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes + index
      let operand = UnsafeRawBufferPointer(write.pointee.operand)
      var threshold = Int.max
      writeIntent(
        write.pointee.action, key: UnsafeRawBufferPointer(write.pointee.keyBytes), value: operand, to: buffer
      ) { table in
        table._withUnsafeGuaranteedRef {
          buffer.blob($0.nameBytes)
          threshold = $0.deduplicationThreshold
        }
      }
      if operand.count >= threshold { buffer.findContents(inLast: operand.count, from: threshold, &contents) }
    }
  }
}
