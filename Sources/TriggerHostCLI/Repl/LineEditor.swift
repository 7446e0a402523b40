/// One line as it is being edited: keys in, actions out. No terminal.
struct LineEditor {
  enum Key: Equatable {
    case text(String)
    case enter, tab, backspace, delete
    case left, right, wordLeft, wordRight, home, end
    case up, down
    case cutToEnd, cutToStart, cutWord
    case clearScreen
    /// Ctrl-C, Ctrl-D.
    case interrupt, endOfInput
    case unknown
  }

  enum Action: Equatable {
    /// Draw the line again.
    case redraw
    case submit(String)
    /// The line is given up.
    case abandon
    case endOfInput
    case complete
    case clearScreen
    case none
  }

  private(set) var line: [Character] = []
  /// 0 to the line's count.
  private(set) var cursor = 0
  private let history: [String]
  /// Place in `history`; its count is the line that is being written.
  private var place: Int
  private var draft: [Character] = []

  /// - Parameter history: oldest first.
  init(history: [String]) {
    self.history = history
    place = history.count
  }

  var text: String { String(line) }
  var textBeforeCursor: String { String(line[..<cursor]) }

  mutating func handle(_ key: Key) -> Action {
    switch key {
    case .text(let text): insert(text)
    case .enter: return .submit(text)
    case .tab: return .complete
    case .backspace:
      guard cursor > 0 else { return .none }
      line.remove(at: cursor - 1)
      cursor -= 1
    case .delete: if cursor < line.count { line.remove(at: cursor) }
    case .left: cursor = max(0, cursor - 1)
    case .right: cursor = min(line.count, cursor + 1)
    case .wordLeft: cursor = wordStart
    case .wordRight: cursor = wordEnd
    case .home: cursor = 0
    case .end: cursor = line.count
    case .up: recall(place - 1)
    case .down: recall(place + 1)
    case .cutToEnd: line.removeSubrange(cursor...)
    case .cutToStart: cut(from: 0)
    case .cutWord: cut(from: wordStart)
    case .clearScreen: return .clearScreen
    case .interrupt: return .abandon
    case .endOfInput:
      if line.isEmpty { return .endOfInput }
      if cursor < line.count { line.remove(at: cursor) }
    case .unknown: return .none
    }
    return .redraw
  }

  mutating func insert(_ text: String) {
    line.insert(contentsOf: text, at: cursor)
    cursor += text.count
  }

  /// Puts a word in the place of what is between `start` and the cursor.
  mutating func replace(from start: Int, with word: String) {
    cut(from: start)
    insert(word)
  }

  private mutating func cut(from start: Int) {
    line.removeSubrange(start..<cursor)
    cursor = start
  }

  private mutating func recall(_ new: Int) {
    guard new >= 0, new <= history.count, new != place else { return }
    if place == history.count { draft = line }
    place = new
    line = new == history.count ? draft : Array(history[new])
    cursor = line.count
  }

  private var wordStart: Int {
    let before = line[..<cursor]
    let word = before.lastIndex(where: \.isWordCharacter) ?? 0
    return before[..<word].lastIndex { !$0.isWordCharacter }.map { $0 + 1 } ?? 0
  }

  private var wordEnd: Int {
    let word = line[cursor...].firstIndex(where: \.isWordCharacter) ?? line.count
    return line[word...].firstIndex { !$0.isWordCharacter } ?? line.count
  }

  /// The part of the line that a window of this width shows, and where the cursor is in it.
  func window(_ width: Int) -> (text: String, cursor: Int) {
    let start = max(0, cursor - max(1, width) + 1)
    return (String(line[start...].prefix(max(1, width))), cursor - start)
  }
}

extension Character {
  fileprivate var isWordCharacter: Bool { isLetter || isNumber || self == "_" }
}

/// Turns the bytes that a terminal sends into keys.
struct KeyReader {
  private var bytes: [UInt8] = []

  /// - Returns: the keys that are complete with this byte.
  mutating func read(_ byte: UInt8) -> LineEditor.Key? {
    bytes.append(byte)
    guard let key = key() else { return nil }
    bytes = []
    return key
  }

  /// Nil: more bytes belong to it.
  private func key() -> LineEditor.Key? {
    let first = bytes[0]
    if first == 0x1b { return sequence() }
    if first >= 0x80 { return character() }
    if first < 0x20 || first == 0x7f { return Self.control(first) }
    return .text(String(UnicodeScalar(first)))
  }

  private static func control(_ byte: UInt8) -> LineEditor.Key {
    switch byte {
    case 0x01: .home
    case 0x02: .left
    case 0x03: .interrupt
    case 0x04: .endOfInput
    case 0x05: .end
    case 0x06: .right
    case 0x08, 0x7f: .backspace
    case 0x09: .tab
    case 0x0a, 0x0d: .enter
    case 0x0b: .cutToEnd
    case 0x0c: .clearScreen
    case 0x0e: .down
    case 0x10: .up
    case 0x15: .cutToStart
    case 0x17: .cutWord
    default: .unknown
    }
  }

  private func character() -> LineEditor.Key? {
    let length = bytes[0] >= 0xf8 ? 1 : bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : bytes[0] >= 0xc0 ? 2 : 1
    guard bytes.count >= length else { return nil }
    return String(validating: bytes, as: UTF8.self).map { .text($0) } ?? .unknown
  }

  /// `ESC b`, `ESC [ ... letter`, `ESC O letter`.
  private func sequence() -> LineEditor.Key? {
    guard bytes.count > 1 else { return nil }
    switch bytes[1] {
    case UInt8(ascii: "b"): return .wordLeft
    case UInt8(ascii: "f"): return .wordRight
    case 0x7f: return .cutWord
    case UInt8(ascii: "["), UInt8(ascii: "O"): break
    default: return .unknown
    }
    guard bytes.count > 2, let last = bytes.last, last >= 0x40, last <= 0x7e else {
      return bytes.count > 16 ? .unknown : nil
    }
    return Self.keys[String(decoding: bytes[2...], as: UTF8.self)] ?? .unknown
  }

  private static let keys: [String: LineEditor.Key] = [
    "A": .up, "B": .down, "C": .right, "D": .left, "H": .home, "F": .end, "1~": .home, "7~": .home,
    "4~": .end,
    "8~": .end, "3~": .delete, "1;5C": .wordRight, "1;5D": .wordLeft, "1;3C": .wordRight, "1;3D": .wordLeft,
  ]
}
