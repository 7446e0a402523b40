/// A small seeded generator: the same seed gives the same numbers on every platform and release.
///
/// For tests and for jitter that must replay; not for secrets. Algorithm and constants: Steele, Lea
/// and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), as in Vigna's
/// `splitmix64.c`.
public struct SplitMix64: RandomNumberGenerator, Hashable, Sendable {
  private var state: UInt64

  /// Starts the sequence of that seed; any seed is as good as another, 0 too.
  public init(seed: UInt64) { state = seed }

  /// The next 64 random bits. O(1).
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A uniform number in 0..<1 of 53 random bits.
  public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
