/// The lines on which the table that a script returns is written: the table itself comes without any.
///
/// Sure where the script returns a table as it stands (`return { … }`) or a local one by its name, and otherwise a
/// good guess.
package struct ScriptTableLines {
  /// By the way there: `["on", "cron", "2"]` is the second of a list.
  private var lines: [[String]: Int] = [:]
  private let tokens: [LuaTokens.Token]
  /// The line of the `return` that ends the script; 1 when it has none.
  package private(set) var end = 1

  package init(_ source: [UInt8]) {
    tokens = LuaTokens(source).tokens
    let outer = outerTokens()
    guard let last = outer.last(where: { tokens[$0].isSource("return") }) else { return }
    end = tokens[last].line
    guard last + 1 < tokens.count else { return }
    if tokens[last + 1].isSource("{") {
      readTable(at: last + 1, [])
    } else if tokens[last + 1].kind == .word {
      readAssignments(to: tokens[last + 1].text, outer)
    }
  }

  /// The line of a field, or of what it is part of.
  package func line(of path: [String]) -> Int {
    for length in stride(from: path.count, to: 0, by: -1) {
      if let line = lines[Array(path.prefix(length))] { return line }
    }
    // A table that is made some other way: the first place that gives something this name.
    guard let name = path.last(where: { Int($0) == nil }) else { return end }
    let places = zip(tokens, tokens.dropFirst())
    return places.first { $0.kind != .other && $0.text == name && $1.isSource("=") }?.0.line ?? end
  }

  /// Places of the tokens that are in no block and no bracket, and of those that open one there.
  private func outerTokens() -> [Int] {
    var depth = 0
    var found: [Int] = []
    for (index, token) in tokens.enumerated() {
      if token.nesting < 0 { depth -= 1 }
      if depth == 0 { found.append(index) }
      if token.nesting > 0 { depth += 1 }
    }
    return found
  }

  /// `name = { … }`, `name.field = …` and `function name.field`, outside of all blocks.
  private mutating func readAssignments(to name: String, _ outer: [Int]) {
    for index in outer where tokens[index].isSource(name) {
      var path: [String] = []
      var next = index + 1
      while next + 1 < tokens.count, tokens[next].isSource("."), tokens[next + 1].kind == .word {
        path.append(tokens[next + 1].text)
        next += 2
      }
      guard next < tokens.count else { continue }
      let isFunction = index > 0 && tokens[index - 1].isSource("function")
      guard isFunction || tokens[next].isSource("=") else { continue }
      if !path.isEmpty { lines[path] = tokens[index].line }
      if next + 1 < tokens.count, tokens[next + 1].isSource("{") { readTable(at: next + 1, path) }
    }
  }

  /// Walks a table constructor with the tables in it; what its values are made of otherwise is passed over.
  private mutating func readTable(at start: Int, _ path: [String]) {
    var open: [(path: [String], items: Int)] = [(path, 0)]
    var index = start + 1
    while index < tokens.count, let table = open.last {
      if tokens[index].isSource("}") {
        open.removeLast()
        index += 1
        continue
      }
      if tokens[index].isSource(",") || tokens[index].isSource(";") {
        index += 1
        continue
      }
      let line = tokens[index].line
      let place: [String]
      if let (key, value) = key(at: index) {
        place = table.path + [key]
        index = value
      } else {
        open[open.count - 1].items += 1
        place = table.path + ["\(table.items + 1)"]
      }
      // Of two fields of one name the later counts, as in Lua.
      lines[place] = line
      if index < tokens.count, tokens[index].isSource("{") {
        open.append((place, 0))
        index += 1
      } else {
        index = endOfValue(index)
      }
    }
  }

  /// `key =` or `["key"] =`, and where its value begins.
  private func key(at index: Int) -> (key: String, value: Int)? {
    func isSource(_ offset: Int, _ text: String) -> Bool {
      index + offset < tokens.count && tokens[index + offset].isSource(text)
    }
    if tokens[index].kind == .word, isSource(1, "=") { return (tokens[index].text, index + 2) }
    guard isSource(0, "["), index + 3 < tokens.count, isSource(2, "]"), isSource(3, "=") else { return nil }
    return (tokens[index + 1].text, index + 4)
  }

  /// The `,`, `;` or `}` behind a value.
  private func endOfValue(_ start: Int) -> Int {
    var depth = 0
    for index in start..<tokens.count {
      let token = tokens[index]
      if depth == 0, token.isSource(",") || token.isSource(";") || token.isSource("}") { return index }
      depth += token.nesting
    }
    return tokens.count
  }
}
