import TriggerCore

/// Records of consecutive seqs that were written together.
package struct LogBlock: Sendable, Equatable {
  package var first: Int64
  package var last: Int64
  /// When it was written, nanoseconds since 1970.
  package var time: Int64
  /// The epoch it was written under.
  package var epoch: Int64
  /// Of `bytes`.
  package var checksum: Int64
  /// Of this block and all before it: with a seq it names one history. 0: it was written before blocks had one.
  package var chain: Int64
  /// Encoded records, one after another; nil when a part of them is not there any more.
  package var bytes: [UInt8]?

  package init(
    first: Int64, last: Int64, time: Int64, epoch: Int64, checksum: Int64, chain: Int64, bytes: [UInt8]?
  ) {
    (self.first, self.last, self.time, self.epoch) = (first, last, time, epoch)
    (self.checksum, self.chain, self.bytes) = (checksum, chain, bytes)
  }

  /// The block that follows `end`.
  package init(_ group: LogGroup, after end: LogPosition, epoch: Int64, bytes: [UInt8]? = nil) {
    let checksum = group.records.withUnsafeBytes { Self.checksum($0) }
    self.init(
      first: group.first, last: group.last, time: group.time, epoch: epoch, checksum: checksum, chain: 0,
      bytes: bytes)
    chain = chain(after: end.chain)
  }

  /// Where the log ends with it.
  package var end: LogPosition { LogPosition(seq: last, chain: chain, epoch: epoch) }

  /// The chain that it has after a block with that one; 0 for the first block of a log. The function is part of the
  /// format: never change it.
  package func chain(after chain: Int64) -> Int64 {
    let values = (
      chain.littleEndian, checksum.littleEndian, first.littleEndian, last.littleEndian, epoch.littleEndian
    )
    // 0 says that there is none.
    return withUnsafeBytes(of: values) { Int64(bitPattern: max(1, XXH64.of($0))) }
  }

  /// Why it cannot be what was written after a block that ends there, nil when it can.
  ///
  /// - Parameter end: where the block before ends; for the first block of a log, the beginning.
  package func problem(after end: LogPosition) -> String? {
    if epoch < end.epoch { return "it is of epoch \(epoch), and the block before it of epoch \(end.epoch)" }
    if chain == 0 { return end.chain == 0 ? nil : "it has no chain, and the block before it has one" }
    return chain == chain(after: end.chain) ? nil : "it is not what was written there: its chain does not fit"
  }

  /// Over all records of a block. The function is part of the format: never change it.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    Int64(bitPattern: XXH64.of(bytes))
  }

  /// Over a checkpoint's fold and its digests of stores, where it has any.
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
