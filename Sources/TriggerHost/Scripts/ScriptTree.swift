import TriggerCore

/// One version of the Lua scripts, checked: every trigger compiled, its chunk run once, its table read.
///
/// Files under `lib/` (at any depth) and `lua_modules/` are modules for `require`; `*_test.lua` files are tests;
/// every other `.lua` file is a trigger named after its path without `.lua` and without a leading `triggers/`,
/// unless its table has a `name`. One that returns no `execute` is a module when another file requires it, or
/// another file of its directory.
public struct ScriptTree: Sendable {
  /// A trigger that a file of the tree makes.
  public struct Script: Sendable {
    /// Unique in the tree.
    public var name: String
    /// Relative path of its file, like `triggers/rsi.lua`.
    public var path: String
    /// What its table says, and the defaults for the rest.
    public var options: TriggerOptions
    /// What its own `on` asks for with `cron`, `every`, `at` and `start`.
    public var schedules: [ScheduledJob]
  }

  /// A file that cannot be used, or a warning about one.
  public struct Problem: Sendable, Error, CustomStringConvertible {
    /// `error`: the file makes no trigger. `warning`: it does, but may not do what was meant.
    public enum Severity: Sendable { case error, warning }
    /// Whether the file is used.
    public var severity: Severity
    /// `file:line: message`.
    public var description: String
  }

  /// A problem, and whose it is.
  package struct Fault {
    package var path: String
    package var problem: Problem
    /// The file that has the same name of a trigger, and had it before.
    package var other: String?
  }

  /// Which tree it is in a log: equal files keep their number, so that a run can be made again.
  public struct Identity: Sendable, Hashable {
    /// From 1.
    public var number: Int
    /// When it was first in force, nanoseconds since 1970: the clock of chunks while they load.
    public var time: Int64
    /// Seed of `math.random` while chunks load.
    public var seed: UInt64

    /// An identity that was given before.
    public init(number: Int, time: Int64, seed: UInt64) {
      self.number = number
      self.time = time
      self.seed = seed
    }
  }

  /// Set by who keeps trees; nil: numbered by the process.
  public var identity: Identity?
  /// Every file, modules and tests too.
  public private(set) var contents: FileTree
  /// Paths of the modules, in order.
  public private(set) var modules: [String] = []
  /// The scripts that work, in the order of their paths.
  public var triggers: [Script] = []
  /// Errors and warnings, those of modules first, in the order of the paths; empty when all is well.
  public var problems: [Problem] { found.map(\.problem) }
  package private(set) var found: [Fault] = []
  /// Of every Lua file, tests too.
  private(set) var checks: [String: ScriptCheck] = [:]
  /// Their paths, in order.
  private var paths: [String] = []
  private let defaults: TriggerOptions

  /// Every file: relative path to content. O(files); `contents` has one file for less.
  public var files: [String: [UInt8]] { contents.files.mapValues(\.bytes) }

  /// Checks the files. Broken scripts are in `problems`, not in `triggers`; the others are not affected.
  /// O(size of the scripts).
  ///
  /// - Parameter defaults: options for what a script's table leaves out.
  public init(_ contents: FileTree, defaults: TriggerOptions = TriggerOptions()) {
    var stale: [String] = []
    contents.forEach { path, _ in if path.hasSuffix(".lua") { stale.append(path) } }
    self.contents = contents
    self.defaults = defaults
    check(stale)
    assemble()
  }

  /// As above, for files as relative path to content.
  public init(files: [String: [UInt8]], defaults: TriggerOptions = TriggerOptions()) {
    self.init(FileTree(files.mapValues { FileContent($0) }), defaults: defaults)
  }

  /// The tree with other files.
  ///
  /// - Parameter stale: the Lua files to check.
  package init(_ old: ScriptTree, _ contents: FileTree, stale: [String]) {
    self = old
    identity = nil
    self.contents = contents
    if stale.isEmpty { return }
    check(stale)
    assemble()
  }

  private mutating func check(_ stale: [String]) {
    let (contents, defaults) = (contents, defaults)
    // Scripts want more stack than whoever calls may have.
    let found = Thread.call(name: "script-checker") { () -> [ScriptCheck?] in
      let checker = ScriptChecker(contents, defaults: defaults)
      return stale.map { path in
        if contents[path] == nil { return nil }
        if Self.isModule(path) { return checker.checkModule(path) }
        return Self.isTrigger(path) ? checker.checkTrigger(path) : ScriptCheck()
      }
    }
    for (path, check) in zip(stale, found) { checks[path] = check }
    if paths.count != checks.count || stale.contains(where: { checks[$0] == nil }) {
      paths = checks.keys.sorted()
    }
  }

