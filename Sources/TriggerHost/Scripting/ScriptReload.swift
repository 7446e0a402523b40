import TriggerCore

/// Follows the files of a script tree: the last good tree stays until all that has changed since is good.
///
/// Changes that were refused are kept, and checked again together with those that follow: what goes live is
/// the directory as it is, never a mixture of files that never stood beside each other.
public struct ScriptReload: Sendable {
  /// The last good tree.
  public private(set) var tree: ScriptTree
  /// What has changed since, and is not in it.
  private var waiting = FileChanges()
  /// What was wrong with files when the tree was read.
  private var known: Set<FileProblem>

  /// Begins with a tree, whatever is wrong with it: its broken files are not in force.
  ///
  /// - Parameter problems: what was wrong with files when the tree was read.
  public init(_ tree: ScriptTree, problems: [FileProblem] = []) {
    self.tree = tree
    known = Set(problems)
  }

  /// Whether changes were refused that are not mended yet.
  public var isWaiting: Bool { !waiting.isEmpty }

  /// Takes the changes of a burst. O(what has changed since the last good tree).
  ///
  /// - Parameter problems: what is wrong with files now. A burst with a file that cannot be read is not whole: it
  ///   waits like one with a mistake.
  /// - Returns: the tree that is to take the place of the one before. Its difference is empty when files
  ///   are back to what the last good tree has: then there is nothing to do.
  /// - Throws: why nothing changes.
  public mutating func take(
    _ changes: FileChanges, problems: [FileProblem] = []
  ) throws(ScriptTree.Refusal) -> ScriptTree.Update {
    waiting.append(changes)
    let unread = problems.filter { $0.severity == .error && !known.contains($0) }
    var update = try tree.updated(with: waiting, unread: unread).get()
    waiting = FileChanges()
    known = Set(problems)
    // The same files are the same tree, and keep its identity.
    if update.files.isEmpty { update.tree = tree } else { tree = update.tree }
    return update
  }

  /// The tree has been given an identity, by who keeps trees.
  public mutating func identify(_ identity: ScriptTree.Identity) { tree.identity = identity }
}
