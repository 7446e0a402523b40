import Testing

@testable import TriggerCore

extension SplitMix64 {
  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(0...elements.count - 1)] }

  /// A random value. `forJSON` leaves out what JSON refuses.
  mutating func value(depth: Int = 4, forJSON: Bool = false) -> Value {
    switch number(0...(depth > 0 ? 9 : 6)) {
    case 0: return .null
    case 1: return .bool(number(0...1) == 1)
    case 2, 3: return .int(int())
    case 4: return .double(double(finite: forJSON))
    case 5 where !forJSON: return .bytes((0..<number(0...30)).map { _ in UInt8(truncatingIfNeeded: next()) })
    case 5, 6: return .string(text())
    case 7: return .array((0..<number(0...5)).map { _ in value(depth: depth - 1, forJSON: forJSON) })
    default:
      var entries: Value.Map = [:]
      for _ in 0..<number(0...6) { entries[text()] = value(depth: depth - 1, forJSON: forJSON) }
      return .map(entries)
    }
  }

  /// All lengths of integers are equally likely, edges often.
  private mutating func int() -> Int64 {
    let edges: [Int64] = [0, 1, -1, 23, 24, -24, -25, 255, 256, -256, -257, 65_535, 65_536, .min, .max]
    if number(0...3) == 0 { return pick(edges) }
    return Int64(bitPattern: next()) >> Int64(number(0...63))
  }

  private mutating func double(finite: Bool) -> Double {
    let number: Double =
      switch self.number(0...4) {
      case 0:
        pick([
          0, -0.0, 1, 1.5, 65_504, 65_505, 0x1p-24, 0x1p-25, 0x1p-14, .leastNonzeroMagnitude, 1e300, .nan,
          .infinity,
        ])
      case 1: Double(Float(bitPattern: UInt32(truncatingIfNeeded: next())))
      case 2: ShortestFloat.double(fromHalf: UInt16(truncatingIfNeeded: next()))
      case 3: Double(self.number(-1_000...1_000)) / 8
      default: Double(bitPattern: next())
      }
    return finite && !number.isFinite ? 0.5 : number
  }

  private mutating func text() -> String {
    let pieces = [
      "a", "key", "Z", "0", "é", "e\u{301}", "\"", "\\", "\n", "\u{0}", "\u{7f}", "😀", "\u{ffff}", " ",
    ]
    return (0..<number(0...8)).map { _ in pick(pieces) }.joined()
  }
}

/// Runs `body` with generators of many seeds; a failure names its seed, which reproduces it alone.
func forSeeds(_ seeds: Range<UInt64>, _ body: (UInt64, inout SplitMix64) throws -> Void) throws {
  for seed in seeds {
    var random = SplitMix64(seed: seed)
    try body(seed, &random)
  }
}

func hex(_ text: String) -> [UInt8] {
  let digits = Array(text.utf8).filter { $0 != UInt8(ascii: " ") }
  return stride(from: 0, to: digits.count, by: 2).map { index in
    UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)!
  }
}

/// Arrays around null, `depth` deep.
func nested(_ depth: Int) -> Value {
  (0..<depth).reduce(.null) { inner, _ in .array([inner]) }
}
