import Foundation

/// Reads a file line by line in blocks of 64 KiB, whatever the file's size.
///
/// Owns its descriptor, unless that is one of the process's standard ones: those stay open, as the next file that is
/// opened would take their place. Confined to whoever iterates.
package final class LineReader {
  package struct Line: Equatable {
    /// From 1.
    package var number: Int
    /// Without what ends it. Where only line feeds end lines, a carriage return before one stays.
    package var bytes: [UInt8]
    /// What ended it: nothing at the end of the file.
    package var ending: [UInt8] = []
    /// The line was longer than the cap, and `bytes` is only its start.
    package var isCut = false
    /// Of a cut line, the member of a JSON object that was looked for, wherever in the line it stood.
    package var member: [UInt8]?

    package init(number: Int, bytes: [UInt8]) { (self.number, self.bytes) = (number, bytes) }
  }

  /// What ends a line.
  package enum Ending: Sendable {
    /// A line feed.
    case lineFeed
    /// A line feed, a carriage return, or one after the other.
    case any
  }

  package static let blockSize = 1 << 16

  private let descriptor: Int32
  private let cap: Int
  private let ending: Ending
  private let member: String?
  private var block: [UInt8]
  private var position = 0
  private var end = 0
  private var number = 0
  /// Lines given back, the next one last.
  private var returned: [Line] = []
  /// The first failed read ends the file.
  private(set) var failure: Int32?

  /// Takes over an open descriptor. Lines longer than `cap` bytes are cut.
  ///
  /// - Parameter member: what to look for in lines that are cut.
  package init(
    descriptor: Int32, cap: Int, ending: Ending = .lineFeed, lookingFor member: String? = nil,
    blockSize: Int = LineReader.blockSize
  ) {
    self.descriptor = descriptor
    self.cap = cap
    self.ending = ending
    self.member = member
    block = [UInt8](repeating: 0, count: blockSize)
  }

  deinit {
    if descriptor > STDERR_FILENO { close(descriptor) }
  }

  private static let feed = UInt8(ascii: "\n")
  private static let carriageReturn = UInt8(ascii: "\r")

  /// The next line, or nil at the end of the file. An empty last line does not count.
  package func next() -> Line? {
    if let line = returned.popLast() { return line }
    var line = Line(number: number + 1, bytes: [])
    var search: JSONMember?
    var hasBegun = false
    while position < end || fill() {
      hasBegun = true
      let rest = block[position..<end]
      let stop = rest.firstIndex { $0 == Self.feed || ending == .any && $0 == Self.carriageReturn }
      append(rest[..<(stop ?? end)], &line, &search)
      position = stop ?? end
      if stop != nil {
        line.ending = takeEnding()
        break
      }
    }
    guard hasBegun else { return nil }
    number += 1
    line.member = search?.value
    if number == 1, line.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { line.bytes.removeFirst(3) }
    return line
  }

  /// Gives lines back, first of them first; `next` returns them again.
  func giveBack(_ lines: some BidirectionalCollection<Line>) {
    returned += lines.reversed()
  }

  private func append(_ piece: ArraySlice<UInt8>, _ line: inout Line, _ search: inout JSONMember?) {
    let room = cap - line.bytes.count
    line.bytes += piece.prefix(room)
    if piece.count <= room { return }
    line.isCut = true
    guard let member else { return }
    if search == nil {
      search = JSONMember(member)
      line.bytes.withUnsafeBufferPointer { search?.read($0) }
    }
    search?.read(piece.dropFirst(room))
  }

  /// Passes over what ends a line; a carriage return may be the last byte of a block.
  private func takeEnding() -> [UInt8] {
    let first = block[position]
    position += 1
    guard first == Self.carriageReturn, position < end || fill(), block[position] == Self.feed else {
      return [first]
    }
    position += 1
    return [first, Self.feed]
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
