import TriggerCore
import TriggerHost

/// What may follow in a line of Lua: names of the API, stores, modules.
package struct Completion {
  package var stores: [String]
  package var modules: [String]
  /// Names that the session has given.
  package var globals: [String]

  package init(stores: [String], modules: [String], globals: [String]) {
    self.stores = stores
    self.modules = modules
    self.globals = globals
  }

  private static let keywords = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil", "not",
    "or", "repeat", "return", "then", "true", "until", "while",
  ]

  /// Words that begin as `text` ends, in byte order, and where in `text` that word begins, in characters.
  package func candidates(at text: String) -> (start: Int, words: [String]) {
    let characters = Array(text)
    if let quote = openQuote(characters) {
      let before = String(characters[..<quote]).trimmed
      let names =
        before.hasSuffix("require") || before.hasSuffix("require(")
        ? modules : Self.opensStore(before) ? stores : []
      return (quote + 1, matching(String(characters[(quote + 1)...]), names))
    }
    let start = characters.lastIndex { !$0.isNameCharacter }.map { $0 + 1 } ?? 0
    let word = String(characters[start...])
    guard start > 0, characters[start - 1] == ":" || characters[start - 1] == "." else {
      return (start, matching(word, globals + LuaAPI.globals + Self.keywords))
    }
    return (
      start,
      matching(word, members(of: String(characters[..<(start - 1)]), isMethod: characters[start - 1] == ":"))
    )
  }

  private func members(of owner: String, isMethod: Bool) -> [String] {
    let name = String(owner.reversed().prefix { $0.isNameCharacter }.reversed())
    if name == "ctx" { return isMethod ? LuaAPI.context.methods.map(\.name) : LuaAPI.context.names }
    if !isMethod, let library = LuaAPI.library(name) { return library.names }
    return isMethod ? LuaAPI.store.methods.map(\.name) : []
  }

  private func matching(_ word: String, _ names: [String]) -> [String] {
    Set(names).filter { $0.hasPrefix(word) }.sorted()
  }

  /// The place of a quote that nothing closes.
  private func openQuote(_ characters: [Character]) -> Int? {
    var open: Int?
    for (index, character) in characters.enumerated() {
      if let start = open {
        if character == characters[start], characters[index - 1] != "\\" { open = nil }
      } else if character == "\"" || character == "'" {
        open = index
      }
    }
    return open
  }

  private static func opensStore(_ text: String) -> Bool {
    let call = text.hasSuffix("(") ? String(text.dropLast()).trimmed : text
    return call.hasSuffix("store")
  }
}

extension Character {
  fileprivate var isNameCharacter: Bool { isLetter && isASCII || isNumber && isASCII || self == "_" }
}

extension String {
  fileprivate var trimmed: String { String(reversed().drop { $0 == " " }.reversed()) }
}
