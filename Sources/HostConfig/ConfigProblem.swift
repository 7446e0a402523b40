/// One thing that is wrong (or doubtful) in a file that a person wrote.
///
/// `description` is what the tools print and what tests compare: `file:line: message`, without the
/// line when the whole file is meant, and with `warning: ` before the message of a warning.
public struct ConfigProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// Whether the file can still be used.
  public enum Severity: String, Hashable, Sendable {
    case error, warning
  }

  /// The file's name as the user gave it.
  public var file: String
  /// From 1; nil when the problem is the file itself (missing, unreadable, too large).
  public var line: Int?
  /// From 1, in Unicode scalars; nil when the line says enough.
  public var column: Int?
  /// What is wrong, and what would be right.
  public var message: String
  public var severity: Severity

  public init(
    file: String, line: Int? = nil, column: Int? = nil, message: String, severity: Severity = .error
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.severity = severity
  }

  public var description: String {
    let place = line.map { "\(file):\($0)" } ?? file
    return severity == .error ? "\(place): \(message)" : "\(place): warning: \(message)"
  }
}

/// All problems found in one pass, so that a user mends a file once and not line by line.
public struct ConfigReport: Sendable, CustomStringConvertible {
  /// In the order they were found; `sorted` gives the order for people.
  public private(set) var problems: [ConfigProblem] = []

  public init(_ problems: [ConfigProblem] = []) {
    self.problems = problems
  }

  /// The problems that make the input unusable.
  public var errors: [ConfigProblem] { problems.filter { $0.severity == .error } }

  /// The problems that the user should know of and may leave.
  public var warnings: [ConfigProblem] { problems.filter { $0.severity == .warning } }

  /// True when nothing forbids going on; warnings may be present.
  public var isGood: Bool { !problems.contains { $0.severity == .error } }

  /// By line within each file; files in the order in which they first had a problem.
  public var sorted: [ConfigProblem] {
    var rank: [String: Int] = [:]
    for problem in problems where rank[problem.file] == nil { rank[problem.file] = rank.count }
    return problems.enumerated().sorted { a, b in
      let left = (rank[a.element.file] ?? 0, a.element.line ?? 0, a.offset)
      let right = (rank[b.element.file] ?? 0, b.element.line ?? 0, b.offset)
      return left < right
    }.map(\.element)
  }

  /// One line per problem, as sorted.
  public var description: String {
    sorted.map(\.description).joined(separator: "\n")
  }

  public mutating func add(_ problem: ConfigProblem) {
    problems.append(problem)
  }

  public mutating func add(_ other: ConfigReport) {
    problems += other.problems
  }
}
