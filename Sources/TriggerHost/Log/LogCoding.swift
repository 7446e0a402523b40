import TriggerCore

/// The encoded form of a log record: a CBOR array of the fields in their order. The array contains payloads and values
/// as the script handed them over, not encoded again. Long fields are wrapped in a byte string, so that a reader passes
/// over each in one step.
///
/// A new field goes to the end: a reader ignores the fields that it does not know. Only few records have the last
/// fields: the digests of stores, the pause before a retry and the code of a failure.
package enum LogCoding {
  package static let fields = 24
  /// Before format 4 there was no sender.
  package static let fewestFields = 23

  // MARK: Writing

  /// Writes names and digests in turn.
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
    // A single trigger is the record's trigger, so it is left out.
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
      // Relative to the instant, because a period takes fewer bytes.
      buffer.int(instant - after)
    }
  }
}

extension LogRecord {
  /// The record in the form in which a log keeps it. O(bytes).
  package var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 512)
    LogCoding.write(self, to: buffer, scratch: CBORBuffer(capacity: 256))
    return Array(buffer.bytes)
  }
}
