import Foundation

/// Reads a file line by line in blocks of 64 KiB, whatever the file's size.
///
/// Owns its descriptor, unless that is one of the process's standard ones: those stay open, as the next file that is
/// opened would take their place. Confined to whoever iterates.
package final class LineReader {
  package struct Line {
    /// From 1.
    package var number: Int
    /// Without the line feed; a carriage return before it stays.
    package var bytes: [UInt8]
    /// The line was longer than the cap, and `bytes` is only its start.
    package var isCut = false
  }

  static let blockSize = 1 << 16

  private let descriptor: Int32
  private let cap: Int
  private var block = [UInt8](repeating: 0, count: LineReader.blockSize)
  private var position = 0
  private var end = 0
  private var number = 0
  /// Lines given back, the next one last.
  private var returned: [Line] = []
  /// The first failed read ends the file.
  private(set) var failure: Int32?

  /// Takes over an open descriptor. Lines longer than `cap` bytes are cut.
  package init(descriptor: Int32, cap: Int) {
    self.descriptor = descriptor
    self.cap = cap
  }

  deinit {
    if descriptor > STDERR_FILENO { close(descriptor) }
  }

  /// The next line, or nil at the end of the file. An empty last line does not count.
  package func next() -> Line? {
    if let line = returned.popLast() { return line }
    var line = Line(number: number + 1, bytes: [])
    var hasBegun = false
    while position < end || fill() {
      hasBegun = true
      let rest = block[position..<end]
      let feed = rest.firstIndex(of: UInt8(ascii: "\n"))
      let piece = rest[..<(feed ?? end)]
      let room = cap - line.bytes.count
      line.bytes += piece.prefix(room)
      if piece.count > room { line.isCut = true }
      position = feed.map { $0 + 1 } ?? end
      if feed != nil { break }
    }
    guard hasBegun else { return nil }
    number += 1
    if number == 1, line.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { line.bytes.removeFirst(3) }
    return line
  }

  /// Gives lines back, first of them first; `next` returns them again.
  func giveBack(_ lines: some BidirectionalCollection<Line>) {
    returned += lines.reversed()
  }

  private func fill() -> Bool {
    while failure == nil {
      let count = read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      if count < 0 { failure = errno }
      (position, end) = (0, max(0, count))
      return count > 0
    }
    return false
  }
}
