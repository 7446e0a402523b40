/// Writes the rows that a fold makes, and removes what is forgotten. One thread at a time.
struct KeyPartWriter {
  /// Parts of one transaction: so many rows are in memory until they are on disk.
  private static let batch = 8

  private let log: GroupWriter
  private let engine: Engine
  private let seed: UInt64
  private var next: Int64
  /// The rows of records up to this seq are in parts.
  private var through: Int64

  init(_ log: GroupWriter, _ engine: Engine, _ source: any LogSource) throws {
    (self.log, self.engine) = (log, engine)
    seed = UInt64(bitPattern: try source.logID())
    (next, through) = try source.newestKeyPart()
  }

  /// Writes what the fold has finished, when that is worth a transaction.
  ///
  /// - Parameters:
  ///   - all: write what there is, however little.
  ///   - through: what records up to it have decided is in `fold`, or in parts.
  mutating func write(from fold: inout LogFold, all: Bool, through: Int64) throws {
    let full = KeyPart.size * Self.batch
    guard
      fold.finishedKeys.count >= (all ? 1 : full) || fold.finishedKeyBytes >= KeyPart.bytes * Self.batch
    else { return }
    var rows = fold.takeFinishedKeys()[...]
    while !rows.isEmpty {
      // Of very many, as a start finds them behind its checkpoint, only the last transaction says that all are written.
      if rows.count <= full { self.through = through }
      try write(rows.prefix(full))
      rows = rows.dropFirst(full)
    }
  }

  private mutating func write(_ rows: ArraySlice<KeyRow>) throws {
    var (parts, rows) = ([KeyPart](), rows)
    while !rows.isEmpty {
      parts.append(KeyPart.first(of: rows))
      rows = rows.dropFirst(parts.last!.rows.count)
    }
    let first = next
    next += Int64(parts.count)
    try log.perform([.keyParts(parts, from: first, through: through, seed: seed)])
    for (number, part) in zip(first..., parts) {
      engine.keys.handOver(part, number: number, now: engine.keyTime)
    }
  }

  /// Removes parts of which all keys are forgotten, in small steps.
  func removeForgotten() throws {
    var numbers = engine.keys.takeForgotten(now: engine.keyTime)[...]
    while !numbers.isEmpty {
      let some = numbers.prefix(16)
      numbers = numbers.dropFirst(16)
      try log.perform([.dropKeyParts(Array(some))])
    }
  }
}
