import TriggerCore

/// A seeded generator with the few draws that model tests make.
struct SplitMix64Seeded {
  private var generator: SplitMix64

  init(_ seed: UInt64) { generator = SplitMix64(seed: seed) }

  mutating func below(_ end: Int) -> Int { Int.random(in: 0..<end, using: &generator) }
  mutating func chance(_ part: Int, _ whole: Int) -> Bool { below(whole) < part }
  mutating func pick<Element>(_ items: [Element]) -> Element { items.randomElement(using: &generator)! }
}
