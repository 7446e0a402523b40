import TriggerCore

/// A log record whose fields were found in memory and not copied. Recovery and replay read over a million of them a
/// second. Valid as long as the bytes are.
package struct RecordView {
  package let seq: Int64
  package let identity: Int64
  package let outcome: Outcome
  package let trigger: UnsafeRawBufferPointer
  package let kind: EventKind
  package let event: UnsafeRawBufferPointer
  /// The content of the event, in canonical encoding.
  package let payload: UnsafeRawBufferPointer
  package let priority: Priority
  package let admitted: Int64
  package let source: UInt64
  package let hops: Int
  package let tree: Int
  package let cause: LogRecord.Cause?
  package let attempts: Int
  /// An encoded array of intents.
  package let intents: UnsafeRawBufferPointer
  /// An encoded array of emissions.
  package let emissions: UnsafeRawBufferPointer
  package let isKilled: Bool
  package let error: UnsafeRawBufferPointer?
  /// Nil when there is no failure, or when an older version wrote the record.
  package let code: FailureCode?
  /// An encoded array of texts.
  package let reads: UnsafeRawBufferPointer
  /// Null, or an encoded event from outside.
  package let outside: UnsafeRawBufferPointer
  /// An encoded array of events from outside.
  package let absorbed: UnsafeRawBufferPointer
  package let retryOf: Int64?
  package let tries: Int
  package let retryAt: Int64
  package let retryPause: Int64
  /// An encoded sender; nil when the record has none.
  package let sender: UnsafeRawBufferPointer?
  /// Nil, or encoded digests of stores.
  package let digests: UnsafeRawBufferPointer?

  package var failure: Failure? { error.map { Failure(code ?? .error, $0.utf8Text) } }

  /// True when the operation put other scripts in force.
  package var isReload: Bool {
    tree == 0 && trigger.count == ReservedTrigger.scripts.utf8.count
      && trigger.elementsEqual(ReservedTrigger.scripts.utf8)
  }

  /// The number of the script tree that it put in force; nil for other records. Those that `identity` and later seqs name
  /// run with it.
  package var installedTree: Int? {
    guard isReload, outcome == .committed,
      case .int(let number)? = try? CanonicalEncoding.decode(payload)["tree"]
    else { return nil }
    return Int(exactly: number)
  }

  /// Reads the next record of `reader`.
  package init(_ reader: inout CBORReader) throws(LogDamage) {
    let start = reader.offset
    let count = try reader.array()
    guard count >= LogCoding.fewestFields else {
      throw LogDamage("a record has \(count) fields, expected \(LogCoding.fields)", offset: start)
    }
    seq = try reader.int()
    // Relative to the seq, because it is nearly always 0, which takes one byte.
    identity = seq &+ (try reader.int())
    guard let outcome = Outcome(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown outcome", offset: start)
    }
    self.outcome = outcome
    trigger = try reader.blob()
    kind = try LogCoding.eventKind(&reader)
    event = try reader.blob()
    payload = try reader.blob()
    guard let priority = Priority(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("seq \(seq) has an unknown priority", offset: start)
    }
    self.priority = priority
    admitted = try reader.int()
    source = try reader.uint()
    hops = try reader.count()
    tree = try reader.count()
    cause = try LogCoding.cause(&reader)
    attempts = try reader.count()
    intents = try reader.blob()
    emissions = try reader.blob()
    isKilled = try reader.uint() != 0
    error = reader.null() ? nil : try reader.textBytes()
    reads = try reader.blob()
    outside = try reader.raw()
    absorbed = try reader.raw()
    if reader.null() {
      (retryOf, tries) = (nil, 0)
    } else {
      _ = try reader.array()
      retryOf = try reader.int()
      tries = try reader.count()
    }
    retryAt = try reader.int()
    sender = count < LogCoding.fields || reader.null() ? nil : try reader.raw()
    let hasDigests = count > LogCoding.fields && !reader.null()
    digests = hasDigests ? try reader.raw() : nil
    retryPause = count > LogCoding.fields + 1 && !reader.null() ? try reader.int() : 0
    code = count > LogCoding.fields + 2 ? FailureCode(rawValue: try reader.text()) : nil
    for _ in (LogCoding.fields + 3)..<max(count, LogCoding.fields + 3) { _ = try reader.raw() }
  }

  /// Calls `body` with each of the records that lie in `bytes` one after another.
  ///
  /// - Throws: `LogDamage` at the first record that cannot be read; every error of `body`.
  package static func visit(in bytes: UnsafeRawBufferPointer, _ body: (RecordView) throws -> Void) throws {
    var reader = CBORReader(bytes)
    while !reader.isAtEnd { try body(try RecordView(&reader)) }
  }

  /// True when the record is about this operation alone: it makes no other operation, and it settles no other.
  package var isPlain: Bool {
    outcome != .deferred && identity == seq && cause == nil && retryOf == nil && retryAt == 0
      && outside.count == 1 && absorbed.count == 1 && emissions.count == 1
  }

  /// One intent, as places in the record's bytes.
  package struct Intent {
    /// Stores are known by their names.
    package var action: CommitAction<UnsafeRawBufferPointer>
    /// Key of the store, the event's name, or the session or topic of a message.
    package var key: UnsafeRawBufferPointer
    /// Empty for `delete`.
    package var value: UnsafeRawBufferPointer
  }

  /// The digests of stores as of this seq; nil for most records, which have none.
  package func stateDigests() throws(LogDamage) -> StateDigests? {
    guard let digests else { return nil }
    var reader = CBORReader(digests)
    return StateDigests(seq: seq, stores: try LogCoding.digests(&reader))
  }

  package func forEachIntent(_ body: (Intent) throws -> Void) throws {
    var reader = CBORReader(intents)
    for _ in 0..<(try reader.array()) { try body(try LogCoding.intent(&reader)) }
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as UTF-8.
  package var utf8Text: String { String(decoding: self, as: UTF8.self) }
}
