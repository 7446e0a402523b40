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

  /// Begins with a tree, whatever is wrong with it: its broken files are not in force.
  public init(_ tree: ScriptTree) { self.tree = tree }

  /// Whether changes were refused that are not mended yet.
  public var isWaiting: Bool { !waiting.isEmpty }

  /// Takes the changes of a burst. O(what has changed since the last good tree).
  ///
  /// - Returns: the tree that is to take the place of the one before. Its difference is empty when files
  ///   are back to what the last good tree has: then there is nothing to do.
  /// - Throws: why nothing changes.
  public mutating func take(_ changes: FileChanges) throws(ScriptTree.Refusal) -> ScriptTree.Update {
    waiting.append(changes)
    var update = try tree.updated(with: waiting).get()
    waiting = FileChanges()
    // The same files are the same tree, and keep its identity.
    if update.files.isEmpty { update.tree = tree } else { tree = update.tree }
    return update
  }

  /// The tree has been given an identity, by who keeps trees.
  public mutating func identify(_ identity: ScriptTree.Identity) { tree.identity = identity }
}
