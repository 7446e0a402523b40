import Glibc

/// Tells which names a pattern matches: `*` stands for any text without a slash, `**` for any text.
///
/// Patterns and names come from strangers, so the matcher does not backtrack. It compares the bytes before the first
/// star as they are. For the rest, a set of bits says which beginnings of the pattern match the bytes of the name that
/// have been read: bit `i` stands for the first `i` bytes that are no stars. Each byte of the name moves 64 of these
/// bits on in a few instructions.
package struct PatternMatcher: Sendable {
  /// The bytes before the first star.
  private let plain: [UInt8]
  private let end: End

  private enum End {
    /// The pattern has no star.
    case nothing
    /// The pattern ends with its only `*`, or with its only `**`.
    case anyName, anything
    /// The pattern goes on after its first star.
    case parts(Parts)
  }

  private struct Parts {
    /// How many bytes of the pattern, from the first star on, are no stars.
    var count = 0
    /// How many words a set of bits has.
    var words = 0
    /// The row of `masks` for each byte.
    var rows = [UInt8](repeating: 0, count: 256)
    /// Row by row: the bits that move on when the byte is read. The first row is for bytes that the pattern lacks.
    var masks: [UInt64] = []
    /// The bits with a `**` after them: they stay, whatever byte is read.
    var anything: [UInt64] = []
    /// The bits with a star after them: they stay unless a slash is read.
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