  /// Puts the single checks together. O(scripts).
  private mutating func assemble() {
    triggers = []
    found = []
    var pathOfName: [String: String] = [:]
    // A module that does not load is told of once.
    var causes: Set<Substring> = []
    let all = paths.map { (path: $0, check: checks[$0]!, isModule: Self.isModule($0)) }
    for (path, check, isModule) in all where isModule {
      for problem in check.problems {
        causes.insert(problem.firstLine)
        found.append(Fault(path: path, problem: problem))
      }
    }
    let strays = modules(among: all.filter { $0.check.isNoTrigger }.map(\.path))
    modules = all.filter { $0.isModule || strays.contains($0.path) }.map(\.path)
    var pathOfContent: [FileContent.ID: String] = [:]
    for (path, check, isModule) in all where !isModule && !strays.contains(path) {
      if let original = CopiedScript.original(of: path, exists: { checks[$0] != nil }) {
        found.append(Fault(path: path, problem: copy(path, of: original)))
        continue
      }
      if let cause = check.cause, causes.insert(cause.firstLine).inserted {
        found.append(Fault(path: path, problem: cause))
      }
      if let script = check.script {
        if let other = pathOfName[script.name] {
          found.append(Fault(path: path, problem: duplicate(script, of: other), other: other))
          continue
        }
        pathOfName[script.name] = path
        triggers.append(script)
        if let twin = pathOfContent.updateValue(path, forKey: contents[path]!.id) {
          found.append(Fault(path: path, problem: sameContent(path, as: twin)))
        }
      }
      for problem in check.problems { found.append(Fault(path: path, problem: problem)) }
    }
  }

  /// Files that make no trigger because they are modules, though they are not in `lib/`: a library that was copied
  /// into the root as it is. Scans each file once, when there are such.
  private func modules(among strays: [String]) -> Set<String> {
    if strays.isEmpty { return [] }
    let compiler = ChunkCompiler(contents)
    var names: Set<String> = []
    for (path, check) in checks {
      names.formUnion(check.requiredNames { ChunkScan.requiredNames(in: path, compiler) })
    }
    var required = Set(names.compactMap { file(ofModule: $0) }).intersection(strays)
    let packages = Set(required.compactMap(Self.package(of:)))
    for path in strays where Self.package(of: path).map(packages.contains) ?? false { required.insert(path) }
    return required
  }

  /// `pl` of `pl/pretty.lua`; nil for a file in the root.
  private static func package(of path: String) -> Substring? {
    path.contains("/") ? path.prefix { $0 != "/" } : nil
  }

  /// The file that `require` finds for a name.
  package func file(ofModule name: String) -> String? { Self.file(ofModule: name) { contents[$0] != nil } }

  package static func file(ofModule name: String, exists: (String) -> Bool) -> String? {
    let base = name.replacing(".", with: "/")
    return LuaAPI.modulePaths.lazy.map { $0.replacing("?", with: base) }.first(where: exists)
  }

  package func duplicate(_ script: Script, of other: String) -> Problem {
    let line = ScriptTableLines(contents[script.path]?.bytes ?? []).line(of: ["name"])
    return Problem(
      severity: .error,
      description:
        "\(script.path):\(line): a trigger named '\(script.name)' is already in \(other); give one of them a name"
    )
  }

  private func copy(_ path: String, of original: String) -> Problem {
    Problem(
      severity: .warning,
      description: "\(path): passed over: by its name a copy of \(original); rename it if it is to run")
  }

  private func sameContent(_ path: String, as other: String) -> Problem {
    Problem(
      severity: .warning,
      description: "\(path): the same as \(other), and both run: whatever they do happens twice")
  }

  /// By path of a script: the files that it looks for when it is loaded, found or not.
  package var lookups: [String: Set<String>] {
    var found: [String: Set<String>] = [:]
    for script in triggers { found[script.path] = checks[script.path]?.lookups ?? [] }
    return found
  }

  /// Whether a file of the tree, if it was run, ran to its end.
  package func loads(_ path: String) -> Bool { checks[path]?.isLoaded ?? true }

  package static func isTrigger(_ path: String) -> Bool {
    path.hasSuffix(".lua") && !path.hasSuffix("_test.lua") && !isModule(path)
  }

