import TriggerCore

/// What the fold knows of the keys of senders. It keeps the keys whose events are not decided. When an event is
/// decided, it makes a row of the key, which somebody else keeps.
extension LogFold {
  /// A key whose event is not decided, and the results so far.
  package struct KeyState: Sendable, Equatable {
    package var digest: UInt64
    package var admitted: Int64
    package var id: EventID
    package var total: Int
    package var results: [KeyRow.Result] = []

    package func row(of key: SenderKey) -> KeyRow {
      KeyRow(
        key: key, id: id, digest: digest, admitted: admitted,
        results: results.sorted { ($0.seq, $0.trigger) < ($1.seq, $1.trigger) })
    }
  }

  /// Rows that nobody has taken yet. They are no part of the fold's state as of a seq, so they count for no comparison.
  package struct FinishedKeys: Sendable, Equatable {
    package var rows: [KeyRow] = []
    package var bytes = 0
    /// Records up to this seq make no rows.
    package var through = Int64.max
    /// The latest time of admission in a row, in nanoseconds since 1970.
    package var newest = Int64.min
    package static func == (_: FinishedKeys, _: FinishedKeys) -> Bool { true }
  }

  /// The rows of keys whose events were decided since the last `takeFinishedKeys`.
  package var finishedKeys: [KeyRow] { finished.rows }

  /// About how many bytes these rows take.
  package var finishedKeyBytes: Int { finished.bytes }

  package mutating func takeFinishedKeys() -> [KeyRow] {
    defer { (finished.rows, finished.bytes) = ([], 0) }
    return finished.rows
  }

  /// From now on the fold makes rows of the keys that records after `kept.through` decide.
  package mutating func finishKeys(after kept: KeptKeys) {
    (finished.through, finished.newest) = (kept.through, kept.newest)
    if kept.through >= lastSeq { (finished.rows, finished.bytes) = ([], 0) }
  }

  /// Adds a row. A row is never older than the row before it, so no key is forgotten too early when the clock went back
  /// for a while.
  private mutating func finish(_ row: KeyRow) {
    if lastSeq <= finished.through { return }
    var row = row
    row.admitted = max(row.admitted, finished.newest)
    finished.newest = row.admitted
    finished.bytes += row.bytes
    finished.rows.append(row)
  }

  package mutating func noteKey(_ event: LogRecord.Outside, total: Int, admitted: Int64) {
    guard case .client(let scope, let key, let digest)? = event.key else { return }
    let place = SenderKey(scope: scope, key: key)
    if keys[place]?.id != event.id {
      keys[place] = KeyState(digest: digest, admitted: admitted, id: event.id, total: total)
    }
  }

  package mutating func noteResult(_ record: LogRecord, _ event: LogRecord.Outside, isAbsorbed: Bool) {
    guard case .client(let scope, let key, _)? = event.key else { return }
    let place = SenderKey(scope: scope, key: key)
    guard let index = keys.index(forKey: place), keys.values[index].id == event.id,
      let result = KeyRow.Result(record, isAbsorbed: isAbsorbed)
    else { return }
    keys.values[index].results.append(result)
    if keys.values[index].results.count >= keys.values[index].total {
      finish(keys.remove(at: index).value.row(of: place))
    }
  }

  /// Makes an amendment for a failed operation of an event with a key: the record decided its next try.
  ///
  /// - Parameter sender: who sent the event; nil when it had no key.
  package mutating func amendKey(
    _ sender: LogRecord.Sender?, failed seq: Int64, by record: LogRecord, isAbsorbed: Bool
  ) {
    guard let sender, let result = KeyRow.Result(record, isAbsorbed: isAbsorbed) else { return }
    finish(
      KeyRow(
        key: sender.place, id: sender.event, digest: 0, admitted: record.admitted, results: [result],
        amends: seq))
  }

  // MARK: Coding

  package func writeKeys(to buffer: CBORBuffer) {
    buffer.array(keys.count)
    for (place, state) in keys.sorted(by: { ($0.key.scope, $0.key.key) < ($1.key.scope, $1.key.key) }) {
      buffer.array(8)
      buffer.text(place.scope)
      buffer.text(place.key)
      buffer.uint(state.digest)
      buffer.int(state.admitted)
      buffer.int(state.id.epoch)
      buffer.int(state.id.number)
      buffer.int(Int64(state.total))
      buffer.array(state.results.count)
      for result in state.results { result.write(to: buffer) }
    }
  }

  package mutating func readKeys(_ reader: inout CBORReader) throws(LogDamage) {
    for _ in 0..<(try reader.array()) {
      let start = reader.offset
      _ = try reader.array()
      let place = SenderKey(scope: try reader.text(), key: try reader.text())
      var state = KeyState(
        digest: try reader.uint(), admitted: try reader.int(),
        id: EventID(epoch: try reader.int(), number: try reader.int()), total: Int(try reader.int()))
      for _ in 0..<(try reader.array()) { state.results.append(try KeyRow.Result(&reader)) }
      // One of which everything is decided is a row.
      guard state.results.count < state.total else { throw LogDamage("no key that waits", offset: start) }
      keys[place] = state
    }
  }
}
