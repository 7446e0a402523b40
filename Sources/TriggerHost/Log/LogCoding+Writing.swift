import TriggerCore

/// What a record says, whoever has it: the engine of an operation that it has just decided, or a record that was read.
/// Names and values are written where they lie, by whoever has them.
package protocol RecordContent {
  var seq: Int64 { get }
  var identity: Int64 { get }
  var outcome: Outcome { get }
  var kind: EventKind { get }
  var priority: Priority { get }
  var admitted: Int64 { get }
  var source: UInt64 { get }
  var hops: Int { get }
  var tree: Int { get }
  var cause: LogRecord.Cause? { get }
  var attempts: Int { get }
  var isKilled: Bool { get }
  var error: String? { get }
  var code: FailureCode? { get }
  var reads: [String] { get }
  var outside: LogRecord.Outside? { get }
  var absorbed: [LogRecord.Absorbed] { get }
  var retryOf: Int64? { get }
  var tries: Int { get }
  var sender: LogRecord.Sender? { get }
  var retryAt: Int64? { get }
  var retryPause: Int64 { get }
  var digests: [StateDigests.Store] { get }

  /// A byte string: the trigger's name.
  func writeTrigger(to buffer: CBORBuffer)
  /// A byte string: the event's name.
  func writeEvent(to buffer: CBORBuffer)
  /// A byte string: the event.
  func writePayload(to buffer: CBORBuffer)
  /// A byte string that holds an array: each as `LogCoding.writeIntent` does.
  func writeIntents(to buffer: CBORBuffer, scratch: CBORBuffer)
  /// A byte string that holds an array: each as `LogCoding.writeEmission` does.
  func writeEmissions(to buffer: CBORBuffer, scratch: CBORBuffer)
}

extension LogCoding {
  /// Puts the fields of a record in their order; `RecordView` reads them.
  ///
  /// - Parameter scratch: is overwritten.
  /// - Returns: where in the buffer the intents end.
  @discardableResult
  package static func write(
    _ record: borrowing some RecordContent, to buffer: CBORBuffer, scratch: CBORBuffer
  ) -> Int {
    let (digests, pause, code) = (record.digests, record.retryPause, record.code)
    buffer.array(fields + (code != nil ? 3 : pause != 0 ? 2 : digests.isEmpty ? 0 : 1))
    buffer.int(record.seq)
    buffer.int(record.identity - record.seq)
    buffer.uint(UInt64(record.outcome.rawValue))
    record.writeTrigger(to: buffer)
    buffer.uint(UInt64(record.kind.index))
    record.writeEvent(to: buffer)
    record.writePayload(to: buffer)
    buffer.uint(UInt64(record.priority.rawValue))
    buffer.int(record.admitted)
    buffer.uint(record.source)
    buffer.uint(UInt64(record.hops))
    buffer.uint(UInt64(record.tree))
    write(record.cause, to: buffer)
    buffer.uint(UInt64(record.attempts))
    record.writeIntents(to: buffer, scratch: scratch)
    let intentsEnd = buffer.count
    record.writeEmissions(to: buffer, scratch: scratch)
    buffer.uint(record.isKilled ? 1 : 0)
    if let error = record.error { buffer.text(error) } else { buffer.null() }
    let reads = record.reads
    buffer.arrayBlob(reads.count, scratch) { scratch in for read in reads { scratch.text(read) } }
    if let outside = record.outside { write(outside, to: buffer) } else { buffer.null() }
    writeAbsorbed(record.absorbed, to: buffer)
    writeRetry(of: record.retryOf, tries: record.tries, to: buffer)
    buffer.int(record.retryAt ?? 0)
    write(record.sender, to: buffer)
    // What few records have.
    if !digests.isEmpty { write(digests, to: buffer) } else if pause != 0 || code != nil { buffer.null() }
    if pause != 0 { buffer.int(pause) } else if code != nil { buffer.null() }
    if let code { buffer.text(code.rawValue) }
    return intentsEnd
  }

  /// Each as an array: of one item a retry, of three one with a sender, of two a cause, of more an event from outside.
  private static func writeAbsorbed(_ absorbed: [LogRecord.Absorbed], to buffer: CBORBuffer) {
    buffer.array(absorbed.count)
    for item in absorbed {
      switch item {
      case .event(let event): write(event, to: buffer)
      case .commit(let cause): write(cause, to: buffer)
      case .retry(let seq, let sender): write(retryOf: seq, sender, to: buffer)
      }
    }
  }

  private static func writeRetry(of seq: Int64?, tries: Int, to buffer: CBORBuffer) {
    guard let seq else { return buffer.null() }
    buffer.array(2)
    buffer.int(seq)
    buffer.uint(UInt64(tries))
  }

  /// One intent; a deletion has no value.
  ///
  /// - Parameter store: writes the name of the action's store.
  @inline(__always)
  package static func writeIntent<Store>(
    _ action: CommitAction<Store>, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to buffer: CBORBuffer, store write: (Store) -> Void
  ) {
    let hasValue = action.change != .delete
    buffer.array(hasValue ? 4 : 3)
    buffer.uint(UInt64(action.code))
    if let store = action.store { write(store) } else { buffer.null() }
    buffer.blob(key)
    if hasValue { buffer.blob(value) }
  }

  /// One event that a commit admits.
  ///
  /// - Parameter name: writes the name of a trigger that it makes an operation for.
  package static func writeEmission<Triggers: Collection>(
    _ kind: EventKind, name: String, payload: [UInt8], triggers: Triggers, to buffer: CBORBuffer,
    trigger write: (Triggers.Element) -> Void
  ) {
    buffer.array(4)
    buffer.uint(UInt64(kind.index))
    buffer.blob(name)
    buffer.blob(payload)
    buffer.array(triggers.count)
    for trigger in triggers { write(trigger) }
  }
}

extension CBORBuffer {
  /// A byte string that holds an encoded array, so that a reader passes over it in one step.
  ///
  /// - Parameters:
  ///   - scratch: is overwritten.
  ///   - body: writes the elements.
  package func arrayBlob(_ count: Int, _ scratch: CBORBuffer, _ body: (CBORBuffer) -> Void) {
    if count == 0 { return emptyArrayBlob() }
    scratch.removeAll()
    scratch.array(count)
    body(scratch)
    blob(scratch.bytes)
  }
}

extension LogRecord: RecordContent {
  package func writeTrigger(to buffer: CBORBuffer) { buffer.blob(trigger) }
  package func writeEvent(to buffer: CBORBuffer) { buffer.blob(event) }
  package func writePayload(to buffer: CBORBuffer) { buffer.blob(payload) }

  package func writeIntents(to buffer: CBORBuffer, scratch: CBORBuffer) {
    buffer.arrayBlob(intents.count, scratch) { scratch in
      for intent in intents {
        intent.key.withUnsafeBytes { key in
          intent.value.withUnsafeBytes { value in
            LogCoding.writeIntent(intent.action, key: key, value: value, to: scratch) {
              scratch.blob($0)
            }
          }
        }
      }
    }
  }

  package func writeEmissions(to buffer: CBORBuffer, scratch: CBORBuffer) {
    buffer.arrayBlob(emissions.count, scratch) { scratch in
      for event in emissions {
        LogCoding.writeEmission(
          event.kind, name: event.name, payload: event.payload, triggers: event.triggers, to: scratch
        ) { scratch.blob($0) }
      }
    }
  }
}
