import TriggerCore

/// The fold as a checkpoint keeps it: a CBOR array, so that recovery goes on from there.
extension LogFold {
  private static let fields = 7

  package var encoded: [UInt8] {
    let buffer = CBORBuffer()
    buffer.array(Self.fields)
    buffer.int(lastSeq)
    buffer.array(pending.count)
    // Sorted, so that equal folds have equal bytes.
    for record in unfinished { buffer.blob(record.encoded) }
    buffer.array(seen.count)
    for (id, state) in seen.sorted(by: { $0.key < $1.key }) {
      buffer.array(5)
      buffer.int(id.epoch)
      buffer.int(id.number)
      buffer.int(Int64(state.total))
      buffer.int(Int64(state.decided))
      buffer.array(state.triggers.count)
      for trigger in state.triggers.sorted() { buffer.text(trigger) }
    }
    buffer.array(feeds.count)
    for (feed, rows) in feeds.sorted(by: { $0.key < $1.key }) {
      buffer.array(3)
      buffer.text(feed)
      buffer.int(rows.floor)
      buffer.array(rows.taken.count)
      for row in rows.taken.sorted() { buffer.int(row) }
    }
    buffer.array(fires.count)
    for (job, instant) in fires.sorted(by: { $0.key < $1.key }) {
      buffer.array(2)
      buffer.text(job)
      buffer.int(instant)
    }
    writeKeys(to: buffer)
    buffer.array(dead.count)
    for seq in dead { buffer.int(seq) }
    return Array(buffer.bytes)
  }

  private func writeKeys(to buffer: CBORBuffer) {
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
      for result in state.results {
        buffer.array(6)
        buffer.text(result.trigger)
        buffer.int(result.identity)
        buffer.int(result.seq)
        buffer.uint(UInt64(result.outcome.rawValue))
        if let error = result.error { buffer.text(error) } else { buffer.null() }
        buffer.int(result.retryAt ?? 0)
      }
    }
  }

  /// - Throws: `LogDamage` when the bytes are not what `encoded` gives.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    guard try reader.array() >= Self.fields else { throw LogDamage("no fold", offset: 0) }
    lastSeq = try reader.int()
    for _ in 0..<(try reader.array()) {
      var inner = CBORReader(try reader.blob())
      let record = try LogRecord(try RecordView(&inner))
      pending[Slot(origin: Self.origin(of: record), trigger: record.trigger)] = record
    }
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let id = EventID(epoch: try reader.int(), number: try reader.int())
      var state = Seen(total: Int(try reader.int()), decided: Int(try reader.int()))
      for _ in 0..<(try reader.array()) { state.triggers.insert(try reader.text()) }
      seen[id] = state
    }
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let feed = try reader.text()
      var rows = Rows(floor: try reader.int())
      for _ in 0..<(try reader.array()) { rows.taken.insert(try reader.int()) }
      feeds[feed] = rows
    }
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let job = try reader.text()
      fires[job] = try reader.int()
    }
    try readKeys(&reader)
    for _ in 0..<(try reader.array()) { dead.append(try reader.int()) }
  }

  private mutating func readKeys(_ reader: inout CBORReader) throws(LogDamage) {
    for _ in 0..<(try reader.array()) {
      _ = try reader.array()
      let place = ClientKey(scope: try reader.text(), key: try reader.text())
      var state = KeyState(
        digest: try reader.uint(), admitted: try reader.int(),
        id: EventID(epoch: try reader.int(), number: try reader.int()), total: Int(try reader.int()))
      for _ in 0..<(try reader.array()) {
        let start = reader.offset
        _ = try reader.array()
        let (trigger, identity, seq) = (try reader.text(), try reader.int(), try reader.int())
        guard let outcome = Outcome(rawValue: UInt8(clamping: try reader.uint())) else {
          throw LogDamage("unknown outcome", offset: start)
        }
        let error = reader.null() ? nil : try reader.text()
        let retryAt = try reader.int()
        state.results.append(
          KeyState.Result(
            trigger: trigger, identity: identity, seq: seq, outcome: outcome, error: error,
            retryAt: retryAt == 0 ? nil : retryAt))
      }
      keys[place] = state
    }
  }
}
