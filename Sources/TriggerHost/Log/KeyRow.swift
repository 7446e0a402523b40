import TriggerCore

/// A key that a sender chose, and the scope that says whose key it is. Equal keys have equal bytes: two spellings of
/// one character make two keys.
package struct SenderKey: Hashable, Sendable {
  package let scope: String
  package let key: String
  /// Of both. Known once, as a key is looked up in several tables on its way.
  private let hash: UInt64

  package init(scope: String, key: String) {
    (self.scope, self.key) = (scope, key)
    hash = KeyHash.of(scope) &* 31 ^ KeyHash.of(key)
  }

  package static func == (left: SenderKey, right: SenderKey) -> Bool {
    left.hash == right.hash && ExactText(left.key) == ExactText(right.key)
      && ExactText(left.scope) == ExactText(right.scope)
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(hash) }

  /// The hash for `KeyIndex`: always the same for the same seed. Two keys may have the same hash.
  package func hash(seed: UInt64) -> UInt64 {
    var (scope, key) = (scope, key)
    return withUnsafeTemporaryAllocation(byteCount: 9 + scope.utf8.count + key.utf8.count, alignment: 8) {
      bytes in
      bytes.storeBytes(of: seed.littleEndian, as: UInt64.self)
      var end = 8
      scope.withUTF8 {
        UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyMemory(from: UnsafeRawBufferPointer($0))
        end += $0.count
      }
      // No text in UTF-8 contains this byte.
      bytes[end] = 0xff
      end += 1
      key.withUTF8 {
        UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyMemory(from: UnsafeRawBufferPointer($0))
      }
      return XXH64.of(UnsafeRawBufferPointer(bytes))
    }
  }
}

/// A key of the last day whose event is decided, and the results of the event's operations. Or an amendment: the later
/// result of one of these operations, which had failed and was tried again.
package struct KeyRow: Sendable, Hashable {
  package var key: SenderKey
  package var id: EventID
  /// The digest of the event that came with the key; 0 in an amendment.
  package var digest: UInt64
  /// When the event was admitted, in nanoseconds since 1970.
  package var admitted: Int64
  /// The results in seq order. An amendment has one.
  package var results: [Result]
  /// In an amendment: the failed seq whose result it replaces. Nil in the row of the event.
  package var amends: Int64?

  package struct Result: Sendable, Hashable {
    package var trigger: String
    package var identity: Int64
    package var seq: Int64
    package var outcome: OperationOutcome
    /// For a superseded event: the outcome of the operation that ran instead.
    package var instead: OperationOutcome?
    package var failure: Failure?
    package var retryAt: Int64?
    package var attempts = 1
  }

  /// About how many bytes the row takes, in memory or on disk.
  package var bytes: Int {
    results.reduce(96 + key.scope.utf8.count + key.key.utf8.count) { sum, result in
      sum + 32 + result.trigger.utf8.count + (result.failure?.message.utf8.count ?? 0)
    }
  }

  /// The results, with amended ones in the place of the results that they amend.
  ///
  /// - Parameter later: the amendments of the same event, in any order.
  package func results(amendedBy later: [KeyRow]) -> [Result] {
    var results = results
    for row in later.sorted(by: { ($0.amends ?? 0) < ($1.amends ?? 0) }) {
      guard row.id == id, let failed = row.amends, let result = row.results.first,
        let place = results.firstIndex(where: { $0.seq == failed && $0.trigger == result.trigger })
      else { continue }
      results[place] = result
    }
    return results
  }
}

extension OperationResult {
  package init(_ result: KeyRow.Result) {
    self.init(
      trigger: result.trigger, identity: result.identity, seq: result.seq, outcome: result.outcome,
      instead: result.instead, failure: result.failure, retryAt: result.retryAt, attempts: result.attempts)
  }
}

extension KeyRow.Result {
  package init(_ result: OperationResult) {
    self.init(
      trigger: result.trigger, identity: result.identity, seq: result.seq, outcome: result.outcome,
      instead: result.instead, failure: result.failure, retryAt: result.retryAt, attempts: result.attempts)
  }

  /// The result of an operation that the record decided; nil when the record deferred the operation.
  ///
  /// - Parameter isAbsorbed: true for an event that the record's operation superseded.
  package init?(_ record: LogRecord, isAbsorbed: Bool) {
    guard let outcome = OperationOutcome(record.outcome) else { return nil }
    self.init(
      trigger: record.trigger, identity: record.identity, seq: record.seq,
      outcome: isAbsorbed ? .superseded : outcome, instead: isAbsorbed ? outcome : nil,
      failure: record.failure,
      retryAt: record.retryAt, attempts: record.attempts)
  }

  /// As above, of a record that was not copied.
  package init?(_ record: RecordView, isAbsorbed: Bool) {
    guard let outcome = OperationOutcome(record.outcome) else { return nil }
    self.init(
      trigger: record.trigger.utf8Text, identity: record.identity, seq: record.seq,
      outcome: isAbsorbed ? .superseded : outcome, instead: isAbsorbed ? outcome : nil,
      failure: record.failure, retryAt: record.retryAt == 0 ? nil : record.retryAt, attempts: record.attempts)
  }

