import HostConfig
import TriggerFiles
import TriggerHost

/// What has to be written and removed in a scripts directory to go back to a tree. A host that follows the directory takes
/// that up like any save, as an operation with a seq; one that is started later begins with it.
package struct ScriptRollback {
  /// The tree that comes back.
  package let tree: ScriptTree.Identity
  /// The scripts directory.
  package let directory: String
  /// Contents by path.
  package let written: [String: [UInt8]]
  package let removed: [String]
  /// Files that differ and are in no tree, in byte order of their paths: nobody could bring them back.
  package let edited: [String]
  /// What is wrong with the directory as it is.
  package let report: ConfigReport

  /// Changes nothing. O(bytes of the directory, of the tree, and of the trees in which its files changed).
  ///
  /// - Returns: nil when the log has no such tree.
  /// - Throws: `LogError`.
  package init?(to number: Int, of reader: LogReader, in directory: String) throws {
    guard let (identity, wanted) = try reader.tree(number) else { return nil }
    let current = ScriptDirectory.read(directory)
    let files = Dictionary(uniqueKeysWithValues: current.files.map { ($0.path, $0.bytes) })
    tree = identity
    self.directory = directory
    report = current.report
    written = wanted.filter { files[$0.key] != $0.value }
    removed = files.keys.filter { wanted[$0] == nil }.sorted()
    let trees = try reader.scriptTrees()
    edited = try files.filter { path, bytes in
      try bytes != wanted[path] && !Self.have(bytes, at: path, trees, reader)
    }.keys.sorted()
  }

  /// Whether some tree had the file with this content.
  private static func have(
    _ bytes: [UInt8], at path: String, _ trees: [KeptScriptTree], _ reader: LogReader
  ) throws -> Bool {
    for tree in trees where tree.changed.contains(path) {
      if try reader.tree(tree.identity.number)?.files[path] == bytes { return true }
    }
    return false
  }

  /// Does it, to all files or, when one cannot be written, to none.
  ///
  /// - Throws: `ConfigProblem`.
  package func make() throws(ConfigProblem) {
    try DirectoryChange(root: directory, written: written, removed: removed).make()
  }
}
