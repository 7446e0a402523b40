import TriggerCore

/// Records of consecutive seqs that were written together.
package struct LogBlock: Sendable, Equatable {
  package var first: Int64
  package var last: Int64
  /// When it was written, nanoseconds since 1970.
  package var time: Int64
  /// Of `bytes`.
  package var checksum: Int64
  /// Encoded records, one after another; nil when a part of them is not there any more.
  package var bytes: [UInt8]?

  package init(first: Int64, last: Int64, time: Int64, checksum: Int64, bytes: [UInt8]?) {
    (self.first, self.last, self.time, self.checksum) = (first, last, time, checksum)
    self.bytes = bytes
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

/// Where a log ends.
package struct LogPosition: Sendable, Hashable {
  /// The newest seq; 0 when there is none.
  package var seq: Int64

  package init(seq: Int64 = 0) { self.seq = seq }
}
