/// A point on a clock that nobody sets: what spans are measured with. Only differences mean anything, and only
/// within one process: what must survive it is written down as a wall time. A type of its own, so that the two
/// kinds of time are not taken for one another.
public struct MonotonicTime: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// Nanoseconds since some fixed moment, which may be before this process began.
  public var nanoseconds: Int64

  /// - Parameter nanoseconds: since some fixed moment.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Never comes.
  public static let never = MonotonicTime(nanoseconds: .max)

  /// The earlier one first.
  public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Nanoseconds from `right` to `left`.
  public static func - (left: Self, right: Self) -> Int64 { left.nanoseconds &- right.nanoseconds }

  /// So many nanoseconds later, at most `never`.
  public static func + (time: Self, nanoseconds: Int64) -> Self {
    let (sum, overflow) = time.nanoseconds.addingReportingOverflow(nanoseconds)
    return overflow ? .never : MonotonicTime(nanoseconds: sum)
  }

  /// The number of nanoseconds.
  public var description: String { "\(nanoseconds) ns" }
}
