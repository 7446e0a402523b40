import TriggerCore

/// Reads the effects of commits from a log, from a position on. One thread at a time.
package final class EffectReader {
  private let reader: LogReader
  private var position: LogPosition

  /// What was read.
  package struct Batch {
    /// In the order of their ids.
    package var effects: [Effect] = []
    /// Commits that the log had let go before they were read; empty as a rule.
    package var lost: Range<Int64> = 0..<0
  }

  /// - Parameter seq: the effects of later commits are read.
  package init(_ source: any LogSource, after seq: Int64) {
    reader = LogReader(source)
    position = LogPosition(seq: seq)
  }

  /// Everything up to this seq was read.
  package var seq: Int64 { position.seq }

  /// The next effects. O(bytes of the blocks that are read).
  ///
  /// - Parameters:
  ///   - last: commits up to this seq are looked at.
  ///   - most: ends with the block that brings so many.
  /// - Throws: `LogError` for damage; what the source throws. Who goes on needs another reader.
  package func next(through last: Int64, atMost most: Int) throws -> Batch {
    var batch = Batch()
    while position.seq < last, batch.effects.count < most, batch.lost.isEmpty {
      let missing = try reader.visitBlock(after: &position, through: last) { record, epoch in
        if record.outcome == .committed { try Self.gather(record, epoch, into: &batch.effects) }
      }
      guard let missing else { break }
      batch.lost = missing
    }
    return batch
  }

  private static func gather(_ record: RecordView, _ epoch: Int64, into effects: inout [Effect]) throws {
    var index = 0
    try record.forEachIntent { intent in
      defer { index += 1 }
      guard let kind = intent.action.effect else { return }
      effects.append(
        Effect(
          id: Effect.ID(epoch: epoch, seq: record.seq, index: index), kind: kind, target: intent.key.utf8Text,
          message: Array(intent.value)))
    }
  }

  /// Ends its reading of the log.
  package func close() { reader.close() }
}
