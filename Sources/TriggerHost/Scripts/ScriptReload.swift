import TriggerCore

/// Follows the files of a script tree: what is good goes live, what is not keeps its last good version.
///
/// The unit is what was saved together, and what needs it: a file that does not load holds back the files of its burst,
/// and those that require it, at any distance. Everything else goes live. What waits is tried again with each burst.
public struct ScriptReload: Sendable {
  /// A change that waits.
  public struct Held: Sendable, Hashable {
    /// Why it does.
    public enum Reason: Sendable, Hashable {
      /// It does not load, or its table is wrong; the problems say how.
      case broken
      /// It cannot be read.
      case unreadable
      /// Saved together with a file that waits.
      case savedWith(String)
      /// It requires a file that waits.
      case needs(String)
      /// A file that has not changed does not load with it.
      case breaks(String)
      /// The last good version of a file that waits requires it, and who knows whether it can do with this one.
      case neededBy(String)

      /// Whether the file itself must change.
      var isFault: Bool {
        switch self {
        case .broken, .unreadable, .breaks: true
        case .savedWith, .needs, .neededBy: false
        }
      }
    }

    /// Relative path.
    public var path: String
    /// Why it waits.
    public var reason: Reason
    /// Whether a version of before is in force; false: the file is as if it were not there.
    public var isInForce: Bool
    /// Which burst it was saved with, a number; nil when nobody saw it.
    public var burst: Int?
    /// What the directory has; nil for a file that was removed, or cannot be read.
    public var content: FileContent?
  }

  /// What came of a burst.
  public struct Step: Sendable {
    /// The tree that is to take the place of the one before. Its difference is empty when nothing goes live.
    public var update: ScriptTree.Update
    /// Everything that waits, in the order of the paths.
    public var held: [Held]
    /// What is wrong, with `file:line`.
    public var problems: [ScriptTree.Problem]
    /// Files that cannot be read.
    public var unread: [FileProblem]
  }

  /// Files that were saved together and wait, as an earlier life of the host has left them.
  public struct Waiting: Sendable, Hashable {
    /// Relative path.
    public var path: String
    /// A number that those of one burst share.
    public var burst: Int
    /// Of the content; nil for a file that was removed.
    public var content: FileContent.ID?

    /// A file that waits.
    public init(path: String, burst: Int, content: FileContent.ID?) {
      self.path = path
      self.burst = burst
      self.content = content
    }
  }

  /// The tree in force: every file of it loads.
  public private(set) var tree: ScriptTree
  /// What the directory has and the tree has not, in the order of the paths.
  public private(set) var held: [Held] = []
  /// What is wrong with these.
  public private(set) var problems: [ScriptTree.Problem] = []
  private var directory: FileTree
  private var unread: [FileProblem]
  /// By path, of what waits.
  private var bursts: [String: Int]
  private var newestBurst: Int

  /// Begins with the files of a directory.
  ///
  /// - Parameters:
  ///   - last: the tree that was in force before: of files that do not load, its versions stay in force. Nil: there was
  ///     none, and such files are as if they were not there.
  ///   - problems: what is wrong with files of the directory.
  ///   - waiting: which of the changes since were saved together, as far as an earlier life knew.
  public init(
    _ directory: FileTree, after last: ScriptTree? = nil, defaults: TriggerOptions = TriggerOptions(),
    problems: [FileProblem] = [], waiting: [Waiting] = []
  ) {
    self.directory = directory
    unread = problems.filter { $0.severity == .error }
    tree = last.map(Self.sound) ?? ScriptTree(FileTree(), defaults: defaults)
    bursts = [:]
    newestBurst = waiting.map(\.burst).max() ?? 0
    for file in waiting where directory[file.path]?.id == file.content { bursts[file.path] = file.burst }
    _ = merge(changed: Set(directory.changes(since: tree.contents).paths))
  }

  /// Begins with the files of a tree.
  public init(_ tree: ScriptTree) { self.init(tree.contents, after: tree) }

  /// The files of a tree that load: the host may have become stricter since it was in force, or its limits have.
  private static func sound(_ tree: ScriptTree) -> ScriptTree {
    if !tree.problems.contains(where: { $0.severity == .error }) { return tree }
    let none = tree.applying(FileChanges(removing: tree.contents)).tree
    return ScriptUnits(none, tree.contents, changed: tree.contents.paths, bursts: [:], unread: []).tree
  }

  /// Whether changes wait.
  public var isWaiting: Bool { !held.isEmpty }

  /// Takes the changes of a burst. O(what has changed and what waits).
  ///
  /// - Parameter problems: what is wrong with files now. One that cannot be read waits like one with a mistake.
  public mutating func apply(_ changes: FileChanges, problems: [FileProblem] = []) -> Step {
    let errors = problems.filter { $0.severity == .error }
    join(changes.paths + errors.filter { !unread.contains($0) }.map(\.path))
    directory.apply(changes)
    unread = errors
    return merge(changed: Set(changes.paths + held.map(\.path)))
  }

  /// Saved together. Who waits for a file that is at fault goes on waiting for it, however often it is saved; any other
  /// file that is saved again leaves those that it was saved with before.
  private mutating func join(_ paths: [String]) {
    newestBurst += 1
    let saved = Set(paths)
    let older = Set(held.filter { $0.reason.isFault && saved.contains($0.path) }.compactMap(\.burst))
    for (path, burst) in bursts where older.contains(burst) { bursts[path] = newestBurst }
    for path in paths { bursts[path] = newestBurst }
  }

  /// The tree has been given an identity, by who keeps trees.
  public mutating func identify(_ identity: ScriptTree.Identity) { tree.identity = identity }

  private mutating func merge(changed: Set<String>) -> Step {
    let units = ScriptUnits(tree, directory, changed: changed, bursts: bursts, unread: unread)
    var update = tree.update(to: units.tree, paths: changed)
    held = units.held.sorted { $0.key < $1.key }.map { path, reason in
      Held(
        path: path, reason: reason, isInForce: tree.contents[path] != nil, burst: bursts[path],
        content: reason == .unreadable ? nil : directory[path])
    }
    problems = units.problems
    bursts = bursts.filter { units.held[$0.key] != nil }
    // The same files are the same tree, and keep its identity.
    if update.files.isEmpty { update.tree = tree } else { tree = update.tree }
    return Step(update: update, held: held, problems: problems, unread: unread)
  }
}

extension FileChanges {
  /// Every file of a tree, as removed.
  fileprivate init(removing tree: FileTree) {
    self.init()
    tree.forEach { path, _ in self[path] = .removed }
  }
}
