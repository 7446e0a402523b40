import Foundation

/// A directory that is removed when the value goes away. Call `close` at the end of a test, so that it
/// stays until then.
final class TemporaryDirectory {
  let path: String

  /// - Parameter files: relative paths and what goes into them.
  init(_ files: KeyValuePairs<String, String> = [:]) throws {
    let name = "command-line-\(UUID().uuidString)"
    path = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent(name).path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for (name, text) in files { try write(name, text) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The full path of a file in here.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  func write(_ name: String, _ text: String) throws {
    let url = URL(fileURLWithPath: self(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  func read(_ name: String) throws -> String { try String(contentsOfFile: self(name), encoding: .utf8) }

  /// Changes a file's text.
  func edit(_ name: String, _ change: (String) -> String) throws { try write(name, change(try read(name))) }

  /// Copies an example of the repository; gives its name in here.
  func copy(example: String) throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let source = root.appendingPathComponent("examples/\(example)")
    try FileManager.default.copyItem(at: source, to: URL(fileURLWithPath: self(example)))
    return example
  }
}

/// Scripts for tests that care for one thing each.
enum Script {
  /// Bound to the event `x`.
  static let good =
    "return {\n  on = { event = \"x\" },\n  execute = function(event, ctx) return {} end,\n}\n"
  /// Bound to nothing.
  static let unbound = "return { execute = function(event, ctx) ctx:log(\"info\", \"ran\") return {} end }\n"

  /// Says `ran` whenever its binding, Lua text, fires.
  static func saying(_ word: String, on binding: String) -> String {
    "return { on = { \(binding) }, execute = function(event, ctx) ctx:log(\"info\", \"\(word)\") return {} end }\n"
  }
}
