import Foundation

/// What a Swift file declares at its top level, and which names it uses. Comments and the text of strings do not count;
/// what stands in `\( )` does.
package struct SwiftSource: Sendable {
  /// Relative to the directory that was read, like `Order/Gates.swift`.
  package let path: String
  /// Types that other files of the module may use.
  package private(set) var declared: Set<String> = []
  /// Every identifier but those after a dot.
  package private(set) var used: Set<String> = []

  /// The first folder of the path; empty for a file beside the folders.
  package var folder: String { path.contains("/") ? String(path.prefix { $0 != "/" }) : "" }

  /// All Swift files below a directory, by path.
  package static func read(in directory: URL) throws -> [SwiftSource] {
    let paths = try FileManager.default.subpathsOfDirectory(atPath: directory.path).sorted()
    return try paths.filter { $0.hasSuffix(".swift") }.map { path in
      SwiftSource(path, Array(try Data(contentsOf: directory.appending(path: path))))
    }
  }

  package init(_ path: String, _ text: [UInt8]) {
    self.path = path
    var scanner = Scanner(text)
    while let word = scanner.next() {
      if !word.isMember { used.insert(word.text) }
      if word.depth == 0, scanner.declares, let name = scanner.next(), !scanner.isPrivate {
        declared.insert(name.text)
      }
    }
  }

  /// Which files use what others declare: places in the list. A name that two files declare counts for both.
  package static func uses(among files: [SwiftSource]) -> [[Int: Set<String>]] {
    var homes: [String: [Int]] = [:]
    for (place, file) in files.enumerated() {
      for name in file.declared { homes[name, default: []].append(place) }
    }
    return files.enumerated().map { place, file in
      var found: [Int: Set<String>] = [:]
      for name in file.used {
        for home in homes[name] ?? [] where home != place { found[home, default: []].insert(name) }
      }
      return found
    }
  }

  /// Identifiers in their order.
  private struct Scanner {
    struct Word {
      var text: String
      /// Of braces around it.
      var depth: Int
      /// It stands after a dot.
      var isMember: Bool
    }

    private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "actor", "typealias"]
    private static let modifiers: Set<String> = [
      "public", "package", "internal", "final", "indirect", "nonisolated", "private", "fileprivate",
    ]

    private let text: [UInt8]
    private var place = 0
    private var depth = 0
    /// Parentheses that are open, in interpolations that we are in.
    private var interpolations: [(parentheses: Int, delimiter: Int)] = []
    private var before: [String] = []

    init(_ text: [UInt8]) { self.text = text }

    /// The word just given begins a declaration.
    var declares: Bool { Self.kinds.contains(before.last ?? "") }
    /// Whether what stood before that word, and the one after, makes the declaration the file's own.
    private(set) var isPrivate = false

    mutating func next() -> Word? {
      while place < text.count {
        let c = text[place]
        if c == UInt8(ascii: "/"), at(1) == UInt8(ascii: "/") {
          skipLine()
        } else if isStart(c) {
          return word()
        } else if c == UInt8(ascii: "\"") || c == UInt8(ascii: "#") && at(1) == UInt8(ascii: "\"") {
          openString()
        } else {
          step(c)
        }
      }
      return nil
    }

    private func at(_ ahead: Int) -> UInt8 { place + ahead < text.count ? text[place + ahead] : 0 }
    private func isStart(_ c: UInt8) -> Bool {
      (c | 0x20) >= UInt8(ascii: "a") && (c | 0x20) <= UInt8(ascii: "z") || c == UInt8(ascii: "_")
    }
    private func isPart(_ c: UInt8) -> Bool {
      isStart(c) || c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9")
    }
    private mutating func skipLine() {
      while place < text.count, text[place] != UInt8(ascii: "\n") { place += 1 }
    }

    private mutating func word() -> Word {
      let start = place
      while isPart(at(0)) { place += 1 }
      let word = String(decoding: text[start..<place], as: UTF8.self)
      isPrivate = before.reversed().dropFirst().prefix { Self.modifiers.contains($0) }.contains {
        $0.hasSuffix("private")
      }
      before.append(word)
      if before.count > 8 { before.removeFirst() }
      return Word(text: word, depth: depth, isMember: start > 0 && text[start - 1] == UInt8(ascii: "."))
    }

    private mutating func step(_ c: UInt8) {
      place += 1
      switch c {
      case UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "}"): depth -= 1
      case UInt8(ascii: "("):
        if !interpolations.isEmpty { interpolations[interpolations.count - 1].parentheses += 1 }
      case UInt8(ascii: ")"):
        guard let last = interpolations.last else { break }
        if last.parentheses > 0 {
          interpolations[interpolations.count - 1].parentheses -= 1
        } else {
          interpolations.removeLast()
          passString(last.delimiter)
        }
      default: break
      }
      if !(c == UInt8(ascii: " ") || c == UInt8(ascii: "\n")) { before.append("") }
      if before.count > 8 { before.removeFirst() }
    }

    private mutating func openString() {
      while at(0) == UInt8(ascii: "#") { place += 1 }
      let isLong = at(0) == UInt8(ascii: "\"") && at(1) == UInt8(ascii: "\"") && at(2) == UInt8(ascii: "\"")
      place += isLong ? 3 : 1
      passString(isLong ? 3 : 1)
    }

    /// To behind the quotes that end it, or to the code of an interpolation.
    private mutating func passString(_ delimiter: Int) {
      while place < text.count {
        if at(0) == UInt8(ascii: "\\") {
          if at(1) == UInt8(ascii: "(") {
            place += 2
            interpolations.append((0, delimiter))
            return
          }
          place += 2
        } else if (0..<delimiter).allSatisfy({ at($0) == UInt8(ascii: "\"") }) {
          place += delimiter
          return
        } else {
          place += 1
        }
      }
    }
  }
}

/// Groups of things each of which leads to each other.
package enum Loops {
  /// The largest such group (Tarjan's strongly connected components), by `uses` from place to places. O(size).
  package static func largest(_ uses: [[Int]]) -> [Int] {
    var (index, low) = ([Int](repeating: -1, count: uses.count), [Int](repeating: 0, count: uses.count))
    var (stack, isOn) = ([Int](), [Bool](repeating: false, count: uses.count))
    var (count, largest) = (0, [Int]())
    func visit(_ place: Int) {
      index[place] = count
      low[place] = count
      count += 1
      stack.append(place)
      isOn[place] = true
      for next in uses[place] {
        if index[next] < 0 { visit(next) }
        if isOn[next] { low[place] = min(low[place], low[next]) }
      }
      guard low[place] == index[place] else { return }
      let start = stack.lastIndex(of: place)!
      let group = Array(stack[start...])
      stack.removeSubrange(start...)
      for member in group { isOn[member] = false }
      if group.count > largest.count { largest = group }
    }
    for place in uses.indices where index[place] < 0 { visit(place) }
    return largest
  }
}
