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

extension LogRecord {
  /// As a log keeps it. O(bytes).
  package var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 512)
    LogCoding.write(self, to: buffer, scratch: CBORBuffer(capacity: 256))
    return Array(buffer.bytes)
  }
}
