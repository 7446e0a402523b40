import Foundation
import Testing

/// Scripts that mean harm, or are broken beyond hope: those of `Tests/HostileScripts`, which `scripts/test-memory`
/// drives too. Each is the body of `execute(event, ctx)`.
struct HostileScript: Sendable, CustomTestStringConvertible {
  var name: String
  var body: String
  /// A piece of the error; nil: it ends well.
  var error: String?
  /// It does not end by itself.
  var isEndless = false
  /// When what makes it hostile needs more than the others get.
  var timeout: String?
  var memory: String?
  /// What stands above the table that the script returns.
  var head = ""

  var testDescription: String { name }

  static let all = files.sorted { $0.key < $1.key }.flatMap(\.value)

  /// Where they end is deep.
  static let deep = group("deep")
  static let nested = group("nested")

  /// Were once stronger than what holds them: what they hit was memory, state that nobody put back, or time that no
  /// hook saw.
  static let internals = [
    "names", "cuts", "chunks", "unhooked", "finalizers", "sources", "growth", "kept", "coroutines", "order",
  ].flatMap(group)

  static func group(_ name: String) -> [HostileScript] { files[name] ?? [] }

  /// What some of them require. `lib/fails.lua` draws a number, and fails.
  static let modules = [
    "lib/fails.lua": "math.random() error('on purpose')",
    "lib/needs.lua": "return require 'lib.fails'",
    "lib/closes.lua":
      "local x <close> = setmetatable({}, { __close = function() error('closing') end }) error('on purpose')",
    "lib/good.lua": "return { load = function() return require 'lib.fails' end }",
    "lib/loops.lua": "while true do end",
  ]

  // MARK: Reading them

  private static let files: [String: [HostileScript]] = {
    let directory = URL(filePath: #filePath).appending(path: "../../../HostileScripts").standardized
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    return names.filter { $0.hasSuffix(".lua") }.reduce(into: [:]) { files, name in
      let text = try? String(contentsOf: directory.appending(path: name), encoding: .utf8)
      files[String(name.dropLast(4))] = scripts(in: text ?? "")
    }
  }()

  /// As `Tests/HostileScripts/README.md` says.
  private static func scripts(in text: String) -> [HostileScript] {
    var scripts: [HostileScript] = []
    var isBody = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("--- ") {
        scripts.append(HostileScript(name: String(line.dropFirst(4)), body: ""))
        isBody = false
      } else if let last = scripts.indices.last {
        if isBody || !line.hasPrefix("-- ") { isBody = true }
        if isBody { scripts[last].body += line + "\n" } else { scripts[last].note(String(line.dropFirst(3))) }
      }
    }
    return scripts
  }

  private mutating func note(_ line: String) {
    let word = line.prefix { $0 != ":" }
    let value = String(line.dropFirst(word.count + 1).drop { $0 == " " })
    switch word {
    case "error": error = value.replacing("\\n", with: "\n")
    case "endless": isEndless = true
    case "timeout": timeout = value
    case "memory": memory = value
    case "head": head += value + " "
    default: Issue.record("\(name): what is \(line)?")
    }
  }
}
