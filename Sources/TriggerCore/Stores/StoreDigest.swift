/// What a store holds, in 64 bits: a sum over its keys, so that it does not matter in which order they came, and so
/// that a commit costs what it changes.
///
/// For every key that has a value, with `version` the seq that wrote it and bytes in canonical encoding:
///
///     content = XXH64(value, seed: XXH64(key, seed: 0))
///     term    = mix(content + version * 0x9e3779b97f4a7c15)        all arithmetic modulo 2^64
///     mix(z):   z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;  z = (z ^ z >> 27) * 0x94d049bb133111eb;  z ^ z >> 31
///     digest  = the sum of all terms
///
/// (`mix` is the output of SplitMix64, as in `SplitMix64.next`.) An empty store has 0, and so has one that nobody has
/// heard of. Two stores with equal digests have the same keys with the same values, written by the same seqs, but for
/// a chance of 1 in 2^64; somebody who wants two to be equal can make them so, for nothing here is secret. The formula
/// is part of the format of logs and checkpoints: never change it.
public struct StoreDigest: Sendable, Hashable, CustomStringConvertible {
  /// The sum.
  public private(set) var bits: UInt64

  /// The digest of an empty store, or one that was kept somewhere.
  public init(bits: UInt64 = 0) { self.bits = bits }

  /// Sixteen hexadecimal digits.
  public var description: String {
    let digits = String(bits, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }

  /// Of a key and its value, whatever wrote it. O(bytes).
  @inline(__always)
  package static func content(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> UInt64 {
    XXH64.of(value, seed: XXH64.of(key))
  }

  /// What a key adds to the sum.
  @inline(__always)
  static func term(_ content: UInt64, version: Int64) -> UInt64 {
    var mixed = content &+ UInt64(bitPattern: version) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A key that added `old` adds `new` from now on.
  @inline(__always)
  mutating func change(_ old: UInt64, to new: UInt64) { bits = bits &- old &+ new }

  /// Makes it wrong: for a simulator that must notice.
  package mutating func falsify() { bits &+= 1 }
}
