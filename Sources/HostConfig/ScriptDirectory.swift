import TriggerCore
import TriggerFiles

/// All Lua files below a directory, read into memory: what one script tree is made of.
///
/// Files under `lib/` are modules, files named `*_test.lua` are tests, all others are triggers. Hidden names,
/// editors' backups and files that do not end in `.lua` are passed over. Symbolic links are followed, wherever
/// they lead; a link back to a directory that contains it is not.
package struct ScriptDirectory: Sendable {
  package enum Kind: Sendable, Hashable {
    case trigger, module, test
  }

  package struct File: Sendable {
    /// Relative to the directory, with `/`, as `FilePathPolicy` has it.
    package var path: String
    package var bytes: [UInt8]
    package var kind: Kind
  }

  /// Which files a script tree may have: for who follows the directory, too.
  package static let policy: FilePathPolicy = {
    var policy = FilePathPolicy()
    policy.links = .anywhere
    policy.fileBytes = 1 << 20
    return policy
  }()

  /// The files of the directory.
  package let tree: FileTree
  package private(set) var report = ConfigReport()

  /// In the order of their paths' bytes.
  package var files: [File] {
    tree.paths.map { File(path: $0, bytes: tree[$0]!.bytes, kind: Self.kind(of: $0)) }
  }
  package var triggers: [File] { files.filter { $0.kind == .trigger } }
  package var modules: [File] { files.filter { $0.kind == .module } }
  package var tests: [File] { files.filter { $0.kind == .test } }

  /// Reads the directory. What cannot be read is in the report and the rest is here.
  ///
  /// - Parameter name: what messages call the directory; nil is `path`.
  package static func read(_ path: String, name: String? = nil) -> ScriptDirectory {
    var index = DirectoryIndex(path, policy: policy, includes: isScript)
    index.refresh(.everything)
    var result = ScriptDirectory(tree: index.tree)
    for problem in index.sortedProblems { result.report.add(ConfigProblem(problem, in: name ?? path)) }
    return result
  }

  /// True when a file of this path belongs to a script tree.
  @Sendable package static func isScript(_ path: String) -> Bool {
    let name =
      path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.utf8.index(after: $0)...] } ?? path[...]
    return name.utf8.count > 4 && name.hasSuffix(".lua") && !FilePathPolicy.isTransient(name)
  }

  static func kind(of path: String) -> Kind {
    if path.hasSuffix("_test.lua") { return .test }
    return path.hasPrefix("lib/") ? .module : .trigger
  }
}

extension ConfigProblem {
  /// - Parameter directory: what messages call the scripts directory.
  package init(_ problem: FileProblem, in directory: String) {
    let isAbsent = problem.path.isEmpty && problem.message == "the directory does not exist"
    self.init(
      file: problem.path.isEmpty ? directory : "\(directory)/\(problem.shownPath)",
      message: isAbsent ? "the scripts directory does not exist" : problem.message,
      severity: problem.severity == .error ? .error : .warning)
  }
}
