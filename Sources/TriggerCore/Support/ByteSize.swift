/// An amount of memory or disk, in bytes; never negative when parsed.
///
/// Written as a whole number and a unit without regard to case: `64mb`, `512KiB`, `1g`. All units are
/// powers of 1024, with and without the `i`: `kb`, `mb`, `gb`, `tb`. `b` and a bare number are bytes.
public struct ByteSize: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The amount. Arithmetic on it is the caller's.
  public var bytes: Int

  /// Takes any count; only parsing refuses negative ones.
  public init(bytes: Int) { self.bytes = bytes }

  /// The size that `text` writes. Throws `ValueError` with `bad_byte_size`.
  public init(parsing text: String) throws(ValueError) {
    var rest = text.utf8[...]
    guard let part = NumberWithUnit(takenFrom: &rest), rest.isEmpty,
      let factor = Self.factor(of: part.unit.lowercased())
    else {
      throw ValueError(.badByteSize, "expected a size like 512kb, 64mb or 1gb, got \(quoted(text))")
    }
    let product = part.number.multipliedReportingOverflow(by: factor)
    guard !product.overflow, let bytes = Int(exactly: product.partialValue) else {
      throw ValueError(.badByteSize, "the size \(quoted(text)) is beyond 64 bits")
    }
    self.bytes = bytes
  }

  /// `count` × 1024 bytes.
  public static func kilobytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 10) }
  /// `count` × 1024² bytes.
  public static func megabytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 20) }
  /// `count` × 1024³ bytes.
  public static func gigabytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 30) }

  /// By bytes.
  public static func < (left: ByteSize, right: ByteSize) -> Bool { left.bytes < right.bytes }

  /// The largest unit that divides the size: `64mb`, `1536kb`, `1000b`. `init(parsing:)` reads it back.
  public var description: String {
    for (unit, shift) in [("tb", 40), ("gb", 30), ("mb", 20), ("kb", 10)] {
      if bytes != 0, bytes.trailingZeroBitCount >= shift { return "\(bytes >> shift)\(unit)" }
    }
    return "\(bytes)b"
  }

  private static func factor(of unit: String) -> Int64? {
    switch unit {
    case "", "b": 1
    case "k", "kb", "kib": 1 << 10
    case "m", "mb", "mib": 1 << 20
    case "g", "gb", "gib": 1 << 30
    case "t", "tb", "tib": 1 << 40
    default: nil
    }
  }
}