  package func write(to buffer: CBORBuffer) {
    // One attempt is the rule, and written by nothing.
    buffer.array(attempts != 1 ? 9 : failure == nil ? 7 : 8)
    buffer.text(trigger)
    buffer.int(identity)
    buffer.int(seq)
    buffer.uint(UInt64(outcome.rawValue))
    if let failure { buffer.text(failure.message) } else { buffer.null() }
    buffer.int(retryAt ?? 0)
    if let instead { buffer.uint(UInt64(instead.rawValue)) } else { buffer.null() }
    if let failure { buffer.text(failure.code.rawValue) } else if attempts != 1 { buffer.null() }
    if attempts != 1 { buffer.uint(UInt64(attempts)) }
  }

  package init(_ reader: inout CBORReader) throws(LogDamage) {
    let start = reader.offset
    // Six before format 4.
    let count = try reader.array()
    let (trigger, identity, seq) = (try reader.text(), try reader.int(), try reader.int())
    guard let outcome = OperationOutcome(rawValue: UInt8(clamping: try reader.uint())) else {
      throw LogDamage("unknown outcome", offset: start)
    }
    let error = reader.null() ? nil : try reader.text()
    let retryAt = try reader.int()
    var instead: OperationOutcome?
    if count > 6, !reader.null() { instead = OperationOutcome(rawValue: UInt8(clamping: try reader.uint())) }
    let code = count > 7 && !reader.null() ? FailureCode(rawValue: try reader.text()) : nil
    let attempts = count > 8 ? Int(clamping: try reader.uint()) : 1
    self.init(
      trigger: trigger, identity: identity, seq: seq, outcome: outcome, instead: instead,
      failure: error.map { Failure(code ?? .error, $0) }, retryAt: retryAt == 0 ? nil : retryAt,
      attempts: attempts)
  }
}

/// Rows that are kept together. `entries` has what `KeyIndex` keeps in memory of each row, and `rows` has the rest.
package struct KeyPart: Sendable {
  /// The most rows of a part, and about the most bytes: whoever wants one row reads the whole part.
  package static let size = 1024
  package static let bytes = 1 << 20

  package let rows: [KeyRow]
  package init(_ rows: [KeyRow]) { self.rows = rows }

  /// A part of the first rows: as many as a part may have, but at least one.
  package static func first(of rows: ArraySlice<KeyRow>) -> KeyPart {
    var (count, sum) = (0, 0)
    for row in rows.prefix(size) {
      sum += row.bytes
      if count > 0, sum > bytes { break }
      count += 1
    }
    return KeyPart(Array(rows.prefix(count)))
  }

  /// For each row the hash of its key and the time of admission, eight bytes each.
  package func entries(seed: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(rows.count * 16)
    for row in rows {
      withUnsafeBytes(of: row.key.hash(seed: seed).littleEndian) { bytes.append(contentsOf: $0) }
      withUnsafeBytes(of: row.admitted.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  /// The rows as a CBOR sequence.
  package var encodedRows: [UInt8] {
    let buffer = CBORBuffer(capacity: 128 * rows.count + 1)
    for row in rows {
      buffer.array(8)
      buffer.text(row.key.scope)
      buffer.text(row.key.key)
      buffer.uint(row.digest)
      buffer.int(row.admitted)
      buffer.int(row.id.epoch)
      buffer.int(row.id.number)
      if let seq = row.amends { buffer.int(seq) } else { buffer.null() }
      buffer.array(row.results.count)
      for result in row.results { result.write(to: buffer) }
    }
    return Array(buffer.bytes)
  }

  /// All rows of `encodedRows`. O(bytes).
  package static func rows(_ encoded: UnsafeRawBufferPointer) throws(LogDamage) -> [KeyRow] {
    var (reader, rows) = (CBORReader(encoded), [KeyRow]())
    while !reader.isAtEnd { rows.append(try row(&reader)) }
    return rows
  }

  /// One row of `encodedRows`. O(bytes before it).
  package static func row(_ place: Int, of rows: UnsafeRawBufferPointer) throws(LogDamage) -> KeyRow {
    var reader = CBORReader(rows)
    for _ in 0..<place { _ = try reader.raw() }
    return try row(&reader)
  }

  private static func row(_ reader: inout CBORReader) throws(LogDamage) -> KeyRow {
    _ = try reader.array()
    var row = KeyRow(
      key: SenderKey(scope: try reader.text(), key: try reader.text()), id: EventID(epoch: 0, number: 0),
      digest: try reader.uint(), admitted: try reader.int(), results: [])
    row.id = EventID(epoch: try reader.int(), number: try reader.int())
    row.amends = reader.null() ? nil : try reader.int()
    for _ in 0..<(try reader.array()) { row.results.append(try KeyRow.Result(&reader)) }
    return row
  }
}
