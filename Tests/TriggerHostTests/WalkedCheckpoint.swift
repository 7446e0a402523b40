import TriggerCore

import TriggerHost

/// A checkpoint that was taken while commits went on, as the walk gives it: what a disk would keep.
struct WalkedCheckpoint: Sendable {
  let parts: [[UInt8]]
  let since: Int64
  let through: Int64

  init(_ coordinator: CommitCoordinator, partBytes: Int) throws {
    let walk = coordinator.walk(partBytes: partBytes)
    var parts: [[UInt8]] = []
    while let part = try walk.next() { parts.append(part.bytes) }
    (self.parts, since, through) = (parts, walk.since, walk.through)
  }

  /// What a host has that starts from it and from the records after it, up to a seq that is not before `through`:
  /// each store's content, and when it changed last.
  func state(with records: [LogRecord], to last: Int64) throws -> [String: (
    seq: Int64, content: Value.Map
  )] {
    let host = CommitCoordinator()
    _ = try host.recover { recovery in
      var fold = LogFold()
      for record in records where record.seq <= through {
        try record.encoded.withUnsafeBytes { bytes in
          var reader = CBORReader(bytes)
          try fold.apply(try RecordView(&reader))
        }
      }
      recovery.begin(fold, since: since)
      for part in parts {
        try part.withUnsafeBytes { try recovery.load(try StoreChunk(decoding: $0)) }
      }
      for record in records where record.seq > since && record.seq <= last { try recovery.apply(record) }
    }
    return try Dictionary(
      uniqueKeysWithValues: host.storeNames.map { name in
        let (seq, value) = try host.store(name).readSnapshot()
        return (name, (seq, value))
      })
  }
}
