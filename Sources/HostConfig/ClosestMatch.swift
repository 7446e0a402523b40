/// The candidate that a user most likely meant, or nil when none is near.
///
/// Near: at most a third of the word's letters differ (at least one may), counting an exchange of two
/// neighbours as one difference. The first of equally near candidates wins.
func closestMatch(to word: String, in candidates: some Sequence<String>) -> String? {
  let letters = Array(word.lowercased())
  guard (1...64).contains(letters.count) else { return nil }
  var best: (distance: Int, candidate: String)?
  for candidate in candidates {
    let other = Array(candidate.lowercased())
    let limit = max(1, min(letters.count, other.count) / 3)
    guard abs(letters.count - other.count) <= limit else { continue }
    let distance = editDistance(letters, other)
    if distance <= limit, distance < (best?.distance ?? .max) { best = (distance, candidate) }
  }
  return best?.candidate
}

/// `; did you mean …?`, or nothing.
func suggestion(for word: String, in candidates: some Sequence<String>) -> String {
  closestMatch(to: word, in: candidates).map { "; did you mean `\($0)`?" } ?? ""
}

/// Optimal string alignment: insert, delete, replace, and exchange of two neighbours cost 1 each.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in 1...a.count {
    var row = [i]
    for j in 1...b.count {
      var cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
        cost = min(cost, beforeLast[j - 2] + 1)
      }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
