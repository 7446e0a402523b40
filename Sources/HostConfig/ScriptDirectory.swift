import Foundation
import TriggerHost

/// All Lua files below a directory, read into memory: what one script tree is made of.
///
/// Files under `lib/` and `lua_modules/` are modules, files named `*_test.lua` are tests, all others are triggers. Hidden
/// names, editors' backups and files that do not end in `.lua` are passed over. Symbolic links are
/// followed; a link back to a directory that contains it is not.
package struct ScriptDirectory: Sendable {
  package enum Kind: Sendable, Hashable {
    case trigger, module, test
  }

  package struct File: Sendable {
    /// Relative to the directory, with `/`; UTF-8 without `..` or control characters.
    package var path: String
    package var bytes: [UInt8]
    package var kind: Kind
  }

  /// What one directory may hold.
  package enum Limit {
    /// Bytes of a file.
    package static let fileSize = 1 << 20
    /// Files, and entries looked at.
    package static let files = 10_000
    /// Directories within directories.
    package static let depth = 32
  }

  /// In the order of their paths' bytes.
  package private(set) var files: [File] = []
  package private(set) var report = ConfigReport()

  package var triggers: [File] { files.filter { $0.kind == .trigger } }
  package var modules: [File] { files.filter { $0.kind == .module } }
  package var tests: [File] { files.filter { $0.kind == .test } }

  /// Reads the directory. What cannot be read is in the report and the rest is here.
  ///
  /// - Parameter name: what messages call the directory; nil is `path`.
  package static func read(_ path: String, name: String? = nil) -> ScriptDirectory {
    var result = ScriptDirectory()
    var walk = Walk(root: path, name: name ?? path)
    walk.run()
    result.files = walk.files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    result.report = walk.report
    return result
  }

  /// True when a file of this name (its last component) belongs to a script tree; watchers ask the same.
  package static func isScript(_ name: String) -> Bool {
    name.hasSuffix(".lua") && name.count > 4 && !isHiddenOrBackup(name)
  }

  /// Names that editors and file systems use for themselves: `.x`, `x~`, `x.bak`, `x.swp`, `#x#`.
  package static func isHiddenOrBackup(_ name: String) -> Bool {
    name.hasPrefix(".") || name.hasPrefix("#")
      || ["~", ".bak", ".swp"].contains(where: name.hasSuffix)
  }

  static func kind(of path: String) -> Kind {
    if path.hasSuffix("_test.lua") { return .test }
    return ScriptTree.isModule(path) ? .module : .trigger
  }
}

/// One walk over a directory.
private struct Walk {
  /// Names a directory whatever path leads to it.
  struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  let root: String
  let name: String
  var files: [ScriptDirectory.File] = []
  var report = ConfigReport()
  /// Entries looked at: links can make a small directory look endless.
  private var count = 0
  private var isFull = false

  init(root: String, name: String) {
    self.root = root
    self.name = name
  }

  mutating func run() {
    var status = stat()
    guard stat(root, &status) == 0 else {
      return fail("", errno == ENOENT ? "the scripts directory does not exist" : errorText(errno))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return fail("", "is not a directory") }
    visit("", identity(status), above: [])
  }

  private mutating func visit(_ path: String, _ here: Identity, above: [Identity]) {
    guard above.count <= ScriptDirectory.Limit.depth else {
      return fail(path, "more than \(ScriptDirectory.Limit.depth) directories deep")
    }
    guard let names = list(path) else { return }
    for bytes in names where !isFull {
      count += 1
      guard count <= ScriptDirectory.Limit.files else {
        isFull = true
        return fail("", "more than \(ScriptDirectory.Limit.files) files")
      }
      look(bytes, in: path, above: above + [here])
    }
  }

  private mutating func look(_ bytes: [UInt8], in directory: String, above: [Identity]) {
    let shown = String(decoding: bytes, as: UTF8.self)
    if ScriptDirectory.isHiddenOrBackup(shown) { return }
    let path = directory.isEmpty ? shown : "\(directory)/\(shown)"
    // A name that is not UTF-8 must not be opened by its repaired form.
    let isUTF8 = String(validating: bytes, as: UTF8.self) != nil
    var status = stat()
    if isUTF8, stat(full(path), &status) != 0 {
      if ScriptDirectory.isScript(shown) { warn(path, "skipped: \(errorText(errno))") }
      return
    }
    let isDirectory = isUTF8 && status.st_mode & S_IFMT == S_IFDIR
    guard isDirectory || ScriptDirectory.isScript(shown) else { return }
    if let fault = fault(of: shown, isUTF8: isUTF8) { return fail(path, fault) }
    guard isDirectory else { return read(path) }
    let there = identity(status)
    guard !above.contains(there) else {
      return warn(path, "skipped: the link leads back to a directory above it")
    }
    visit(path, there, above: above)
  }

  private func fault(of name: String, isUTF8: Bool) -> String? {
    if !isUTF8 { return "the name is not UTF-8" }
    if name.contains("..") { return "the name must not contain `..`" }
    let isClean = name.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    return isClean ? nil : "the name must not contain control characters"
  }

  private mutating func read(_ path: String) {
    switch readFile(full(path), name: "\(name)/\(path)", cap: ScriptDirectory.Limit.fileSize) {
    case .success(let bytes):
      files.append(ScriptDirectory.File(path: path, bytes: bytes, kind: ScriptDirectory.kind(of: path)))
    case .failure(let problem):
      report.add(problem)
    }
  }

  /// The names in a directory as bytes, sorted; nil, and reported, when it cannot be read.
  /// `FileManager` would alter names that are not UTF-8.
  private mutating func list(_ path: String) -> [[UInt8]]? {
    guard let stream = opendir(full(path)) else {
      fail(path, "cannot be read: \(errorText(errno))")
      return nil
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if bytes != [0x2E], bytes != [0x2E, 0x2E] { names.append(bytes) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  private func full(_ path: String) -> String {
    path.isEmpty ? root : "\(root)/\(path)"
  }

  private func identity(_ status: stat) -> Identity {
    Identity(device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino))
  }

  private mutating func fail(_ path: String, _ message: String) {
    report.add(ConfigProblem(file: path.isEmpty ? name : "\(name)/\(path)", message: message))
  }

  private mutating func warn(_ path: String, _ message: String) {
    report.add(ConfigProblem(file: "\(name)/\(path)", message: message, severity: .warning))
  }
}
