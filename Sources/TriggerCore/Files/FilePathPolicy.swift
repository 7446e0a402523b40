import Foundation

/// Which paths a directory's files may have, and how large everything may be. The same for files that are
/// found in a directory and for those that a commit wants written into it.
///
/// A path is relative, with `/` between its names, in UTF-8 and Unicode's composed form (NFC): every file
/// system keeps it as it is. Names that editors and file systems use for themselves (`isTransient`) are no
/// files of a directory.
public struct FilePathPolicy: Sendable, Hashable {
  /// Which symbolic links are followed.
  public enum Links: Sendable {
    /// None.
    case none
    /// Those that lead to a place inside the directory.
    case inside
    /// All: for directories that are read and put together from elsewhere.
    case anywhere
  }

  /// Which links are followed; the others are told of as problems.
  public var links = Links.inside
  /// Bytes of a path.
  public var pathBytes = 1024
  /// Bytes of one name in it.
  public var nameBytes = 255
  /// Names in a path.
  public var depth = 32
  /// Bytes of a file: what fits into a value of a store (`ValueLimits`).
  public var fileBytes = ValueLimits.encodedBytes - 16
  /// Files in a directory.
  public var files = 20_000
  /// Bytes of all files together.
  public var treeBytes = 256 << 20

  /// The limits above.
  public init() {}

  /// What is wrong with a path; nil when nothing is. O(path).
  public func fault(of path: String) -> String? {
    if path.isEmpty { return "the path is empty" }
    if path.hasPrefix("/") { return "the path is absolute; it must be relative to the directory" }
    let size = path.utf8.count
    if size > pathBytes { return "the path has \(size) bytes, the limit is \(pathBytes)" }
    let names = path.split(separator: "/", omittingEmptySubsequences: false)
    if names.count > depth { return "more than \(depth) names deep" }
    for name in names { if let fault = fault(ofName: name) { return fault } }
    return nil
  }

  /// What is wrong with one name of a path; nil when nothing is. O(name).
  public func fault(ofName name: some StringProtocol) -> String? {
    if name.isEmpty { return "the path has an empty name in it (`//`, or a `/` at the end)" }
    if name == "." || name == ".." { return "the path must not contain `\(name)`" }
    if name.utf8.count > nameBytes {
      return "the name has \(name.utf8.count) bytes, the limit is \(nameBytes)"
    }
    // A backslash is part of a name here and a separator elsewhere.
    if name.utf8.contains(UInt8(ascii: "\\")) { return "the name must not contain `\\`" }
    if name.unicodeScalars.contains(where: Self.isControl) {
      return "the name must not contain control characters"
    }
    if Self.isTransient(name) { return "hidden, backup and temporary names do not count as files" }
    guard name.utf8.allSatisfy({ $0 < 0x80 }) else {
      let composed = String(name).precomposedStringWithCanonicalMapping
      if !composed.utf8.elementsEqual(name.utf8) {
        return "the name is not in composed Unicode form (NFC); rename it to `\(composed)`"
      }
      return nil
    }
    return nil
  }

  /// What is wrong with a file of this size; nil when nothing is.
  public func fault(ofSize bytes: Int) -> String? {
    bytes <= fileBytes ? nil : "larger than \(Self.text(fileBytes))"
  }

  /// Control characters, and those that turn the direction of writing or show nothing at all: two names must
  /// not look alike.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  /// Names that editors and file systems use for themselves: `.x`, `x~`, `#x#`, `x.swp`, `x.bak`, `x.tmp`,
  /// vim's `4913`, JetBrains' `x___jb_tmp___`.
  public static func isTransient(_ name: some StringProtocol) -> Bool {
    guard let first = name.utf8.first else { return false }
    if first == UInt8(ascii: ".") || first == UInt8(ascii: "#") || name == "4913" { return true }
    return transientEndings.contains { name.utf8.reversed().starts(with: $0) }
  }

  private static let transientEndings = [
    "~", ".bak", ".swp", ".swo", ".swx", ".tmp", "___jb_tmp___", "___jb_old___",
  ].map { Array($0.utf8.reversed()) }

  /// Equal for paths that a file system without regard to case, or to Unicode forms, takes for one. O(path).
  public static func folded(_ path: some StringProtocol) -> String {
    if path.utf8.allSatisfy({ $0 < 0x80 }) { return path.lowercased() }
    return String(path).precomposedStringWithCanonicalMapping.lowercased()
  }

  /// `64 KiB`.
  package static func text(_ bytes: Int) -> String {
    switch bytes {
    case let bytes where bytes % (1 << 20) == 0: "\(bytes >> 20) MiB"
    case let bytes where bytes % (1 << 10) == 0: "\(bytes >> 10) KiB"
    default: "\(bytes) bytes"
    }
  }
}

/// A file, or a path, that is not what a directory's files must be.
public struct FileProblem: Error, Sendable, Hashable, CustomStringConvertible {
  /// `error`: a file cannot be used. `warning`: something was passed over, and perhaps not meant to be a file.
  public enum Severity: Sendable { case error, warning }

  /// Relative to the directory; empty for the directory itself. Bytes that are not UTF-8 are `U+FFFD` here.
  public var path: String
  /// What is wrong, and what would be right.
  public var message: String
  /// Whether a file is missing because of it.
  public var severity: Severity

  /// A problem with a path.
  public init(path: String, message: String, severity: Severity = .error) {
    self.path = path
    self.message = message
    self.severity = severity
  }

  /// The path, with control characters as `\u{a}`.
  public var shownPath: String {
    var shown = ""
    for scalar in path.unicodeScalars {
      if scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format {
        shown += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        shown.unicodeScalars.append(scalar)
      }
    }
    return shown
  }

  /// `path: message`, the path as `shownPath`.
  public var description: String { path.isEmpty ? message : "\(shownPath): \(message)" }
}

/// The spellings in use in a directory: one for all paths that differ only by case or by Unicode form.
public struct FileSpellings: Sendable {
  private var uses: [String: (spelling: String, count: Int)] = [:]

  /// No path in use.
  public init() {}

  /// The path in use, or the directory of one, that this path, or a directory of it, differs from only by
  /// case or Unicode form; nil when there is none. O(path).
  public func clash(of path: String) -> String? {
    for prefix in Self.prefixes(path) {
      if let known = uses[FilePathPolicy.folded(prefix)], !known.spelling.utf8.elementsEqual(prefix.utf8) {
        return known.spelling
      }
    }
    return nil
  }

  /// Takes a path into use. It must not clash. O(path).
  public mutating func insert(_ path: String) {
    for prefix in Self.prefixes(path) {
      uses[FilePathPolicy.folded(prefix), default: (String(prefix), 0)].count += 1
    }
  }

  /// Ends the use of a path that was inserted. O(path).
  public mutating func remove(_ path: String) {
    for prefix in Self.prefixes(path) {
      let key = FilePathPolicy.folded(prefix)
      guard let known = uses[key] else { continue }
      uses[key] = known.count > 1 ? (known.spelling, known.count - 1) : nil
    }
  }

  /// `a`, `a/b` and `a/b/c` of `a/b/c`.
  private static func prefixes(_ path: String) -> [Substring] {
    path.utf8.indices.filter { path.utf8[$0] == UInt8(ascii: "/") }.map { path[..<$0] } + [path[...]]
  }
}
