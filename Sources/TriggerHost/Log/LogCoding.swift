import TriggerCore

/// The encoded form of a log record: a CBOR array of the fields in their order. Payloads and values are in
/// it as the script handed them over, not encoded again.
///
/// A field that is added later goes to the end; a reader takes what it knows and leaves the rest.
enum LogCoding {
  static let fields = 19

  /// A decided seq.
  ///
  /// - Parameter intents: what `writeIntents` gave before they were applied.
  static func write(
    _ operation: Operation, seq: Int64, outcome: Outcome, attempt: Attempt?, intents: UnsafeRawBufferPointer,
    emissions: [EngineState.Emission.Event], wantsReads: Bool, to buffer: CBORBuffer
  ) {
    buffer.array(fields)
    buffer.int(seq)
    buffer.int(operation.identity)
    buffer.uint(UInt64(outcome.rawValue))
    buffer.blob(operation.trigger.nameBytes)
    buffer.uint(UInt64(operation.kind.index))
    buffer.blob(UnsafeRawBufferPointer(operation.name))
    buffer.raw(UnsafeRawBufferPointer(operation.payload))
    buffer.uint(UInt64(operation.priority.rawValue))
    buffer.int(operation.admitted)
    buffer.uint(operation.source)
    buffer.uint(UInt64(operation.hops))
    buffer.uint(UInt64(operation.trigger.tree))
    if let cause = operation.cause {
      buffer.array(2)
      buffer.int(cause.seq)
      buffer.uint(UInt64(cause.index))
    } else {
      buffer.null()
    }
    buffer.uint(UInt64(operation.attempts))
    if outcome == .committed { buffer.raw(intents) } else { buffer.array(0) }
    writeEmissions(outcome == .committed ? emissions : [], to: buffer)
    buffer.uint(attempt?.status == .killed || attempt?.isExpired == true ? 1 : 0)
    if let error = attempt?.error { buffer.text(error) } else { buffer.null() }
    let reads = wantsReads ? attempt?.reads.descriptions ?? [] : []
    buffer.array(reads.count)
    for read in reads { buffer.text(read) }
  }

  /// The intents of an attempt, in list order. Before they are applied: then the stores own the values.
  static func writeIntents(_ attempt: Attempt, to buffer: CBORBuffer) {
    buffer.array(attempt.writes.count)
    for index in 0..<attempt.writes.count {
      let write = attempt.writes.writes + index
      let hasValue = write.pointee.kind != .delete
      buffer.array(hasValue ? 4 : 3)
      buffer.uint(UInt64(write.pointee.kind.rawValue))
      if let table = write.pointee.table {
        table._withUnsafeGuaranteedRef { buffer.blob($0.nameBytes) }
      } else {
        buffer.null()
      }
      buffer.blob(UnsafeRawBufferPointer(write.pointee.keyBytes))
      if hasValue { buffer.raw(UnsafeRawBufferPointer(write.pointee.operand)) }
    }
  }

  private static func writeEmissions(_ emissions: [EngineState.Emission.Event], to buffer: CBORBuffer) {
    buffer.array(emissions.count)
    for emission in emissions {
      buffer.array(4)
      buffer.uint(UInt64(emission.kind.index))
      buffer.blob(emission.name)
      buffer.raw(emission.payload)
      buffer.array(emission.triggers.count)
      for trigger in emission.triggers { buffer.blob(trigger.nameBytes) }
    }
  }

  /// The next record of `reader`.
  static func read(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord {
    let start = reader.offset
    let count = try reader.array()
    guard count >= fields else {
      throw LogDamage("a record has \(count) fields, expected \(fields)", offset: start)
    }
    let seq = try reader.int()
    let identity = try reader.int()
    guard let outcome = Outcome(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown outcome", offset: start)
    }
    let trigger = String(decoding: try reader.blob(), as: UTF8.self)
    let kind = try eventKind(&reader)
    let event = String(decoding: try reader.blob(), as: UTF8.self)
    let payload = Array(try reader.raw())
    guard let priority = Priority(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown priority", offset: start)
    }
    var record = LogRecord(
      seq: seq, identity: identity, outcome: outcome, trigger: trigger, kind: kind, event: event,
      payload: payload, priority: priority, admitted: try reader.int(), source: try reader.uint(),
      hops: try reader.count(), tree: try reader.count(), cause: try cause(&reader),
      attempts: try reader.count(), intents: try intents(&reader), emissions: try emissions(&reader),
      isKilled: try reader.uint() != 0,
      error: reader.null() ? nil : try reader.text(), reads: [])
    for _ in 0..<(try reader.array()) { record.reads.append(try reader.text()) }
    for _ in fields..<count { _ = try reader.raw() }
    return record
  }

  private static func eventKind(_ reader: inout CBORReader) throws(LogDamage) -> EventKind {
    let start = reader.offset
    let index = try reader.uint()
    guard index < UInt64(EventKind.allCases.count) else {
      throw LogDamage("unknown kind of event", offset: start)
    }
    return EventKind.allCases[Int(index)]
  }

  private static func cause(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord.Cause? {
    if reader.null() { return nil }
    _ = try reader.array()
    return LogRecord.Cause(seq: try reader.int(), index: try reader.count())
  }

  static func intents(_ reader: inout CBORReader) throws(LogDamage) -> [LogRecord.Intent] {
    var intents: [LogRecord.Intent] = []
    for _ in 0..<(try reader.array()) {
      let start = reader.offset
      let count = try reader.array()
      guard let kind = IntentKind(rawValue: UInt8(clamping: try reader.uint())),
        count == 3 || count == 4
      else { throw LogDamage("unknown kind of intent", offset: start) }
      let store = reader.null() ? "" : String(decoding: try reader.blob(), as: UTF8.self)
      let key = Array(try reader.blob())
      intents.append(
        LogRecord.Intent(
          kind: "\(kind)", store: store, key: key, value: count == 4 ? Array(try reader.raw()) : []))
    }
    return intents
  }

  private static func emissions(_ reader: inout CBORReader) throws(LogDamage) -> [LogRecord.Emission] {
    var emissions: [LogRecord.Emission] = []
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      var emission = LogRecord.Emission(
        kind: try eventKind(&reader), name: String(decoding: try reader.blob(), as: UTF8.self),
        payload: Array(try reader.raw()), triggers: [])
      for _ in 0..<(try reader.array()) {
        emission.triggers.append(String(decoding: try reader.blob(), as: UTF8.self))
      }
      emissions.append(emission)
    }
    return emissions
  }
}
