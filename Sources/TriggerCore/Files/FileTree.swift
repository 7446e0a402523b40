import HashTreeCollections

/// The files of a directory as of one moment: relative path to content. A value; deriving the next tree from
/// the last costs what changed, and both share everything else.
public struct FileTree: Sendable, Equatable {
  private var contents: TreeDictionary<String, FileContent> = [:]
  /// Bytes of all files.
  public private(set) var byteCount = 0

  /// No files.
  public init() {}

  /// O(files).
  public init(_ files: [String: FileContent]) {
    for (path, content) in files { self[path] = content }
  }

  /// Number of files.
  public var count: Int { contents.count }
  /// Whether there is no file.
  public var isEmpty: Bool { contents.isEmpty }

  /// The content at a path, nil when there is no such file. O(log files).
  public subscript(path: String) -> FileContent? {
    get { contents[path] }
    set {
      let old = contents.updateValue(newValue, at: path)
      byteCount += (newValue?.bytes.count ?? 0) - (old?.bytes.count ?? 0)
    }
  }

  /// Every path, in byte order. O(files × log files).
  public var paths: [String] { contents.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  /// Every file, in no order. O(files).
  public var files: [String: FileContent] {
    Dictionary(uniqueKeysWithValues: contents.lazy.map { ($0.key, $0.value) })
  }

  /// Calls `body` for each file, in no order. O(files).
  public func forEach(_ body: (_ path: String, _ content: FileContent) throws -> Void) rethrows {
    for (path, content) in contents { try body(path, content) }
  }

  /// Makes the changes; tells how the tree differs from before. O(changes × log files).
  @discardableResult
  public mutating func apply(_ changes: FileChanges) -> FileDifference {
    var difference = FileDifference()
    for path in changes.paths {
      let new = changes[path]?.content
      switch (self[path], new) {
      case (nil, .some): difference.added.append(path)
      case (.some, nil): difference.removed.append(path)
      case (let old?, let new?) where old != new: difference.modified.append(path)
      default: continue
      }
      self[path] = new
    }
    return difference
  }

  /// The changes that make this tree out of another. O(files of both).
  public func changes(since other: FileTree) -> FileChanges {
    var changes = FileChanges()
    other.forEach { path, _ in if self[path] == nil { changes[path] = .removed } }
    forEach { path, content in if other[path] != content { changes[path] = .written(content) } }
    return changes
  }
}

extension TreeDictionary {
  /// Sets or removes a key; gives what was there.
  fileprivate mutating func updateValue(_ value: Value?, at key: Key) -> Value? {
    if let value { updateValue(value, forKey: key) } else { removeValue(forKey: key) }
  }
}

/// What happened to files: the newest state of each path that is named, and nothing of others.
public struct FileChanges: Sendable, Equatable {
  /// What a path holds now.
  public enum Change: Sendable, Equatable {
    /// A file with this content.
    case written(FileContent)
    /// No file.
    case removed

    /// Nil for `removed`.
    public var content: FileContent? { if case .written(let content) = self { content } else { nil } }
  }

  private var changes: [String: Change] = [:]

  /// Nothing.
  public init() {}

  /// Every file of a tree, as written. O(files).
  public init(_ tree: FileTree) { tree.forEach { changes[$0] = .written($1) } }

  /// The change of a path, nil for none.
  public subscript(path: String) -> Change? {
    get { changes[path] }
    set { changes[path] = newValue }
  }

  /// Number of paths.
  public var count: Int { changes.count }
  /// Whether no path is named.
  public var isEmpty: Bool { changes.isEmpty }
  /// The paths in byte order. O(changes × log changes).
  public var paths: [String] { changes.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  /// These changes, and then later ones. O(later changes).
  public mutating func append(_ later: FileChanges) { changes.merge(later.changes) { $1 } }
}

/// How a tree differs from the one before: paths, each list in byte order.
public struct FileDifference: Sendable, Hashable {
  /// Not there before.
  public var added: [String] = []
  /// There before with another content.
  public var modified: [String] = []
  /// Not there any more.
  public var removed: [String] = []

  /// No difference.
  public init() {}

  /// Whether the trees are equal.
  public var isEmpty: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }
}
