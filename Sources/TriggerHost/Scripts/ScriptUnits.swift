import TriggerCore

/// Which changes of a directory's files go live, and which wait because something is wrong.
///
/// All of them are put into the tree in force. While a file does not load, what is at fault is taken out again, and with
/// it whatever belongs to it: what was saved together, and what needs it. What is left when nothing is at fault goes
/// live. The result depends on the tree in force, the directory and the bursts alone, and it is the same when it is asked
/// for again beside the tree that it made: a host that starts again finds what was in force.
struct ScriptUnits {
  /// The tree in force, then with what goes live.
  private(set) var tree: ScriptTree
  /// What waits, by path.
  private(set) var held: [String: ScriptReload.Held.Reason] = [:]
  /// What is wrong, in the order in which it was found.
  private(set) var problems: [ScriptTree.Problem] = []

  private let base: ScriptTree
  private let directory: FileTree
  /// Which changes were saved together; those that nobody saw being saved are not in here.
  private let bursts: [String: Int]
  private let unread: [String]
  /// Changes that are in `tree`.
  private var applied: Set<String>

  /// O(changes and what they make load again), more only where something is wrong.
  ///
  /// - Parameters:
  ///   - base: the tree in force. Nothing in it is broken.
  ///   - changed: the paths at which the directory may differ from it.
  init(
    _ base: ScriptTree, _ directory: FileTree, changed: some Sequence<String>, bursts: [String: Int],
    unread: [FileProblem]
  ) {
    self.base = base
    self.directory = directory
    self.bursts = bursts
    self.unread = unread.map(\.path)
    tree = base
    applied = Set(changed.filter { directory[$0] != base.contents[$0] })
    for path in self.unread { held[path] = .unreadable }
    for path in applied where isUnread(path) { held[path] = .unreadable }
    applied.subtract(held.keys)
    change(applied, to: directory)
    let before = RequireGraph(base)
    while true {
      let now = RequireGraph(tree)
      for fault in faults(before) { blame(fault, now, before) }
      spread(now, before)
      let out = applied.intersection(held.keys)
      applied.subtract(out)
      if out.isEmpty { break }
      change(out, to: base.contents)
    }
  }

  /// What is wrong with the tree. A module that only broken files require looks like a trigger that is none: that is not
  /// its fault, and it is looked at again when they are taken out. Any other mistake of a module is its own, whoever else
  /// is broken.
  private func faults(_ before: RequireGraph) -> [ScriptTree.Fault] {
    let all = tree.found.filter { $0.problem.severity == .error }
    let broken = Set(all.map(\.path)).intersection(applied)
    let own = all.filter { fault in
      tree.checks[fault.path]?.isNoTrigger != true
        || !broken.contains { $0 != fault.path && before.needs(of: $0).contains(fault.path) }
    }
    return own.isEmpty ? all : own
  }

  private mutating func change(_ paths: Set<String>, to files: FileTree) {
    var changes = FileChanges()
    for path in paths { changes[path] = files[path].map { .written($0) } ?? .removed }
    tree = tree.applying(changes).tree
  }

  /// A file that cannot be read, or in a directory that cannot.
  private func isUnread(_ path: String) -> Bool {
    unread.contains { $0.isEmpty || path == $0 || path.hasPrefix($0 + "/") }
  }

  // MARK: Whose fault it is

  private mutating func hold(_ path: String, _ reason: ScriptReload.Held.Reason) {
    if held[path] == nil { held[path] = reason }
  }

  /// Holds back what is at fault: a changed file itself, else the changes that it cannot do with.
  private mutating func blame(_ fault: ScriptTree.Fault, _ now: RequireGraph, _ before: RequireGraph) {
    var problem = fault.problem
    let path = fault.path
    let module = tree.checks[path]?.needs.flatMap { applied.contains($0) ? $0 : nil }
    defer {
      if !problems.contains(where: { $0.description == problem.description }) { problems.append(problem) }
    }
    if let module { hold(module, .broken) }
    if applied.contains(path) { return hold(path, module.map { .needs($0) } ?? .broken) }
    if let other = fault.other, applied.contains(other) {
      // The newer of the two is the one that cannot have the name.
      if let script = tree.triggers.first(where: { $0.path == other }) {
        problem = tree.duplicate(script, of: path)
      }
      return hold(other, .broken)
    }
    if module != nil { return }
    var culprits = now.needs(of: path).intersection(applied)
    // One that was a module as long as something required it.
    if culprits.isEmpty { culprits = applied.filter { before.needs(of: $0).contains(path) } }
    for culprit in culprits.isEmpty ? applied : culprits { hold(culprit, .breaks(path)) }
  }

  // MARK: What belongs to it

  /// Holds back what belongs to what is held.
  private mutating func spread(_ now: RequireGraph, _ before: RequireGraph) {
    if held.isEmpty { return }
    let paths = applied.sorted()
    let inBurst = Dictionary(grouping: paths.filter { bursts[$0] != nil }) { bursts[$0]! }
    var users: [String: [String]] = [:]
    for path in paths {
      let needed = now.needs(of: path)
      for need in needed where need != path { users[need, default: []].append(path) }
      if let need = needed.filter(isUnread).min() { hold(path, .needs(need)) }
    }
    // In the order of the paths, so that reasons are the same each time.
    var open = held.keys.sorted()
    var next = 0
    while next < open.count {
      let path = open[next]
      next += 1
      var found: [(String, ScriptReload.Held.Reason)] = []
      if let burst = bursts[path] { found += (inBurst[burst] ?? []).map { ($0, .savedWith(path)) } }
      found += (users[path] ?? []).map { ($0, .needs(path)) }
      found += uses(of: path, before).map { ($0, .neededBy(path)) }
      for (path, reason) in found where held[path] == nil {
        held[path] = reason
        open.append(path)
      }
    }
  }

  /// Of changes that nobody saw being made, nobody knows which belong together: the old version of a file may not be
  /// able to do with the new one of a module.
  private func uses(of path: String, _ before: RequireGraph) -> [String] {
    if base.contents[path] == nil { return [] }
    return before.needs(of: path).filter { applied.contains($0) && bursts[$0] == nil }.sorted()
  }
}

/// Which files of a tree need which, as far as that is known. One thread.
private final class RequireGraph {
  private let tree: ScriptTree
  private lazy var compiler = ChunkCompiler(tree.contents)
  private var known: [String: Set<String>] = [:]

  init(_ tree: ScriptTree) { self.tree = tree }

  /// The files that `require` finds or looks for from a file on, at load or later, at any distance.
  func needs(of path: String) -> Set<String> {
    var found: Set<String> = []
    var open = [path]
    while let path = open.popLast() {
      for next in neighbours(of: path) where found.insert(next).inserted { open.append(next) }
    }
    return found
  }

  /// Where it looked while it loaded, and what its text names.
  private func neighbours(of path: String) -> Set<String> {
    if let known = known[path] { return known }
    guard let check = tree.checks[path], tree.contents[path] != nil else { return [] }
    let names = check.requiredNames { ChunkScan.requiredNames(in: path, compiler) }
    let found = check.lookups.union(names.flatMap(tree.places(ofModule:)))
    known[path] = found
    return found
  }
}

extension ScriptTree {
  /// The paths at which `require` looks for a name, up to the one that is there.
  fileprivate func places(ofModule name: String) -> [String] {
    let base = name.replacing(".", with: "/")
    let paths = LuaAPI.modulePaths.map { $0.replacing("?", with: base) }
    return Array(paths.prefix { contents[$0] == nil } + paths.drop { contents[$0] == nil }.prefix(1))
  }
}
