/// One thing that is wrong (or doubtful) in a file that a person wrote.
///
/// `description` is what the tools print and what tests compare: `file:line: message`, without the
/// line when the whole file is meant, and with `warning: ` before the message of a warning.
package struct ConfigProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// Whether the file can still be used.
  package enum Severity: String, Hashable, Sendable {
    case error, warning
  }

  /// The file's name as the user gave it.
  package var file: String
  /// From 1; nil when the problem is the file itself (missing, unreadable, too large).
  package var line: Int?
  /// From 1, in Unicode scalars; nil when the line says enough.
  package var column: Int?
  /// What is wrong, and what would be right.
  package var message: String
  package var severity: Severity

  package init(
    file: String, line: Int? = nil, column: Int? = nil, message: String, severity: Severity = .error
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.severity = severity
  }

  package var description: String {
    let place = line.map { "\(file):\($0)" } ?? file
    return severity == .error ? "\(place): \(message)" : "\(place): warning: \(message)"
  }
}

/// All problems found in one pass, so that a user mends a file once and not line by line.
package struct ConfigReport: Sendable, CustomStringConvertible {
  /// In the order they were found; `sorted` gives the order for people.
  package private(set) var problems: [ConfigProblem] = []

  package init(_ problems: [ConfigProblem] = []) {
    self.problems = problems
  }

  /// The problems that make the input unusable.
  package var errors: [ConfigProblem] { problems.filter { $0.severity == .error } }

  /// The problems that the user should know of and may leave.
  package var warnings: [ConfigProblem] { problems.filter { $0.severity == .warning } }

  /// True when nothing forbids going on; warnings may be present.
  package var isGood: Bool { !problems.contains { $0.severity == .error } }

  /// By line within each file; files in the order in which they first had a problem.
  package var sorted: [ConfigProblem] { orderedByFile(problems) { ($0.file, $0.line) } }

  /// One line per problem, as sorted.
  package var description: String {
    sorted.map(\.description).joined(separator: "\n")
  }

  package mutating func add(_ problem: ConfigProblem) {
    problems.append(problem)
  }

  package mutating func add(_ other: ConfigReport) {
    problems += other.problems
  }
}

/// What is wrong in some files, by line within each; files in the order in which they are first named. O(n log n)
package func orderedByFile<Item>(
  _ items: [Item], place: (Item) -> (file: String, line: Int?)
) -> [Item] {
  var ranks: [String: Int] = [:]
  let keys = items.enumerated().map { offset, item in
    let (file, line) = place(item)
    let rank = ranks[file] ?? ranks.count
    ranks[file] = rank
    return (rank, line ?? 0, offset)
  }
  return keys.sorted { $0 < $1 }.map { items[$0.2] }
}
