/// What is wrong in a cron expression, and where.
public struct CronSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  /// From 1, in characters of the expression.
  public let column: Int
  /// What is wrong, and what would be right.
  public let message: String

  /// `column 5: hour 24 is out of range 0-23`
  public var description: String { "column \(column): \(message)" }
}
