/// How urgent an operation is. The engine dequeues operations of higher priorities first. An operation of a lower
/// priority does not hold up a finished operation for long.
public enum Priority: UInt8, Sendable, Comparable, CaseIterable, CustomStringConvertible {
  case critical, high, normal, low

  /// `critical` is the greatest.
  public static func < (a: Priority, b: Priority) -> Bool { a.rawValue > b.rawValue }

  /// The priority of that name, `critical` to `low`. Nil for any other text, also for `Critical`.
  public init?(_ name: some StringProtocol) {
    guard let found = Self.allCases.first(where: { $0.description == name }) else { return nil }
    self = found
  }

  /// The name as configs, scripts and logs write it.
  public var description: String {
    switch self {
    case .critical: "critical"
    case .high: "high"
    case .normal: "normal"
    case .low: "low"
    }
  }
}
