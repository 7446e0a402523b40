/// A checkpoint is not what was written. The records of the log may be whole all the same.
public struct CheckpointDamage: Error, Sendable, Hashable, CustomStringConvertible {
  /// The number of the checkpoint in the data directory.
  public let checkpoint: Int64
  /// The seq whose state the checkpoint should contain.
  public let seq: Int64
  /// Which part of the checkpoint is damaged, and what is wrong with it.
  public let what: String

  /// The message for people, in one line.
  public var description: String { "checkpoint \(checkpoint) of seq \(seq) is damaged: \(what)" }
}

/// The head of a complete checkpoint: what the checkpoint says of itself.
package struct KeptCheckpoint: Sendable, Hashable {
  package var id: Int64
  /// The parts contain every commit up to this seq, and may contain later ones up to `last`.
  package var since: Int64
  /// The seq as of which the fold and the digests are.
  package var last: Int64
  /// When the checkpoint was written, in nanoseconds since 1970.
  package var time: Int64
  /// The checksum of the bytes of the fold and of the digests.
  package var checksum: Int64
  /// The number of parts, the number of bytes of the parts and the fold, and the `Seal`. A seal of 0 is none: checkpoints of
  /// early versions have none, and nothing is checked by it.
  package var parts: Int64
  package var bytes: Int64
  package var seal: Int64

  package init(
    id: Int64, since: Int64, last: Int64, time: Int64, checksum: Int64, parts: Int64, bytes: Int64,
    seal: Int64
  ) {
    (self.id, self.since, self.last, self.time) = (id, since, last, time)
    (self.checksum, self.parts, self.bytes, self.seal) = (checksum, parts, bytes, seal)
  }

  /// Bytes of a piece of the fold at most: SQLite takes no value of a billion bytes, and events that wait may be as much.
  package static let foldPiece = 64 << 20

  /// All pieces of a fold but the first, which goes with the checkpoint; most have no other. Before the checkpoint, each in
  /// a group of its own.
  package static func furtherPieces(ofFold fold: [UInt8], checkpoint: Int64, size: Int = foldPiece)
    -> some Sequence<LogJob>
  {
    stride(from: size, to: fold.count, by: size).enumerated().lazy.map { number, start in
      .foldPiece(
        Array(fold[start..<min(start + size, fold.count)]), number: Int64(number), checkpoint: checkpoint)
    }
  }

  package func damaged(_ what: String) -> CheckpointDamage {
    CheckpointDamage(checkpoint: id, seq: last, what: what)
  }

  /// A checksum of the head and of the checksums of all parts in order. It shows when the head or a part was changed,
  /// and when a part was removed or added.
  package struct Seal {
    private var bytes: [UInt8] = []
    package private(set) var parts: Int64 = 0

    package init() {}

    package mutating func add(part checksum: Int64) {
      append(checksum)
      parts += 1
    }

    private mutating func append(_ value: Int64) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package func value(id: Int64, since: Int64, last: Int64, time: Int64, bytes count: Int64, fold: Int64)
      -> Int64
    {
      var whole = self
      for value in [id, since, last, time, count, fold, parts] { whole.append(value) }
      // 0 stands for a checkpoint without a seal.
      return whole.bytes.withUnsafeBytes { LogBlock.checksum($0) | 1 }
    }
  }
}
