import TriggerCore

/// The record of what the engine holds.
extension LogCoding {
  /// A decided seq.
  ///
  /// - Parameters:
  ///   - intents: what `writeIntents` gave before they were applied.
  ///   - retryAt: when a failed operation is tried again, nanoseconds since 1970; 0: never.
  ///   - pause: how long until then, in nanoseconds.
  ///   - digests: of stores, as of right after this seq.
  /// - Returns: where in the buffer the intents begin, when they were committed.
  static func write(
    _ operation: Operation, seq: Int64, outcome: Outcome, attempt: Attempt?, intents: UnsafeRawBufferPointer,
    emissions: [EngineState.Emission.Event], retryAt: Int64, pause: Int64, digests: [StateDigests.Store],
    wantsReads: Bool, to buffer: CBORBuffer, scratch: CBORBuffer
  ) -> Int {
    buffer.array(fields(digests, pause: pause, code: attempt?.failure?.code))
    buffer.int(seq)
    buffer.int(operation.identity - seq)
    buffer.uint(UInt64(outcome.rawValue))
    buffer.blob(operation.trigger.nameBytes)
    buffer.uint(UInt64(operation.kind.index))
    buffer.blob(UnsafeRawBufferPointer(operation.name))
    buffer.blob(UnsafeRawBufferPointer(operation.payload))
    buffer.uint(UInt64(operation.priority.rawValue))
    buffer.int(operation.admitted)
    buffer.uint(operation.source)
    buffer.uint(UInt64(operation.hops))
    // One whose trigger was gone when it was dequeued has no scripts; put off over a restart, it has those of then.
    buffer.uint(UInt64(operation.isGone ? 0 : operation.trigger.tree))
    write(operation.cause, to: buffer)
    buffer.uint(UInt64(operation.attempts))
    if outcome == .committed { buffer.blob(intents) } else { buffer.emptyArrayBlob() }
    let start = buffer.count - intents.count
    if outcome == .committed, !emissions.isEmpty {
      scratch.removeAll()
      writeEmissions(emissions, to: scratch)
      buffer.blob(scratch.bytes)
    } else {
      buffer.emptyArrayBlob()
    }
    buffer.uint(attempt?.status == .killed || attempt?.isExpired == true ? 1 : 0)
    if let failure = attempt?.failure { buffer.text(failure.message) } else { buffer.null() }
    let reads = wantsReads ? attempt?.reads.descriptions ?? [] : []
    if reads.isEmpty {
      buffer.emptyArrayBlob()
    } else {
      scratch.removeAll()
      scratch.array(reads.count)
      for read in reads { scratch.text(read) }
      buffer.blob(scratch.bytes)
    }
    if let outside = operation.outside {
      write(outside, to: buffer)
    } else {
      buffer.null()
    }
    writeAbsorbed(operation.absorbed, to: buffer)
    if let retry = operation.retry {
      buffer.array(2)
      buffer.int(retry.seq)
      buffer.uint(UInt64(retry.tries))
    } else {
      buffer.null()
    }
    buffer.int(retryAt)
    write(operation.retry?.sender, to: buffer)
    writeEnd(digests, pause: pause, code: attempt?.failure?.code, to: buffer)
    return start
  }

  private static func write(_ event: OutsideEvent, to buffer: CBORBuffer) {
    write(
      LogRecord.Outside(
        id: event.id, key: event.key, triggers: event.triggers, priority: event.priority), to: buffer)
  }

  /// Each as an array: of one item a retry, of three one with a sender, of two a cause, of more an event from outside.
  private static func writeAbsorbed(_ absorbed: [Operation.Absorbed], to buffer: CBORBuffer) {
    let origins = absorbed.compactMap(\.origin)
    buffer.array(origins.count)
    for origin in origins {
      switch origin {
      case .event(let event): write(event, to: buffer)
      case .commit(let cause): write(cause, to: buffer)
      case .retry(let retry): write(retryOf: retry.seq, retry.sender, to: buffer)
      }
    }
  }

  /// The intents of an attempt, in list order. Before they are applied: then the stores own the values.
  ///
  /// - Parameter contents: gets where in the buffer strings lie that are likely to come again.
  package static func writeIntents(_ attempt: Attempt, to buffer: CBORBuffer, contents: inout [Range<Int>]) {
    buffer.array(attempt.writes.count)
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes + index
      let action = write.pointee.action
      let hasValue = action.change != .delete
      buffer.array(hasValue ? 4 : 3)
      buffer.uint(UInt64(action.code))
      var threshold = Int.max
      if let table = action.store {
        table._withUnsafeGuaranteedRef {
          buffer.blob($0.nameBytes)
          threshold = $0.deduplicationThreshold
        }
      } else {
        buffer.null()
      }
      buffer.blob(UnsafeRawBufferPointer(write.pointee.keyBytes))
      guard hasValue else { continue }
      buffer.blob(UnsafeRawBufferPointer(write.pointee.operand))
      if write.pointee.operand.count >= threshold {
        buffer.findContents(inLast: write.pointee.operand.count, from: threshold, &contents)
      }
    }
  }

  private static func writeEmissions(_ emissions: [EngineState.Emission.Event], to buffer: CBORBuffer) {
    buffer.array(emissions.count)
    for emission in emissions {
      buffer.array(4)
      buffer.uint(UInt64(emission.kind.index))
      buffer.blob(emission.name)
      buffer.blob(emission.payload)
      buffer.array(emission.triggers.count)
      for trigger in emission.triggers { buffer.blob(trigger.nameBytes) }
    }
  }
}
