import TriggerCore

/// The encoded form of a log record: a CBOR array of the fields in their order. Payloads and values are in
/// it as the script handed them over, not encoded again. What is long is wrapped in a byte string, so that a
/// reader passes over it in one step.
///
/// A field that is added later goes to the end; a reader takes what it knows and leaves the rest. The digests of
/// stores, the pause before a retry and the code of a failure, at the end, are there in few records.
package enum LogCoding {
  package static let fields = 24
  /// Before format 4 there was no sender.
  package static let fewestFields = 23

  package static func fields(_ digests: [StateDigests.Store], pause: Int64, code: FailureCode?) -> Int {
    if code != nil { return fields + 3 }
    if pause != 0 { return fields + 2 }
    return digests.isEmpty ? fields : fields + 1
  }

  /// What few records have.
  package static func writeEnd(
    _ digests: [StateDigests.Store], pause: Int64, code: FailureCode?, to buffer: CBORBuffer
  ) {
    if !digests.isEmpty {
      write(digests, to: buffer)
    } else if pause != 0 || code != nil {
      buffer.null()
    }
    if pause != 0 { buffer.int(pause) } else if code != nil { buffer.null() }
    if let code { buffer.text(code.rawValue) }
  }

  // MARK: Writing

  /// Names and digests in turn.
  package static func write(_ digests: [StateDigests.Store], to buffer: CBORBuffer) {
    buffer.array(digests.count * 2)
    for store in digests {
      buffer.text(store.name)
      buffer.uint(store.digest.bits)
    }
  }

  package static func write(_ sender: LogRecord.Sender?, to buffer: CBORBuffer) {
    guard let sender else { return buffer.null() }
    buffer.array(4)
    buffer.int(sender.event.epoch)
    buffer.int(sender.event.number)
    buffer.text(sender.scope)
    buffer.text(sender.key)
  }

  package static func write(_ cause: LogRecord.Cause?, to buffer: CBORBuffer) {
    guard let cause else { return buffer.null() }
    buffer.array(2)
    buffer.int(cause.seq)
    buffer.uint(UInt64(cause.index))
  }

  package static func write(_ event: LogRecord.Outside, to buffer: CBORBuffer) {
    buffer.array(5)
    buffer.int(event.id.epoch)
    buffer.int(event.id.number)
    write(event.key, to: buffer)
    // One trigger is the record's own.
    buffer.array(event.triggers.count > 1 ? event.triggers.count : 0)
    if event.triggers.count > 1 { for trigger in event.triggers { buffer.text(trigger) } }
    if let priority = event.priority { buffer.uint(UInt64(priority.rawValue)) } else { buffer.null() }
  }

  package static func write(retryOf seq: Int64, _ sender: LogRecord.Sender?, to buffer: CBORBuffer) {
    buffer.array(sender == nil ? 1 : 3)
    buffer.int(seq)
    if let sender {
      buffer.null()
      write(sender, to: buffer)
    }
  }

  package static func write(_ key: EventKey?, to buffer: CBORBuffer) {
    switch key {
    case nil: buffer.null()
    case .client(let scope, let key, let digest)?:
      buffer.array(4)
      buffer.uint(0)
      buffer.text(scope)
      buffer.text(key)
      buffer.uint(digest)
    case .row(let feed, let number, let floor)?:
      buffer.array(4)
      buffer.uint(1)
      buffer.text(feed)
      buffer.int(number)
      buffer.int(floor)
    case .fire(let job, let instant, let after)?:
      buffer.array(4)
      buffer.uint(2)
      buffer.text(job)
      buffer.int(instant)
      // Relative: a period, and not some instant.
      buffer.int(instant - after)
    }
  }
}

extension LogCoding {
  /// A record that was decoded, or made by a tool.
  package static func write(_ record: LogRecord, to buffer: CBORBuffer) {
    let scratch = CBORBuffer(capacity: 256)
    buffer.array(fields(record.digests, pause: record.retryPause, code: record.code))
    buffer.int(record.seq)
    buffer.int(record.identity - record.seq)
    buffer.uint(UInt64(record.outcome.rawValue))
    buffer.blob(Array(record.trigger.utf8))
    buffer.uint(UInt64(record.kind.index))
    buffer.blob(Array(record.event.utf8))
    buffer.blob(record.payload)
    buffer.uint(UInt64(record.priority.rawValue))
    buffer.int(record.admitted)
    buffer.uint(record.source)
    buffer.uint(UInt64(record.hops))
    buffer.uint(UInt64(record.tree))
    write(record.cause, to: buffer)
    buffer.uint(UInt64(record.attempts))
    writeIntents(of: record, to: scratch)
    buffer.blob(scratch.bytes)
    scratch.removeAll()
    writeEmissions(of: record, to: scratch)
    buffer.blob(scratch.bytes)
    buffer.uint(record.isKilled ? 1 : 0)
    if let error = record.error { buffer.text(error) } else { buffer.null() }
    scratch.removeAll()
    scratch.array(record.reads.count)
    for read in record.reads { scratch.text(read) }
    buffer.blob(scratch.bytes)
    if let event = record.outside {
      write(event, to: buffer)
    } else {
      buffer.null()
    }
    buffer.array(record.absorbed.count)
    for item in record.absorbed {
      switch item {
      case .event(let event): write(event, to: buffer)
      case .commit(let cause): write(cause, to: buffer)
      case .retry(let seq, let sender): write(retryOf: seq, sender, to: buffer)
      }
    }
    if let retryOf = record.retryOf {
      buffer.array(2)
      buffer.int(retryOf)
      buffer.uint(UInt64(record.tries))
    } else {
      buffer.null()
    }
    buffer.int(record.retryAt ?? 0)
    write(record.sender, to: buffer)
    writeEnd(record.digests, pause: record.retryPause, code: record.code, to: buffer)
  }

  private static func writeIntents(of record: LogRecord, to buffer: CBORBuffer) {
    buffer.array(record.intents.count)
    for intent in record.intents {
      let hasValue = intent.action.change != .delete
      buffer.array(hasValue ? 4 : 3)
      buffer.uint(UInt64(intent.action.code))
      if let store = intent.action.store { buffer.blob(Array(store.utf8)) } else { buffer.null() }
      buffer.blob(intent.key)
      if hasValue { buffer.blob(intent.value) }
    }
  }

  private static func writeEmissions(of record: LogRecord, to buffer: CBORBuffer) {
    buffer.array(record.emissions.count)
    for emission in record.emissions {
      buffer.array(4)
      buffer.uint(UInt64(emission.kind.index))
      buffer.blob(Array(emission.name.utf8))
      buffer.blob(emission.payload)
      buffer.array(emission.triggers.count)
      for trigger in emission.triggers { buffer.blob(Array(trigger.utf8)) }
    }
  }
}

extension LogRecord {
  /// As a log keeps it. O(bytes).
  package var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 512)
    LogCoding.write(self, to: buffer)
    return Array(buffer.bytes)
  }
}
