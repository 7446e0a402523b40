import Testing

import TriggerCore

@Suite struct PropertyTests {
  @Test func canonicalRoundTrip() throws {
    try forSeeds(0..<3_000) { seed, random in
      let value = random.value()
      let encoding = CanonicalEncoding.encode(value)
      let decoded = try CanonicalEncoding.decode(encoding)
      try #require(decoded == value, "seed \(seed)")
      try #require(decoded.hashValue == value.hashValue, "seed \(seed)")
      try #require(CanonicalEncoding.encode(decoded) == encoding, "seed \(seed)")
    }
  }

  @Test func equalExactlyWhenEncodingsAre() throws {
    try forSeeds(0..<3_000) { seed, random in
      let (left, right) = (random.value(depth: 1), random.value(depth: 1))
      let sameBytes = CanonicalEncoding.encode(left) == CanonicalEncoding.encode(right)
      try #require((left == right) == sameBytes, "seed \(seed): \(left) and \(right)")
    }
  }

  @Test func jsonRoundTrip() throws {
    try forSeeds(0..<3_000) { seed, random in
      let value = random.value(forJSON: true)
      let compact = try JSON.text(value)
      try #require(try JSON.parse(compact) == value, "seed \(seed): \(compact)")
      try #require(try JSON.parse(JSON.bytes(value, style: .pretty)) == value, "seed \(seed)")
      try #require(try JSON.text(JSON.parse(compact)) == compact, "seed \(seed)")
    }
  }

  @Test func decodeOfRandomBytesIsExactOrRefused() throws {
    try forSeeds(0..<20_000) { seed, random in
      let bytes = (0..<random.number(0...40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      try checkDecode(bytes, seed)
    }
  }

  @Test func decodeOfMutatedBytesIsExactOrRefused() throws {
    try forSeeds(0..<5_000) { seed, random in
      var bytes = CanonicalEncoding.encode(random.value())
      random.mutate(&bytes)
      try checkDecode(bytes, seed)
    }
  }

  @Test func parseOfMutatedTextNeverTraps() throws {
    try forSeeds(0..<5_000) { seed, random in
      var bytes = try JSON.bytes(random.value(forJSON: true), style: .pretty)
      random.mutate(&bytes)
      do {
        let value = try JSON.parse(bytes)
        try #require(try JSON.parse(JSON.bytes(value)) == value, "seed \(seed)")
      } catch let error as ValueError {
        try #require(error.offset.map { $0 <= bytes.count } == true, "seed \(seed): \(error)")
      }
    }
  }

  @Test func smallTextsNeverTrap() throws {
    let pieces = [
      "1", "9", "h", "m", "s", "kb", "-", ":", "T", "Z", "+", ".", " ", "é", "2026-07-01T08:00:00",
    ]
    try forSeeds(0..<5_000) { seed, random in
      let text = (0..<random.number(0...8)).map { _ in random.pick(pieces) }.joined()
      if let span = try? TimeSpan.parse(text) {
        try #require(try TimeSpan.parse(TimeSpan.format(span)) == span, "seed \(seed): \(text)")
      }
      if let size = try? ByteSize(parsing: text) {
        try #require(try ByteSize(parsing: size.description) == size, "seed \(seed): \(text)")
      }
      if let time = try? ParsedTime(parsing: text), case .instant(let instant) = time {
        try #require(try Timestamp(parsing: instant.description) == instant, "seed \(seed): \(text)")
      }
    }
  }

  /// Whatever is accepted must be the one encoding of its value.
  private func checkDecode(_ bytes: [UInt8], _ seed: UInt64) throws {
    guard let value = try? CanonicalEncoding.decode(bytes) else { return }
    try #require(CanonicalEncoding.encode(value) == bytes, "seed \(seed): \(value)")
  }
}

extension SplitMix64 {
  /// Flips, drops, doubles or adds a few bytes.
  fileprivate mutating func mutate(_ bytes: inout [UInt8]) {
    for _ in 0..<number(1...3) {
      let index = number(0...bytes.count)
      switch number(0...3) {
      case 0 where index < bytes.count: bytes[index] ^= UInt8(1) << UInt8(number(0...7))
      case 1 where index < bytes.count: bytes.remove(at: index)
      case 2 where index < bytes.count: bytes.insert(bytes[index], at: index)
      default: bytes.insert(UInt8(truncatingIfNeeded: next()), at: index)
      }
    }
  }
}
