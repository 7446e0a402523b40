import Glibc

/// Tells which names a pattern takes: `*` stands for any text without a slash, `**` for any text.
///
/// Patterns and names come from strangers, so there is no backtracking: after each byte of the name a set of bits says
/// how much of the pattern what has been read may be, and a word of 64 of them moves on in a few instructions.
package struct PatternMatcher: Sendable {
  /// Before the first star.
  private let plain: [UInt8]
  private let end: End

  private enum End {
    /// No star.
    case nothing
    /// One star, and it is the last.
    case anyName, anything
    case parts(Parts)
  }

  private struct Parts {
    /// Bytes of the pattern that are no stars.
    var count = 0
    /// Of a set of bits; bit `i`: what has been read may be the first `i` of these bytes.
    var words = 0
    /// By byte: which row of `masks` it has.
    var rows = [UInt8](repeating: 0, count: 256)
    /// Row by row: before which bits the byte stands. The first row is of bytes that the pattern lacks.
    var masks: [UInt64] = []
    /// Bits that stay whatever is read, and those that stay unless it is a slash.
    var anything: [UInt64] = []
    var anyName: [UInt64] = []
  }

  private static let (star, slash) = (UInt8(ascii: "*"), UInt8(ascii: "/"))

  package init(_ pattern: String) {
    plain = Array(pattern.utf8.prefix { $0 != Self.star })
    let rest = Array(pattern.utf8.dropFirst(plain.count))
    end =
      switch rest.count {
      case 0: .nothing
      case 1: .anyName
      default: rest.allSatisfy { $0 == Self.star } ? .anything : .parts(Self.parts(rest))
      }
  }

  private static func parts(_ rest: [UInt8]) -> Parts {
    var parts = Parts()
    parts.count = rest.count { $0 != star }
    parts.words = parts.count / 64 + 1
    parts.masks = [UInt64](repeating: 0, count: parts.words)
    parts.anything = parts.masks
    parts.anyName = parts.masks
    var place = 0
    for byte in rest {
      let (word, bit) = (place / 64, 1 << UInt64(place % 64) as UInt64)
      if byte == star {
        // The second of two.
        if parts.anyName[word] & bit != 0 { parts.anything[word] |= bit }
        parts.anyName[word] |= bit
        continue
      }
      if parts.rows[Int(byte)] == 0 {
        parts.rows[Int(byte)] = UInt8(parts.masks.count / parts.words)
        parts.masks += [UInt64](repeating: 0, count: parts.words)
      }
      parts.masks[Int(parts.rows[Int(byte)]) * parts.words + word] |= bit
      place += 1
    }
    return parts
  }

  package func matches(_ name: [UInt8]) -> Bool { name.withUnsafeBufferPointer { matches($0) } }

  package func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    guard name.count >= plain.count else { return false }
    if !plain.isEmpty, memcmp(name.baseAddress!, plain, plain.count) != 0 { return false }
    let rest = UnsafeBufferPointer(rebasing: name[plain.count...])
    return switch end {
    case .nothing: rest.isEmpty
    case .anything: true
    case .anyName: !rest.contains(Self.slash)
    case .parts(let parts): parts.words == 1 ? Self.fitsOne(rest, parts) : Self.fits(rest, parts)
    }
  }

  private static func fitsOne(_ name: UnsafeBufferPointer<UInt8>, _ parts: Parts) -> Bool {
    let (anything, anyName) = (parts.anything[0], parts.anyName[0])
    var read: UInt64 = 1
    for byte in name {
      let stays = read & (byte == slash ? anything : anyName)
      read = (read & parts.masks[Int(parts.rows[Int(byte)])]) << 1 | stays
      if read == 0 { return false }
    }
    return read >> UInt64(parts.count) & 1 == 1
  }

  private static func fits(_ name: UnsafeBufferPointer<UInt8>, _ parts: Parts) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: parts.words) { read in
      read.initialize(repeating: 0)
      read[0] = 1
      for byte in name {
        let row = Int(parts.rows[Int(byte)]) * parts.words
        var carry: UInt64 = 0
        for word in 0..<parts.words {
          let stays = read[word] & (byte == slash ? parts.anything[word] : parts.anyName[word])
          let moves = read[word] & parts.masks[row + word]
          read[word] = moves << 1 | carry | stays
          carry = moves >> 63
        }
      }
      return read[parts.count / 64] >> UInt64(parts.count % 64) & 1 == 1
    }
  }
}
