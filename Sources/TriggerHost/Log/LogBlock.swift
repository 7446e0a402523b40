import TriggerCore

/// Records of consecutive seqs that were written together.
package struct LogBlock: Sendable, Equatable {
  package var first: Int64
  package var last: Int64
  /// When the block was written, in nanoseconds since 1970.
  package var time: Int64
  /// The epoch it was written under.
  package var epoch: Int64
  /// The checksum of `bytes`.
  package var checksum: Int64
  /// A checksum of this block and of all blocks before it. A seq and a chain together name one history. 0: the block
  /// was written before blocks had a chain.
  package var chain: Int64
  /// The encoded records, one after another; nil when a content that they share with other records is missing.
  package var bytes: [UInt8]?

  package init(
    first: Int64, last: Int64, time: Int64, epoch: Int64, checksum: Int64, chain: Int64, bytes: [UInt8]?
  ) {
    (self.first, self.last, self.time, self.epoch) = (first, last, time, epoch)
    (self.checksum, self.chain, self.bytes) = (checksum, chain, bytes)
  }

  /// The block of the records of a group, to be written after `end`.
  package init(_ group: LogGroup, after end: LogPosition, epoch: Int64, bytes: [UInt8]? = nil) {
    let checksum = group.records.withUnsafeBytes { Self.checksum($0) }
    self.init(
      first: group.first, last: group.last, time: group.time, epoch: epoch, checksum: checksum, chain: 0,
      bytes: bytes)
    chain = chain(after: end.chain)
  }

  /// Where the log ends when this is its last block.
  package var end: LogPosition { LogPosition(seq: last, chain: chain, epoch: epoch) }

  /// The seqs between a position and this block: they are not kept any more.
  package func missing(after end: LogPosition) -> Range<Int64> { min(end.seq + 1, first)..<first }

  /// The chain of this block, when the block before it has the given chain. The function is part of the format: never
  /// change it.
  ///
  /// - Parameter chain: 0 when this is the first block of a log.
  package func chain(after chain: Int64) -> Int64 {
    let values = (
      chain.littleEndian, checksum.littleEndian, first.littleEndian, last.littleEndian, epoch.littleEndian
    )
    // 0 stands for a block without a chain.
    return withUnsafeBytes(of: values) { Int64(bitPattern: max(1, XXH64.of($0))) }
  }

  /// Why this block was not written after a block that ends at `end`; nil when nothing speaks against it.
  ///
  /// - Parameter end: where the block before ends; for the first block of a log, `LogPosition()`.
  package func problem(after end: LogPosition) -> String? {
    if epoch < end.epoch { return "it is of epoch \(epoch), and the block before it of epoch \(end.epoch)" }
    if chain == 0 { return end.chain == 0 ? nil : "it has no chain, and the block before it has one" }
    return chain == chain(after: end.chain) ? nil : "it is not what was written there: its chain does not fit"
  }

  /// The checksum of all records of a block. The function is part of the format: never change it.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    Int64(bitPattern: XXH64.of(bytes))
  }

  /// The checksum of a checkpoint's fold and of its digests of stores. A checkpoint may have no digests.
  package static func checksum(fold: UnsafeRawBufferPointer, digests: UnsafeRawBufferPointer) -> Int64 {
    let fold = XXH64.of(fold)
    return Int64(bitPattern: digests.isEmpty ? fold : XXH64.of(digests, seed: fold))
  }
}

/// Where a log ends. Two logs that have been at one position have the same history up to there.
package struct LogPosition: Sendable, Hashable {
  /// The newest seq; 0 when there is none.
  package var seq: Int64
  /// The chain of the newest block.
  package var chain: Int64
  /// The epoch of the newest block.
  package var epoch: Int64

  package init(seq: Int64 = 0, chain: Int64 = 0, epoch: Int64 = 0) {
    (self.seq, self.chain, self.epoch) = (seq, chain, epoch)
  }
}
