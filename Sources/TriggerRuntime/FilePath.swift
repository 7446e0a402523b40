/// Parts of file paths as text. Foundation's own (`deletingLastPathComponent` of `"."`) traps on Linux.
package enum FilePath {
  /// The directory that holds the file or directory: `triggers` of `triggers/a.lua`, `.` of `a.lua`, `..` of
  /// `.`.
  package static func parent(of path: String) -> String {
    let path = trimmed(path)
    let name = lastName(of: path)
    if name == "." || name == ".." { return path == "." ? ".." : path + "/.." }
    guard let slash = path.lastIndex(of: "/") else { return "." }
    let parent = trimmed(String(path[..<slash]))
    return parent.isEmpty ? "/" : parent
  }

  /// `a.lua` of `triggers/a.lua`, `/` of `/`.
  package static func lastName(of path: String) -> String {
    let path = trimmed(path)
    if path == "/" { return path }
    return path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  package static func join(_ directory: String, _ name: String) -> String {
    if directory == "." || directory.isEmpty { return name }
    return directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
  }

  /// A path as seen from a directory: an absolute one stays as it is.
  package static func join(below directory: String, _ path: String) -> String {
    path.hasPrefix("/") ? path : join(directory, path)
  }

  private static func trimmed(_ path: String) -> String {
    var path = path[...]
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return String(path)
  }
}
