import TriggerLua

/// What Lua scripts can use, as data: the one definition. From it come the annotations for the Lua language
/// server, the reference for script authors, and the names that `check` and the REPL suggest. A test compares
/// it with the real sandbox.
package enum LuaAPI {
  /// A value that a function takes or gives.
  package struct Parameter: Sendable {
    package var name: String
    /// In the notation of the Lua language server: `string`, `integer`, `fun(x: number): boolean`.
    package var type: String
    package var isOptional = false
    /// The only texts that are right; empty: any.
    package var choices: [String] = []

    package var isVariadic: Bool { name == "..." }
  }

  /// A function or method.
  package struct Function: Sendable {
    package var name: String
    /// Types that its parameters and results have in common, each by a name.
    package var generics: [String]
    package var parameters: [Parameter]
    /// Types of its results.
    package var results: [String]
    /// Other ways to call it, in the notation of the language server.
    package var overloads: [String]
    package var summary: String
    /// What else is good to know, in Markdown.
    package var details: String
    package var example: Example?
    /// How it differs from Lua's own; nil: it does not, or is ours.
    package var change: String?

    /// - Parameter signature: `scan(prefix?: string, limit?: integer): fun(): string, any`, with types that several
    ///   places have in common after the name: `sort<V>(list: V[], comes_before?: fun(a: V, b: V): boolean)`.
    package init(
      _ signature: String, _ summary: String, details: String = "", change: String? = nil,
      example: Example? = nil, overloads: [String] = []
    ) {
      let reader = SignatureReader(signature)
      (name, generics, parameters, results) = reader.read()
      self.overloads = overloads
      self.summary = summary
      self.details = details
      self.change = change
      self.example = example
    }

    /// Fewest and most arguments that make sense; nil: no bound.
    package var arguments: (fewest: Int, most: Int?) {
      let needed = parameters.filter { !$0.isOptional && !$0.isVariadic }.count
      return (needed, parameters.contains(where: \.isVariadic) ? nil : parameters.count)
    }

    /// `(prefix?, limit?)`.
    package var parameterList: String {
      "(" + parameters.map { $0.name + ($0.isOptional ? "?" : "") }.joined(separator: ", ") + ")"
    }
  }

  /// A constant, or a field of something.
  package struct Field: Sendable {
    package var name: String
    package var type: String
    package var summary: String
    package var example: Example?

    package init(_ name: String, _ type: String, _ summary: String, example: Example? = nil) {
      self.name = name
      self.type = type
      self.summary = summary
      self.example = example
    }
  }

  /// An object with methods.
  package struct Class: Sendable {
    /// What the language server calls it.
    package var name: String
    /// What scripts call it.
    package var variable: String
    package var summary: String
    package var fields: [Field]
    package var methods: [Function]

    /// Of fields and methods.
    package var names: [String] { fields.map(\.name) + methods.map(\.name) }
    package func method(_ name: String) -> Function? { methods.first { $0.name == name } }
  }

  /// A table of Lua's own library.
  package struct Library: Sendable {
    package var name: String
    package var summary: String
    package var constants: [Field]
    package var functions: [Function]

    package var names: [String] { constants.map(\.name) + functions.map(\.name) }
  }

  /// A piece of Lua that a test runs, as the reference shows it.
  ///
  /// The code is the body of `execute`. A line that ends in `--> text` is an expression whose value reads
  /// `text`, or a `return` after which the stores are changed so, or a call that logs so.
  package struct Example: Sendable {
    /// Stores before, as fields of a Lua table: `visits = { home = 3 }`.
    package var stores: String
    /// The event, a Lua table.
    package var event: String
    package var code: String

    package init(_ code: String, stores: String = "", event: String = "") {
      self.stores = stores
      self.event = event
      self.code = code
    }
  }

  /// Names that scripts may use without declaring them.
  package static var globals: [String] {
    constants.map(\.name) + functions.map(\.name) + libraries.map(\.name)
  }

  /// Where `require` looks for a module, in order; `?` stands for its name with `/` for each dot.
  package static let modulePaths = LuaWorker.modulePaths

  package static func library(_ name: String) -> Library? { libraries.first { $0.name == name } }
}

/// Takes a signature apart.
private struct SignatureReader {
  private let text: String

  init(_ text: String) { self.text = text }

  func read() -> (name: String, generics: [String], parameters: [LuaAPI.Parameter], results: [String]) {
    guard let open = text.firstIndex(of: "("), let close = end(of: open) else {
      preconditionFailure("no signature: \(text)")
    }
    let rest = text[text.index(after: close)...].drop { $0 == ":" || $0 == " " }
    let parameters = split(text[text.index(after: open)..<close]).map(parameter)
    let head = text[..<open].split(separator: "<", maxSplits: 1)
    let generics = head.dropFirst().flatMap { split($0.dropLast()) }
    return (String(head[0]), generics, parameters, split(rest))
  }

  private func parameter(_ text: String) -> LuaAPI.Parameter {
    let parts = text.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
    var name = String(parts[0])
    let type = parts.count > 1 ? String(parts[1]) : "any"
    let isOptional = name.hasSuffix("?")
    if isOptional { name.removeLast() }
    let words = type.split(separator: "|").map(String.init)
    let choices = words.filter { $0.hasPrefix("\"") }.map { String($0.dropFirst().dropLast()) }
    return LuaAPI.Parameter(
      name: name, type: type, isOptional: isOptional, choices: choices.count == words.count ? choices : [])
  }

  private func end(of open: String.Index) -> String.Index? {
    var depth = 0
    for index in text.indices[open...] {
      if text[index] == "(" { depth += 1 }
      if text[index] == ")" {
        depth -= 1
        if depth == 0 { return index }
      }
    }
    return nil
  }

  /// At commas outside of brackets. A result `fun(): string, any` is one: its commas are its own.
  private func split(_ text: Substring) -> [String] {
    var (parts, depth) = ([""], 0)
    for character in text {
      if "(<{[".contains(character) { depth += 1 }
      if ")>}]".contains(character) { depth -= 1 }
      if character == ",", depth == 0, !parts[parts.count - 1].hasPrefix("fun(") {
        parts.append("")
      } else if character != " " || !parts[parts.count - 1].isEmpty {
        parts[parts.count - 1].append(character)
      }
    }
    return parts.filter { !$0.isEmpty }
  }
}
