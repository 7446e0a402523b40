/// An instant in nanoseconds since 1970-01-01T00:00:00Z, without leap seconds (Unix time). Reaches
/// from 1677-09-21 to 2262-04-11.
public struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Nanoseconds since 1970-01-01T00:00:00Z, negative before.
  public var nanoseconds: Int64

  /// The instant that many nanoseconds after 1970-01-01T00:00:00Z.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The instant at which a clock that is `offsetSeconds` ahead of UTC shows `civil`; nil outside the
  /// range.
  public init?(_ civil: CivilDateTime, offsetSeconds: Int = 0) {
    let seconds = Int64(civil.secondsSinceEpoch - offsetSeconds)
    // Computed upwards from the second below zero, so that the lowest instants do not overflow.
    let borrow: Int64 = seconds < 0 ? 1 : 0
    let product = (seconds + borrow).multipliedReportingOverflow(by: 1_000_000_000)
    let sum = product.partialValue.addingReportingOverflow(
      Int64(civil.nanosecond) - borrow * 1_000_000_000)
    guard !product.overflow, !sum.overflow else { return nil }
    nanoseconds = sum.partialValue
  }

  /// The instant of an RFC 3339 text: `2026-07-01T08:00:00Z`, `2026-07-01T10:00:00.25+02:00`. `t`, `z`
  /// and a space for the `T` are accepted (section 5.6), leap seconds are not. At most 9 digits of
  /// fraction. Throws `ValueError` with `bad_timestamp`.
  public init(parsing text: String) throws(ValueError) {
    switch try ParsedTime(parsing: text) {
    case .instant(let timestamp): self = timestamp
    case .local:
      throw ValueError(.badTimestamp, "expected Z or an offset like +02:00 at the end of \(quoted(text))")
    }
  }

  /// What a clock in UTC shows.
  public var utc: CivilDateTime { civil(offsetSeconds: 0) }

  /// What a clock that is `offsetSeconds` ahead of UTC shows.
  public func civil(offsetSeconds: Int) -> CivilDateTime {
    let (seconds, nanosecond) = floorDivide(Int(nanoseconds), by: 1_000_000_000)
    return CivilDateTime(secondsSinceEpoch: seconds + offsetSeconds, nanosecond: nanosecond)
  }

  /// The earlier instant is the lesser.
  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// RFC 3339 in UTC with no, 3, 6 or 9 digits of fraction: `2026-07-01T08:00:00.250Z`.
  public var description: String { "\(utc)Z" }
}

/// A time as text, with or without a zone.
public enum ParsedTime: Hashable, Sendable {
  /// It named its offset from UTC.
  case instant(Timestamp)
  /// It named none: `2026-07-01T08:00:00`.
  case local(CivilDateTime)

  /// As `Timestamp(parsing:)`, where `Z` or the offset may be missing.
  public init(parsing text: String) throws(ValueError) {
    var reader = TimestampReader(text)
    self = try reader.read()
  }
}
