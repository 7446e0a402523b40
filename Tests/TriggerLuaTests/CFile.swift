import Foundation

/// What a file of C defines for others, and what it names; words in comments and texts do not count.
struct CFile {
  let path: String
  /// Functions and variables that other files may name; of a header also its macros and inline functions.
  private(set) var definitions: Set<String> = []
  private(set) var names: Set<String> = []
  private(set) var includes: [String] = []

  init(path: String, text: String) {
    self.path = path
    let mark = "#include \""
    for line in text.split(separator: "\n") where line.hasPrefix(mark) {
      includes.append(String(line.dropFirst(mark.count).prefix { $0 != "\"" }))
    }
    var statement: [String] = []
    var depth = 0
    for words in Self.lines(Array(text.utf8)) {
      for word in words where word.hasPrefix("th_") { names.insert(word) }
      if words.first != "#" {
        for word in words { read(word, &statement, &depth) }
      } else if path.hasSuffix(".h"), words.count > 2, words[1] == "define" {
        define(words[2])
      }
    }
  }

  /// The files of a target, but for what Swift sees of it.
  static func all(in directory: URL) throws -> [CFile] {
    try FileManager.default.subpathsOfDirectory(atPath: directory.path)
      .filter { ($0.hasSuffix(".c") || $0.hasSuffix(".h")) && !$0.hasPrefix("include/") }.sorted()
      .map {
        CFile(path: $0, text: try String(contentsOf: directory.appendingPathComponent($0), encoding: .utf8))
      }
  }

  private mutating func define(_ name: String) {
    if name.hasPrefix("th_") { definitions.insert(name) }
  }

  /// One more word of what stands outside of all functions.
  private mutating func read(_ word: String, _ statement: inout [String], _ depth: inout Int) {
    switch word {
    case "{":
      if depth == 0 { end(statement, opens: true) }
      depth += 1
    case "}":
      depth -= 1
      if depth == 0 { statement = [] }
    case ";" where depth == 0:
      end(statement, opens: false)
      statement = []
    default: if depth == 0 { statement.append(word) }
    }
  }

  private mutating func end(_ statement: [String], opens: Bool) {
    let inline = path.hasSuffix(".h") && statement.contains("inline")
    guard inline || !statement.contains("static") else { return }
    guard !statement.contains("extern"), !statement.contains("typedef") else { return }
    if let equals = statement.firstIndex(of: "=") {
      statement[..<equals].last { $0.hasPrefix("th_") }.map { define($0) }
    } else if let parenthesis = statement.firstIndex(of: "(") {
      if opens, parenthesis > 0 { define(statement[parenthesis - 1]) }
    } else if !opens, statement.count > 1, statement.first != "struct" {
      statement.last { $0.hasPrefix("th_") }.map { define($0) }
    }
  }

  /// The words of each line, without comments and what texts say; a line that goes on is one with the next.
  private static func lines(_ text: [UInt8]) -> [[String]] {
    var lines: [[String]] = []
    var words: [String] = []
    var at = 0
    while at < text.count {
      let byte = text[at]
      let next = at + 1 < text.count ? text[at + 1] : 0
      if isWord(byte) {
        let start = at
        while at < text.count, isWord(text[at]) { at += 1 }
        words.append(String(decoding: text[start..<at], as: UTF8.self))
      } else if byte == UInt8(ascii: "/"), next == UInt8(ascii: "/") || next == UInt8(ascii: "*") {
        at = endOfComment(text, at + 2, isLine: next == byte)
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        at += 1
        while at < text.count, text[at] != byte { at += text[at] == UInt8(ascii: "\\") ? 2 : 1 }
        at += 1
      } else if byte == UInt8(ascii: "\\") {
        at += 2
      } else {
        if byte > UInt8(ascii: " ") { words.append(String(UnicodeScalar(byte))) }
        if byte == UInt8(ascii: "\n") {
          lines.append(words)
          words = []
        }
        at += 1
      }
    }
    return lines + [words]
  }

  private static func endOfComment(_ text: [UInt8], _ start: Int, isLine: Bool) -> Int {
    var at = start
    if isLine {
      while at < text.count, text[at] != UInt8(ascii: "\n") { at += 1 }
      return at
    }
    while at + 1 < text.count, text[at] != UInt8(ascii: "*") || text[at + 1] != UInt8(ascii: "/") { at += 1 }
    return at + 2
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}
