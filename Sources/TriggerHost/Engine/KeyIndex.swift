import DequeModule
import Glibc

/// Finds where the row of a key is kept, by a hash of the key: 24 bytes a row, whatever the key and what came of
/// its event.
///
/// Rows are numbered in the order they are added in, and lie in parts of consecutive ones. They are forgotten from
/// the oldest part on, a part at a time, and hashes with them, a segment at a time. So nothing is ever moved or
/// removed from a table: a lookup is one probe for each segment, about ten for millions of rows. A pure data
/// structure; times are nanoseconds of one clock.
struct KeyIndex: ~Copyable {
  /// A part, and which rows are in it.
  struct Part {
    var number: Int64
    var first: Int64
    /// How many there are to be, and are.
    var size: Int
    var count = 0
    /// When the newest of them was admitted.
    var newest = Int64.min
  }

  /// Where a row is.
  struct Place: Hashable {
    var part: Int64
    var index: Int
    /// When it was admitted.
    var time: Int64
  }

  private var segments: [KeySegment] = []
  private var parts: Deque<Part> = []
  private var next: Int64 = 0

  /// Rows of parts that are not forgotten.
  var count: Int { Int(next - (parts.first?.first ?? next)) }
  /// When the newest row of the oldest part was admitted; nil without any.
  var oldest: Int64? { parts.first?.newest }

  /// The rows that come now are in this part, so many as `size` says.
  mutating func begin(part number: Int64, size: Int) {
    parts.append(Part(number: number, first: next, size: size))
  }

  /// O(1); sometimes a table for as many rows as there are already is made, at most `KeySegment.largest`.
  mutating func add(_ hash: UInt64, time: Int64) {
    if segments.last?.isFull ?? true {
      let capacity = min(KeySegment.largest, max(KeySegment.smallest, 2 * (segments.last?.capacity ?? 0)))
      segments.append(KeySegment(first: next, capacity: capacity))
    }
    segments[segments.count - 1].add(hash, time: time)
    parts[parts.count - 1].count += 1
    parts[parts.count - 1].newest = max(parts[parts.count - 1].newest, time)
    next += 1
  }

  /// The rows that may be of a key with this hash, oldest first. O(segments).
  func rows(_ hash: UInt64) -> [Place] {
    var found: [Place] = []
    let first = parts.first?.first ?? next
    for segment in segments {
      segment.visit(hash) { row, time in if row >= first { found.append(place(of: row, time)) } }
    }
    return found.sorted { ($0.part, $0.index) < ($1.part, $1.index) }
  }

  /// O(log parts).
  private func place(of row: Int64, _ time: Int64) -> Place {
    var (low, high) = (0, parts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if parts[middle].first <= row { low = middle } else { high = middle }
    }
    return Place(part: parts[low].number, index: Int(row - parts[low].first), time: time)
  }

  /// Forgets parts of which every row was admitted before `time`, oldest first. Returns their numbers.
  mutating func forget(before time: Int64) -> [Int64] {
    var forgotten: [Int64] = []
    while let oldest = parts.first, oldest.newest < time, oldest.count == oldest.size {
      forgotten.append(parts.removeFirst().number)
    }
    if forgotten.isEmpty { return [] }
    let first = parts.first?.first ?? next
    let old = segments.prefix { $0.next <= first && $0.isFull }.count
    segments.removeFirst(old)
    return forgotten
  }
}

/// Hashes of consecutive rows and when they were admitted, in a table of fixed size with open addressing.
final class KeySegment {
  static let smallest = 1 << 10
  static let largest = 1 << 20

  let capacity: Int
  private let first: Int64
  private var count = 0
  private let hashes: UnsafeMutablePointer<UInt64>
  private let times: UnsafeMutablePointer<Int64>
  /// The place of a row, from 1; 0: none. Twice as many as rows: half of them stay empty.
  private let slots: UnsafeMutablePointer<UInt32>
  private let mask: UInt64

  init(first: Int64, capacity: Int) {
    self.first = first
    self.capacity = capacity
    hashes = .allocate(capacity: capacity)
    times = .allocate(capacity: capacity)
    // Zeros that nobody has looked at cost neither memory nor time.
    slots = calloc(2 * capacity, MemoryLayout<UInt32>.stride)!.assumingMemoryBound(to: UInt32.self)
    mask = UInt64(2 * capacity - 1)
  }

  deinit {
    hashes.deallocate()
    times.deallocate()
    free(slots)
  }

  var isFull: Bool { count == capacity }
  /// The number of the row after its last.
  var next: Int64 { first + Int64(count) }

  func add(_ hash: UInt64, time: Int64) {
    precondition(!isFull, "a segment of keys is full")
    hashes[count] = hash
    times[count] = time
    count += 1
    var slot = hash & mask
    while slots[Int(slot)] != 0 { slot = (slot &+ 1) & mask }
    slots[Int(slot)] = UInt32(count)
  }

  func visit(_ hash: UInt64, _ body: (_ row: Int64, _ time: Int64) -> Void) {
    var slot = hash & mask
    while slots[Int(slot)] != 0 {
      let place = Int(slots[Int(slot)]) - 1
      if hashes[place] == hash { body(first + Int64(place), times[place]) }
      slot = (slot &+ 1) & mask
    }
  }
}