  package static func isModule(_ path: String) -> Bool {
    path.hasSuffix(".lua") && !path.hasSuffix("_test.lua")
      && path.split(separator: "/").dropLast().contains { $0 == "lib" || $0 == "lua_modules" }
  }
}

extension ScriptTree.Problem {
  fileprivate var firstLine: Substring { description.prefix { $0 != "\n" } }
}

// MARK: Updates

extension ScriptTree {
  /// A tree that can take the place of the one before.
  public struct Update: Sendable {
    /// The new tree; without an identity.
    public var tree: ScriptTree
    /// The files that differ.
    public var files: FileDifference
    /// Names of the triggers that differ.
    public var triggers: TriggerDifference
  }

  /// Names of triggers, each list in byte order.
  public struct TriggerDifference: Sendable, Hashable {
    /// Not there, or broken, before.
    public var added: [String] = []
    /// Their file, or a module that they load when they start, has changed.
    public var changed: [String] = []
    /// Not there any more.
    public var removed: [String] = []

    /// These names; by default none.
    public init(added: [String] = [], changed: [String] = [], removed: [String] = []) {
      self.added = added
      self.changed = changed
      self.removed = removed
    }
  }

  /// Why a tree must not take the place of the one before.
  public struct Refusal: Error, Sendable, CustomStringConvertible {
    /// The errors that the changes have brought, or have not mended.
    public var problems: [Problem]
    /// The files that would differ.
    public var files: FileDifference

    /// The problems, a line each.
    public var description: String {
      problems.map(\.description).joined(separator: "\n")
    }
  }

  /// The tree after changes of its files, if that is good: all of them are taken, or none. Errors in files
  /// that the changes do not touch are no reason to refuse: they were there before.
  ///
  /// Checks the files that have changed and those whose loading looks at these. O(their size + scripts);
  /// other files cost nothing.
  public func updated(with changes: FileChanges) -> Result<Update, Refusal> {
    let (tree, difference, touched) = applying(changes)
    let known = Set(found.map(\.problem.description))
    let errors = tree.found.filter { fault in
      fault.problem.severity == .error
        && (touched.contains(fault.path) || !known.contains(fault.problem.description))
    }
    guard errors.isEmpty else {
      return .failure(Refusal(problems: errors.map(\.problem), files: difference))
    }
    return .success(Update(tree: tree, files: difference, triggers: triggers(of: tree, touched)))
  }

  /// The tree after changes, whatever they make of it; how its files differ, and which Lua files were checked.
  package func applying(_ changes: FileChanges) -> (
    tree: ScriptTree, files: FileDifference, checked: Set<String>
  ) {
    var contents = self.contents
    let difference = contents.apply(changes)
    let stale = stale(after: difference)
    return (ScriptTree(self, contents, stale: stale), difference, Set(stale))
  }

  /// How a tree that came of this one differs from it.
  ///
  /// - Parameter paths: those that may differ.
  package func update(to tree: ScriptTree, paths: Set<String>) -> Update {
    var files = FileDifference()
    for path in paths.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      switch (contents[path], tree.contents[path]) {
      case (nil, .some): files.added.append(path)
      case (.some, nil): files.removed.append(path)
      case (let old?, let new?) where old != new: files.modified.append(path)
      default: continue
      }
    }
    return Update(tree: tree, files: files, triggers: triggers(of: tree, Set(stale(after: files))))
  }

  /// The Lua files that must be checked, in the order of their paths.
  private func stale(after difference: FileDifference) -> [String] {
    let changed = Set(
      (difference.added + difference.modified + difference.removed).filter { $0.hasSuffix(".lua") })
    if changed.isEmpty { return [] }
    var stale = changed
    for (path, check) in checks where !check.lookups.isEmpty {
      let (few, many) =
        changed.count < check.lookups.count ? (changed, check.lookups) : (check.lookups, changed)
      if few.contains(where: many.contains) { stale.insert(path) }
    }
    return stale.sorted()
  }

  private func triggers(of tree: ScriptTree, _ touched: Set<String>) -> TriggerDifference {
    if touched.isEmpty { return TriggerDifference() }
    let old = Set(triggers.map(\.name))
    let new = Set(tree.triggers.map(\.name))
    var difference = TriggerDifference()
    difference.added = new.subtracting(old).sorted()
    difference.removed = old.subtracting(new).sorted()
    difference.changed = tree.triggers.filter { old.contains($0.name) && touched.contains($0.path) }
      .map(\.name).sorted()
    return difference
  }
}
