import TriggerCore

/// Records as format 1 of the data directory had them: 19 fields, nothing wrapped.
package enum LogFormat1 {
  private static let fields = 19

  package static func read(_ reader: inout CBORReader) throws(LogDamage) -> LogRecord {
    let start = reader.offset
    guard try reader.array() == fields else { throw LogDamage("no record of format 1", offset: start) }
    let seq = try reader.int()
    let identity = try reader.int()
    guard let outcome = Outcome(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown outcome", offset: start)
    }
    let trigger = try reader.blob().utf8Text
    let kind = try LogCoding.eventKind(&reader)
    let event = try reader.blob().utf8Text
    let payload = Array(try reader.raw())
    guard let priority = Priority(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown priority", offset: start)
    }
    var record = LogRecord(
      seq: seq, identity: identity, outcome: outcome, trigger: trigger, kind: kind, event: event,
      payload: payload, priority: priority, admitted: try reader.int(), source: try reader.uint(),
      hops: try reader.count(), tree: try reader.count(), cause: try LogCoding.cause(&reader),
      attempts: try reader.count(), intents: try intents(&reader), emissions: try emissions(&reader),
      isKilled: try reader.uint() != 0,
      error: reader.null() ? nil : try reader.text(), reads: [])
    for _ in 0..<(try reader.array()) { record.reads.append(try reader.text()) }
    return record
  }

  private static func intents(_ reader: inout CBORReader) throws(LogDamage) -> [LogRecord.Intent] {
    var intents: [LogRecord.Intent] = []
    for _ in 0..<(try reader.array()) {
      let start = reader.offset
      let count = try reader.array()
      guard let kind = IntentKind(rawValue: UInt8(clamping: try reader.uint())) else {
        throw LogDamage("unknown kind of intent", offset: start)
      }
      let store = reader.null() ? "" : try reader.blob().utf8Text
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
        kind: try LogCoding.eventKind(&reader), name: try reader.blob().utf8Text,
        payload: Array(try reader.raw()), triggers: [])
      for _ in 0..<(try reader.array()) { emission.triggers.append(try reader.blob().utf8Text) }
      emissions.append(emission)
    }
    return emissions
  }
}

extension LogRecord {
  /// The records of a block of format 1, as today's format has them.
  package static func convertFormat1(_ bytes: UnsafeRawBufferPointer) throws(LogDamage) -> [UInt8] {
    var reader = CBORReader(bytes)
    let buffer = CBORBuffer(capacity: bytes.count + bytes.count / 4)
    while !reader.isAtEnd { LogCoding.write(try LogFormat1.read(&reader), to: buffer) }
    return Array(buffer.bytes)
  }
}
