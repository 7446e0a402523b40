import DequeModule

/// Which rows of a feed are done: the rows up to `floor`, and stretches of rows after it. Rows are numbered from 1.
///
/// It takes memory for the gaps between rows only, not for the rows. Rows come nearly in order, so a row costs O(1). A
/// row that comes k stretches late costs O(k).
package struct FeedRows: Sendable, Equatable {
  /// Every row up to this one is done.
  package private(set) var floor: Int64
  /// The rows after `floor` that are done: in order, with a gap before each stretch.
  package private(set) var stretches: Deque<ClosedRange<Int64>> = []

  package init(floor: Int64 = 0) { self.floor = floor }

  package func contains(_ row: Int64) -> Bool {
    if row <= floor { return true }
    let place = place(after: row)
    return place > 0 && stretches[place - 1].upperBound >= row
  }

  package mutating func insert(_ row: Int64) { insert(row...row) }

  /// Notes that all of `rows` are done. Some of them may be known already.
  package mutating func insert(_ rows: ClosedRange<Int64>) {
    guard rows.upperBound > floor else { return }
    if rows.lowerBound - 1 <= floor { return raise(floor: rows.upperBound) }
    // Stretches that touch the new rows become one with them.
    var (merged, place) = (rows, place(after: rows.upperBound))
    if place < stretches.count, stretches[place].lowerBound - 1 == rows.upperBound {
      merged = merged.lowerBound...stretches.remove(at: place).upperBound
    }
    while place > 0, stretches[place - 1].upperBound >= rows.lowerBound - 1 {
      place -= 1
      let other = stretches.remove(at: place)
      merged = min(other.lowerBound, merged.lowerBound)...max(other.upperBound, merged.upperBound)
    }
    stretches.insert(merged, at: place)
  }

  /// Notes that `row` is done, and every row up to `floor`.
  package mutating func note(_ row: Int64, floor: Int64) {
    insert(row)
    raise(floor: floor)
  }

  /// Notes that every row up to `row` is done.
  package mutating func raise(floor row: Int64) {
    floor = max(floor, row)
    while let first = stretches.first, first.lowerBound - 1 <= floor {
      floor = max(floor, first.upperBound)
      stretches.removeFirst()
    }
  }

  /// How many stretches begin at `row` or before it. O(stretches that begin after it), at most O(log stretches).
  private func place(after row: Int64) -> Int {
    // Nearly always the row comes after all stretches.
    guard let last = stretches.last, last.lowerBound > row else { return stretches.count }
    var (low, high) = (0, stretches.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if stretches[middle].lowerBound > row { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
