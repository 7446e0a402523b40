import TriggerCore

/// The form of the fold in a checkpoint, from which recovery goes on: a CBOR array.
extension LogFold {
  private static let fields = 7

  package var encoded: [UInt8] {
    let buffer = CBORBuffer()
    buffer.array(Self.fields)
    buffer.int(lastSeq)
    buffer.array(pending.count)
    // In order, so that equal folds have equal bytes.
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
      buffer.array(2 + 2 * rows.stretches.count)
      buffer.text(feed)
      buffer.int(rows.floor)
      for stretch in rows.stretches {
        buffer.int(stretch.lowerBound)
        buffer.int(stretch.upperBound)
      }
    }
    buffer.array(fires.count)
    for (job, fired) in fires.sorted(by: { $0.key < $1.key }) {
      buffer.array(3)
      buffer.text(job)
      buffer.int(fired.newest ?? 0)
      buffer.array(2 * fired.runs.count)
      for run in fired.runs {
        buffer.int(run.after)
        buffer.int(run.last)
      }
    }
    writeKeys(to: buffer)
    buffer.array(failed.count)
    for seq in failed { buffer.int(seq) }
    return Array(buffer.bytes)
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
      let (start, count) = (reader.offset, try reader.array())
      guard count >= 2, count % 2 == 0 else { throw LogDamage("no rows of a feed", offset: start) }
      let feed = try reader.text()
      feeds[feed] = try Self.readRows(&reader, stretches: count / 2 - 1)
    }
    for _ in 0..<(try reader.array()) {
      let (start, count) = (reader.offset, try reader.array())
      guard count >= 2 else { throw LogDamage("no fires of a schedule", offset: start) }
      let (job, newest) = (try reader.text(), try reader.int())
      var runs: [FiredInstants.Run] = []
      if count > 2 {
        for _ in 0..<(try reader.array() / 2) {
          runs.append(FiredInstants.Run(after: try reader.int(), last: try reader.int()))
        }
      } else {
        // Checkpoints of format 4 may have no more.
        runs = [FiredInstants.Run(after: newest - 1, last: newest)]
      }
      fires[job] = FiredInstants(runs: runs, newest: newest)
    }
    try readKeys(&reader)
    for _ in 0..<(try reader.array()) { failed.append(try reader.int()) }
  }

  private static func readRows(_ reader: inout CBORReader, stretches: Int) throws(LogDamage) -> FeedRows {
    var rows = FeedRows(floor: try reader.int())
    for _ in 0..<stretches {
      let start = reader.offset
      let (first, last) = (try reader.int(), try reader.int())
      guard first > 0, first <= last else { throw LogDamage("no rows of a feed", offset: start) }
      rows.insert(first...last)
    }
    return rows
  }
}
