/// What changed between two texts, line by line, as `diff -u` shows it.
struct LineDiff {
  enum Line: Equatable {
    case same(String), removed(String), added(String)
  }

  /// Lines before and after a change that are shown with it.
  private static let context = 3

  let lines: [Line]

  /// O(lines × changes) (Myers 1986, in the standard library).
  init(_ old: String, _ new: String) {
    let (old, new) = (Self.split(old), Self.split(new))
    let difference = new.difference(from: old)
    var removed: Set<Int> = []
    var added: Set<Int> = []
    for change in difference {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): added.insert(offset)
      }
    }
    var lines: [Line] = []
    var (left, right) = (0, 0)
    while left < old.count || right < new.count {
      if removed.contains(left), left < old.count {
        lines.append(.removed(old[left]))
        left += 1
      } else if added.contains(right), right < new.count {
        lines.append(.added(new[right]))
        right += 1
      } else {
        lines.append(.same(old[left]))
        left += 1
        right += 1
      }
    }
    self.lines = lines
  }

  private static func split(_ text: String) -> [String] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  var isEmpty: Bool { !lines.contains { if case .same = $0 { false } else { true } } }

  /// The changes with what is around them, each part headed by where it is: `@@ -3,7 +3,8 @@`.
  func hunks() -> [(header: String, lines: [Line])] {
    let changed = lines.indices.filter { if case .same = lines[$0] { false } else { true } }
    var hunks: [(header: String, lines: [Line])] = []
    var index = 0
    while index < changed.count {
      var last = index
      while last + 1 < changed.count, changed[last + 1] - changed[last] <= 2 * Self.context { last += 1 }
      let start = max(0, changed[index] - Self.context)
      let end = min(lines.count, changed[last] + Self.context + 1)
      hunks.append((header(start, end), Array(lines[start..<end])))
      index = last + 1
    }
    return hunks
  }

  private func header(_ start: Int, _ end: Int) -> String {
    let (old, new) = (count(lines[..<start]), count(lines[start..<end]))
    return "@@ -\(old.old + 1),\(new.old) +\(old.new + 1),\(new.new) @@"
  }

  private func count(_ part: ArraySlice<Line>) -> (old: Int, new: Int) {
    part.reduce(into: (0, 0)) { count, line in
      switch line {
      case .same: (count.0, count.1) = (count.0 + 1, count.1 + 1)
      case .removed: count.0 += 1
      case .added: count.1 += 1
      }
    }
  }
}
