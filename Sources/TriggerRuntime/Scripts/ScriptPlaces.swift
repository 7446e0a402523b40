import Foundation

/// Names scripts in texts of Lua's as they can be opened from here: `triggers/rsi.lua:4` for `rsi.lua:4`.
///
/// What the log keeps has the paths of the script tree: the directory is where they happen to be now.
package struct ScriptPlaces {
  /// What the paths count from.
  package let root: String

  /// - Parameter root: the scripts directory.
  package init(root: String) { self.root = root }

  package func name(_ path: String) -> String { FilePath.join(root, path) }

  /// - Parameter text: an error, with or without a traceback. Paths of files that are not there stay as they are.
  package func named(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map(line).joined(separator: "\n")
  }

  /// A place begins a line, a frame of a traceback, and what a frame says of a function: `<rsi.lua:2>`.
  private func line(_ line: Substring) -> String {
    guard line.first == "\t" else { return begun(line) }
    let frame = line.dropFirst()
    guard frame.last == ">", let bracket = frame.lastIndex(of: "<") else { return "\t" + begun(frame) }
    return "\t" + begun(frame[...bracket]) + begun(frame[frame.index(after: bracket)...])
  }

  private func begun(_ text: Substring) -> String {
    guard let end = text.range(of: ".lua:"), text[end.upperBound...].first?.isNumber == true,
      FileManager.default.fileExists(atPath: name(text[..<end.lowerBound] + ".lua"))
    else { return String(text) }
    return name(String(text))
  }
}
