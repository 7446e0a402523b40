/// "Did you mean ...?" for names that do not exist.
public enum Suggestion {
  /// The hint as the end of a message: `; did you mean 'x'?`, or nothing.
  public static func clause(for name: String, among candidates: some Sequence<String>) -> String {
    hint(for: name, among: candidates).map { "; \($0)" } ?? ""
  }

  /// Names longer than this many characters get no suggestion; the distance takes quadratic time.
  private static let longestName = 64

  /// `did you mean 'x'?` with the closest candidate, nil if none is close.
  public static func hint<Candidates: Sequence>(
    for name: String, among candidates: Candidates
  ) -> String? where Candidates.Element == String {
    closest(to: name, among: candidates).map { "did you mean '\($0)'?" }
  }

  /// The candidate with the least distance to `name`, without regard to case, the first of equals.
  /// Nil beyond a third of the length of `name` in edits (at least one edit is allowed).
  public static func closest<Candidates: Sequence>(
    to name: String, among candidates: Candidates
  ) -> String? where Candidates.Element == String {
    let wanted = Array(name.lowercased())
    guard !wanted.isEmpty, wanted.count <= longestName else { return nil }
    let limit = max(1, wanted.count / 3)
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
      let letters = Array(candidate.lowercased())
      guard abs(letters.count - wanted.count) <= limit else { continue }
      let distance = distance(wanted, letters)
      // A single edit turns any one-letter name into any other: that is no likeness.
      guard distance <= limit, distance < max(wanted.count, letters.count) else { continue }
      if distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate
  }

  /// Insertions, deletions, replacements and swaps of neighbours (Damerau-Levenshtein in the form of
  /// optimal string alignment: no part is edited twice). O(left * right) time, three rows of memory.
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in left.indices {
      var current = [row + 1]
      current.reserveCapacity(right.count + 1)
      for column in right.indices {
        let replacement = previous[column] + (left[row] == right[column] ? 0 : 1)
        var cost = min(previous[column + 1] + 1, current[column] + 1, replacement)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          cost = min(cost, beforePrevious[column - 1] + 1)
        }
        current.append(cost)
      }
      (beforePrevious, previous) = (previous, current)
    }
    return previous[right.count]
  }
}
