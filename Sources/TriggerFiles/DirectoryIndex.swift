import Glibc
import TriggerCore

/// Is told which directories an index looks into, so that it can watch them. Called before a directory is
/// listed: what changes after that shows as an event, what changed before is in the list.
protocol DirectoryObserver: AnyObject {
  /// - Parameter path: relative to the root, `full` with the root before it.
  func enter(_ path: String, full: String)
  func leave(_ path: String)
  /// What a link leads to depends on these entries of directories; none: forget the link. The empty path is
  /// the root itself.
  func watch(link path: String, through steps: Set<LinkTrail.Step>)
}

/// What a directory held when it was last looked at: its files with their contents, and what was wrong with
/// others.
///
/// `refresh` looks at what may have changed, reads what has, and costs accordingly. A file with a problem
/// keeps the content it had before: unreadable is not deleted. One thread at a time.
package struct DirectoryIndex {
  /// As it was given.
  package let root: String
  package let policy: FilePathPolicy
  /// Files of other names are passed over.
  private let includes: @Sendable (_ path: String) -> Bool
  private let contents: ContentStore
  weak var observer: (any DirectoryObserver)?

  /// What each file held at the last look.
  package private(set) var ids: [String: FileContent.ID] = [:]
  /// Bytes of all files.
  private var byteCount = 0
  /// The files as of the last look; after `forgetContents` those only that the last look found changed.
  package private(set) var tree = FileTree()
  private var keepsContents = true
  /// By path; the empty path is the directory itself.
  package private(set) var problems: [String: FileProblem] = [:]
  /// Whether the directory was there.
  package private(set) var isThere = false

  private var files: [String: Known] = [:]
  private var directories: [String: Listing] = [:]
  private var links: Set<String> = []
  private var spellings = FileSpellings()
  /// Left out because another path is spelled almost alike.
  private var leftOut: Set<String> = []
  /// Files were left out because there are too many.
  private var isOverfull = false
  /// Of the refresh in progress, and those that it continues: what the paths they changed held before.
  private var before: [String: FileContent.ID?] = [:]
  private var torn: Set<String> = []
  /// Set while looking without reading: what would be read.
  private var unread: [String: FileStatus]?

  /// Why a path is looked at.
  private enum Reason {
    /// Something happened to it: read it, list it, whatever its status says.
    case event
    /// It is in a directory that is listed.
    case listing
    /// It is a link, and what it leads to may be another file or directory.
    case link
  }

  private struct Known {
    var status: FileStatus
    /// A later change may look the same: it is read again.
    var isFresh: Bool
  }

  private struct Listing {
    /// Nil when the directory was gone since.
    var identity: FileStatus.Identity?
    var names: Set<String> = []
  }

  package init(
    _ root: String, policy: FilePathPolicy = FilePathPolicy(), contents: ContentStore = ContentStore(),
    includes: @escaping @Sendable (_ path: String) -> Bool = { _ in true }
  ) {
    self.root = root
    self.policy = policy
    self.contents = contents
    self.includes = includes
  }

  /// What is wrong, in byte order of the paths.
  package var sortedProblems: [FileProblem] {
    problems.values.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  // MARK: Looking

  /// Looks at what may have changed. O(entries looked at), and reading what has changed.
  ///
  /// - Parameter continues: the changes of the refresh before this one are told of again, with those of this one.
  @discardableResult
  package mutating func refresh(_ dirt: Dirt, continues: Bool = false) -> Refreshed {
    if !continues { begin() }
    torn = []
    lookAt(dirt)
    return Refreshed(changes: changes, difference: difference, torn: torn)
  }

  private mutating func begin() {
    before = [:]
    if !keepsContents { tree = FileTree() }
  }

  /// Contents are kept from now on for as long as it takes to tell of them: who follows has them elsewhere. Not in the
  /// middle of a report.
  package mutating func forgetContents() {
    keepsContents = false
    begin()
  }

  /// What came of a refresh.
  package struct Refreshed {
    /// The files that differ from the last look.
    package var changes: FileChanges
    package var difference: FileDifference
    /// Changed while they were read: to be looked at again, soon.
    package var torn: Set<String>
  }

  private mutating func lookAt(_ dirt: Dirt) {
    guard let identity = lookAtRoot() else { return }
    if dirt.everything || dirt.paths.contains("") || directories[""]?.identity != identity {
      isOverfull = false
      scan("", identity)
    } else {
      if dirt.links { for path in links.sorted() { look(path, .link) } }
      for path in dirt.paths.sorted() { look(nearestKnown(path), .event) }
    }
    if isOverfull, hasRoom {
      isOverfull = false
      scan("", identity)
    }
    lookAtLeftOut()
    if isOverfull {
      problems[""] = FileProblem(
        path: "",
        message:
          "more than \(policy.files) files or \(policy.treeBytes >> 20) MiB; those beyond are left out")
    }
  }

  /// What a refresh of everything would find, without reading a file: equal for equal states, empty when
  /// nothing has changed. O(entries of the directory).
  package func peek() -> Peek {
    var copy = self
    copy.observer = nil
    copy.unread = [:]
    copy.before = [:]
    copy.lookAt(.everything)
    var peek = Peek(unread: copy.unread ?? [:])
    for path in copy.before.keys where copy.ids[path] == nil { peek.gone.insert(path) }
    if copy.problems != problems { peek.problems = copy.problems }
    return peek
  }

  package struct Peek: Equatable {
    var unread: [String: FileStatus]
    var gone: Set<String> = []
    var problems: [String: FileProblem]?

    var dirt: Dirt {
      var dirt = Dirt(paths: gone.union(unread.keys))
      dirt.everything = problems != nil
      return dirt
    }
  }

  private var changes: FileChanges {
    var changes = FileChanges()
    for (path, old) in before where ids[path] != old {
      changes[path] = tree[path].map { .written($0) } ?? .removed
    }
    return changes
  }

  private var difference: FileDifference {
    var difference = FileDifference()
    for path in before.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      switch (before[path]!, ids[path]) {
      case (nil, .some): difference.added.append(path)
      case (.some, nil): difference.removed.append(path)
      case (let old?, let new?) where old != new: difference.modified.append(path)
      default: break
      }
    }
    return difference
  }

  private mutating func set(_ path: String, _ content: FileContent?) {
    let old = ids[path]
    if content?.id == old { return }
    if old == nil, content != nil { spellings.insert(path) }
    if old != nil, content == nil { spellings.remove(path) }
    if before[path] == nil { before[path] = .some(old) }
    byteCount += (content?.id.size ?? 0) - (old?.size ?? 0)
    ids[path] = content?.id
    tree[path] = content
  }

  /// The caller has put a content at a path itself, or has removed it: that is no change to tell of.
  package mutating func replaced(_ path: String, by content: FileContent?) {
    files[path] = nil
    set(path, content)
    if content != nil { note(path) } else { forgetName(path) }
  }

  /// The path in use that this one differs from only by case or Unicode form.
  package func clash(of path: String) -> String? { spellings.clash(of: path) }

  private mutating func lookAtRoot() -> FileStatus.Identity? {
    let status = FileStatus.of(root)
    isThere = status?.kind == .directory
    observer?.watch(link: "", through: LinkTrail(absolutePath(root))?.steps ?? [])
    guard let status, isThere else {
      let message = status == nil ? "the directory does not exist" : "is not a directory"
      problems[""] = FileProblem(path: "", message: message)
      // When it is there again, anything may have changed.
      directories[""]?.identity = nil
      return nil
    }
    problems[""] = nil
    return status.identity
  }

  /// The path itself, or the directory above it that has appeared since the last look.
  private func nearestKnown(_ path: String) -> String {
    var path = path
    while let parent = Self.parent(of: path), directories[parent] == nil { path = parent }
    return path
  }

  private mutating func look(_ path: String, _ reason: Reason) {
    let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.index(after: $0)...] } ?? path[...]
    if FilePathPolicy.isTransient(name) { return }
    problems[path] = nil
    guard var status = FileStatus.of(full(path), followsLinks: false) else { return gone(path) }
    let isLink = status.kind == .link
    if isLink {
      guard let end = resolveLink(path, name) else { return }
      status = end
    } else if links.remove(path) != nil {
      observer?.watch(link: path, through: [])
    }
    switch status.kind {
    case .directory:
      if let fault = policy.fault(ofName: name) ?? depthFault(path) { return fail(path, fault) }
      if isLink, isAbove(path, status.identity) {
        return fail(path, "the link leads back to a directory above it", .warning)
      }
      forgetFile(path)
      if reason == .link, directories[path]?.identity == status.identity { return }
      note(path)
      scan(path, status.identity)
    case .file:
      guard includes(path) else { return forget(path) }
      forgetDirectory(path)
      readIfChanged(path, status, isForced: reason == .event)
    default:
      guard includes(path) else { return }
      fail(path, "is not a regular file but \(status.kindInWords)")
    }
  }

  /// The status of what a link leads to; nil when it is not followed.
  private mutating func resolveLink(_ path: String, _ name: some StringProtocol) -> FileStatus? {
    // One that leads nowhere (yet, or for the moment) may be that of a directory.
    let kind = FileStatus.of(full(path))?.kind
    guard includes(path) || kind == nil || kind == .directory else {
      forget(path)
      return nil
    }
    if policy.links == .none {
      fail(path, "is a symbolic link; links are not followed here")
      return nil
    }
    guard let trail = LinkTrail(absolutePath(full(path))) else {
      fail(path, "the link leads in a circle", .warning)
      return nil
    }
    links.insert(path)
    observer?.watch(link: path, through: trail.steps)
    if policy.links == .inside, !trail.isInside(LinkTrail(absolutePath(root))?.target ?? root) {
      fail(path, "the link leaves the directory (it leads to \(trail.target))")
      return nil
    }
    guard let status = FileStatus.of(full(path)) else {
      let reason = errorText(errno)
      forgetFile(path)
      forgetDirectory(path)
      fail(path, "the link leads to \(trail.target): \(reason)", .warning)
      return nil
    }
    return status
  }

  private func isAbove(_ path: String, _ identity: FileStatus.Identity) -> Bool {
    var path = path
    while let parent = Self.parent(of: path) {
      if directories[parent]?.identity == identity { return true }
      path = parent
    }
    return false
  }

  private mutating func scan(_ path: String, _ identity: FileStatus.Identity) {
    observer?.enter(path, full: full(path))
    let names: [DirectoryName]
    switch listDirectory(full(path)) {
    case .success(let found): names = found
    case .failure(let problem): return problem.isAbsent ? gone(path) : fail(path, problem.message)
    }
    var old = directories[path]?.names ?? []
    directories[path] = Listing(identity: identity, names: [])
    for name in names where !FilePathPolicy.isTransient(name.text) {
      let child = path.isEmpty ? name.text : path + "/" + name.text
      if !name.isDirectoryOrLink, !includes(child) { continue }
      old.remove(name.text)
      directories[path]?.names.insert(name.text)
      // A name that is not UTF-8 must not be opened by its repaired form.
      if name.isUTF8 { look(child, .listing) } else { fail(child, "the name is not UTF-8") }
    }
    for name in old { forget(path.isEmpty ? name : path + "/" + name) }
  }

  // MARK: Files

  private mutating func readIfChanged(_ path: String, _ status: FileStatus, isForced: Bool) {
    let now = FileStatus.now()
    if unread != nil {
      if let known = files[path], known.status == status, !known.isFresh || status.isFresh(at: now) { return }
      if mayCount(path, status.size) { unread?[path] = status }
      return
    }
    if !isForced, let known = files[path], known.status == status, !known.isFresh { return }
    guard mayCount(path, status.size) else { return }
    switch readFile(full(path), cap: policy.fileBytes) {
    case .content(let bytes, let status):
      files[path] = Known(status: status, isFresh: status.isFresh(at: now))
      note(path)
      set(path, contents.content(bytes))
    case .absent: gone(path)
    case .torn:
      note(path)
      torn.insert(path)
    case .problem(let message): fail(path, message)
    }
  }

  /// Whether a file may be one of the directory's; otherwise the problem is noted.
  private mutating func mayCount(_ path: String, _ size: Int) -> Bool {
    if let fault = policy.fault(of: path) ?? policy.fault(ofSize: size) {
      fail(path, fault)
      return false
    }
    if ids[path] != nil { return true }
    if let other = spellings.clash(of: path) {
      leftOut.insert(path)
      fail(path, "differs from \(other) only by case or Unicode form; rename one of them")
      return false
    }
    if !hasRoom { isOverfull = true }
    return hasRoom
  }

  private mutating func lookAtLeftOut() {
    guard !leftOut.isEmpty else { return }
    let paths = leftOut.sorted()
    leftOut = []
    for path in paths where files[path] == nil { look(nearestKnown(path), .listing) }
  }

  private var hasRoom: Bool { ids.count < policy.files && byteCount < policy.treeBytes }

  // MARK: Forgetting

  /// It is there and cannot be used: what it held before stays.
  private mutating func fail(_ path: String, _ message: String, _ severity: FileProblem.Severity = .error) {
    files[path] = nil
    note(path)
    problems[path] = FileProblem(path: path, message: message, severity: severity)
  }

  private mutating func gone(_ path: String) {
    forget(path)
    forgetName(path)
  }

  private mutating func forget(_ path: String) {
    problems[path] = nil
    leftOut.remove(path)
    if links.remove(path) != nil { observer?.watch(link: path, through: []) }
    forgetFile(path)
    forgetDirectory(path)
  }

  private mutating func forgetFile(_ path: String) {
    files[path] = nil
    if ids[path] != nil { set(path, nil) }
  }

  private mutating func forgetDirectory(_ path: String) {
    guard let listing = directories.removeValue(forKey: path) else { return }
    observer?.leave(path)
    for name in listing.names { forget(path.isEmpty ? name : path + "/" + name) }
  }

  private mutating func note(_ path: String) {
    guard let (parent, name) = Self.split(path) else { return }
    directories[parent]?.names.insert(name)
  }

  private mutating func forgetName(_ path: String) {
    guard let (parent, name) = Self.split(path) else { return }
    directories[parent]?.names.remove(name)
  }

  // MARK: Paths

  package func full(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

  private func depthFault(_ path: String) -> String? {
    let depth = path.utf8.count { $0 == UInt8(ascii: "/") } + 1
    return depth < policy.depth ? nil : "more than \(policy.depth) names deep"
  }

  /// The directory of a path; empty for the root.
  package static func directory(of path: String) -> String { split(path)?.directory ?? "" }

  /// The directory of a path; nil for the root itself.
  static func parent(of path: String) -> String? { split(path)?.directory }

  static func split(_ path: String) -> (directory: String, name: String)? {
    if path.isEmpty { return nil }
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
    return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
  }
}
