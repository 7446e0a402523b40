import HostConfig

/// Makes lines of the pieces that a body comes in. Lines longer than the cap are cut; nothing else is kept of them than
/// the `id` of the JSON object that they may be.
struct LineSplitter {
  private static let feed = UInt8(ascii: "\n")
  private let cap: Int
  private var line: LineReader.Line
  private var search: JSONMember?
  private var hasBegun = false

  /// - Parameter cap: bytes of a line.
  init(cap: Int) {
    self.cap = cap
    line = LineReader.Line(number: 1, bytes: [])
  }

  /// The lines that end within the piece. O(piece).
  mutating func split(_ piece: UnsafeRawBufferPointer) -> [LineReader.Line] {
    var lines: [LineReader.Line] = []
    var rest = piece[...]
    while !rest.isEmpty {
      let end = rest.firstIndex(of: Self.feed)
      append(rest[..<(end ?? rest.endIndex)])
      guard let end else { break }
      lines.append(next())
      rest = rest[(end + 1)...]
    }
    return lines
  }

  /// The last line, when nothing ends it.
  mutating func finish() -> LineReader.Line? { hasBegun ? next() : nil }

  private mutating func append(_ piece: Slice<UnsafeRawBufferPointer>) {
    hasBegun = true
    let room = cap - line.bytes.count
    line.bytes += piece.prefix(room)
    if piece.count <= room { return }
    line.isCut = true
    if search == nil {
      search = JSONMember("id")
      line.bytes.withUnsafeBufferPointer { search?.read($0) }
    }
    search?.read(piece.dropFirst(room))
  }

  private mutating func next() -> LineReader.Line {
    var done = line
    done.member = search?.value
    if done.number == 1, done.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { done.bytes.removeFirst(3) }
    line = LineReader.Line(number: done.number + 1, bytes: [])
    (search, hasBegun) = (nil, false)
    return done
  }
}
