import Glibc

/// Where a symbolic link leads, and what that depends on.
struct LinkTrail {
  /// The real path of the end, free of links; it need not exist.
  var target: String
  /// The entries that decide it: the links on the way, and the end. While none of them changes the link leads
  /// to the same file.
  var steps: Set<Step> = []

  struct Step: Hashable {
    /// A real path.
    var directory: String
    var name: String
  }

  /// Links followed before the rest is taken for a circle, as the system does it.
  private static let longest = 40

  /// Follows a path, which may have links anywhere in it, up to its end.
  ///
  /// - Parameter path: absolute.
  /// - Returns: nil for links that go in a circle.
  init?(_ path: String) {
    var rest = Array(path.split(separator: "/").map(String.init).reversed())
    var reached: [String] = []
    var followed = 0
    while let name = rest.popLast() {
      if name == "." { continue }
      if name == ".." {
        _ = reached.popLast()
        continue
      }
      let directory = "/" + reached.joined(separator: "/")
      reached.append(name)
      guard let link = Self.link("/" + reached.joined(separator: "/")) else {
        if rest.isEmpty { steps.insert(Step(directory: directory, name: name)) }
        continue
      }
      followed += 1
      if followed > Self.longest { return nil }
      steps.insert(Step(directory: directory, name: name))
      reached.removeLast()
      if link.hasPrefix("/") { reached = [] }
      rest += link.split(separator: "/").map(String.init).reversed()
    }
    target = "/" + reached.joined(separator: "/")
  }

  func isInside(_ directory: String) -> Bool {
    target == directory || target.hasPrefix(directory == "/" ? "/" : directory + "/")
  }

  /// The text of a link; nil when the path is none.
  private static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// A path from the root directory on, with links as they are.
func absolutePath(_ path: String) -> String {
  if path.hasPrefix("/") { return path }
  var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
  guard getcwd(&buffer, buffer.count) != nil else { return path }
  let here = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return here + "/" + path
}
