/// The digest of a store as its formula is written down (Architecture, "The state proves itself"), in plain code that
/// shares none with the engine. O(bytes), slowly.
package enum PlainDigest {
  package typealias Item = (key: [UInt8], value: [UInt8], version: Int64)

  /// - Parameter items: every key with its value in canonical encoding, and the seq that wrote it.
  package static func of(_ items: some Sequence<Item>) -> UInt64 {
    items.reduce(0) { $0 &+ term($1) }
  }

  private static func term(_ item: Item) -> UInt64 {
    let content = xxh64(item.value, seed: xxh64(item.key, seed: 0))
    var z = content &+ UInt64(bitPattern: item.version) &* 0x9e37_79b9_7f4a_7c15
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// XXH64 as its specification has it: stripes of 32 bytes into four accumulators, then the rest.
  package static func xxh64(_ input: [UInt8], seed: UInt64) -> UInt64 {
    let primes: [UInt64] = [
      0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
      0x27D4_EB2F_1656_67C5,
    ]
    func rotate(_ x: UInt64, _ bits: UInt64) -> UInt64 { x << bits | x >> (64 - bits) }
    func word(_ at: Int, _ count: Int) -> UInt64 {
      input[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    func round(_ accumulator: UInt64, _ lane: UInt64) -> UInt64 {
      rotate(accumulator &+ lane &* primes[1], 31) &* primes[0]
    }
    var (at, sum) = (0, seed &+ primes[4])
    if input.count >= 32 {
      var lanes = [seed &+ primes[0] &+ primes[1], seed &+ primes[1], seed, seed &- primes[0]]
      while at + 32 <= input.count {
        for lane in 0..<4 { lanes[lane] = round(lanes[lane], word(at + 8 * lane, 8)) }
        at += 32
      }
      sum =
        rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
      for lane in lanes { sum = (sum ^ round(0, lane)) &* primes[0] &+ primes[3] }
    }
    sum &+= UInt64(input.count)
    while at + 8 <= input.count {
      sum = rotate(sum ^ round(0, word(at, 8)), 27) &* primes[0] &+ primes[3]
      at += 8
    }
    if at + 4 <= input.count {
      sum = rotate(sum ^ word(at, 4) &* primes[0], 23) &* primes[1] &+ primes[2]
      at += 4
    }
    while at < input.count {
      sum = rotate(sum ^ word(at, 1) &* primes[4], 11) &* primes[0]
      at += 1
    }
    for (bits, prime) in [(UInt64(33), primes[1]), (29, primes[2])] { sum = (sum ^ sum >> bits) &* prime }
    return sum ^ sum >> 32
  }
}
