/// A 64-bit hash of key bytes: multiply-and-fold over eight bytes at a time, seeded once per process so
/// that nobody can choose keys that collide. It decides only where a key lies in memory, never an order.
package struct KeyHash: Sendable {
  private static let seed = UInt64.random(in: .min ... .max)

  /// O(length).
  @inline(__always)
  package static func of(_ bytes: UnsafePointer<UInt8>, count: Int) -> UInt64 {
    let raw = UnsafeRawPointer(bytes)
    var hash = seed ^ (UInt64(truncatingIfNeeded: count) &* 0x9e37_79b9_7f4a_7c15)
    var offset = 0
    while count &- offset >= 8 {
      hash = fold(hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self), 0xa076_1d64_78bd_642f)
      offset &+= 8
    }
    var tail: UInt64 = 0
    while offset < count {
      tail = (tail << 8) | UInt64(bytes[offset])
      offset &+= 1
    }
    return fold(hash ^ tail, 0xe703_7ed1_a0b4_28db)
  }

  /// Of the text's bytes.
  package static func of(_ text: String) -> UInt64 {
    var text = text
    return text.withUTF8 { $0.isEmpty ? 0 : of($0.baseAddress!, count: $0.count) }
  }

  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}
