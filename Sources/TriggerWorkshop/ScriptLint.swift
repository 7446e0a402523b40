import TriggerCore
import TriggerHost
import TriggerLua

/// Looks for mistakes in scripts that only running them would show: without running them, by what their compiled code
/// names. O(size of the scripts).
package struct ScriptLint {
  package enum Severity: String, Sendable { case error, warning, note }

  package struct Finding: Sendable, Hashable {
    package var severity: Severity
    /// Relative path in the tree.
    package var path: String
    package var line: Int
    package var message: String
  }

  /// In the order of paths and lines.
  package private(set) var findings: [Finding] = []

  private let tree: ScriptTree
  /// Names of the stores that the configuration knows, nil when it names none.
  private let stores: [String]?
  private let isStrict: Bool
  private var scans: [String: ChunkScan] = [:]

  /// - Parameters:
  ///   - stores: those that the configuration names.
  ///   - isStrict: any other is an error.
  ///   - paths: files to look at, each for itself; nil: all, and how they fit together. O(size of these files), and
  ///     a look at each trigger.
  package init(_ tree: ScriptTree, stores: [String], isStrict: Bool, paths: [String]? = nil) {
    self.tree = tree
    self.stores = stores.isEmpty && !isStrict ? nil : stores
    self.isStrict = isStrict
    guard Self.knowsBytecode else {
      findings = [
        Finding(
          severity: .note, path: tree.contents.files.keys.min() ?? "", line: 1,
          message: "names are not checked: this version of Lua compiles in another way than the one we know")
      ]
      return
    }
    scan(paths ?? Array(tree.contents.files.keys))
    for path in scans.keys.sorted() { look(at: path, scans[path]!) }
    if paths == nil { lookAtWhole() }
    findings.sort { ($0.path, $0.line, $0.message) < ($1.path, $1.line, $1.message) }
  }

  private mutating func lookAtWhole() {
    lookAtModules()
    lookAtEvents()
    lookAtBoundStores()
  }

  // MARK: Reading

  private enum Kind { case trigger, module, test }

  private func kind(of path: String) -> Kind {
    if path.hasSuffix("_test.lua") { return .test }
    return tree.triggers.contains { $0.path == path } || !tree.modules.contains(path) ? .trigger : .module
  }

  private static let libraryNames = Set(LuaAPI.libraries.map(\.name))

  private mutating func scan(_ paths: [String]) {
    var files: [String: FileContent] = [:]
    for path in paths where path.hasSuffix(".lua") { files[path] = tree.contents.files[path] }
    let compiler = ChunkCompiler(FileTree(files))
    for path in files.keys.sorted() {
      switch compiler.chunk(path) {
      case .success(let chunk):
        scans[path] = ChunkScan(
          chunk, libraries: Self.libraryNames, isTrigger: kind(of: path) != .module)
      case .failure(let error):
        // Triggers and modules that do not compile are the tree's problems already.
        if kind(of: path) == .test { add(error.description, in: path) }
      }
    }
  }

  /// A message of Lua's, `path:line: text`.
  private mutating func add(_ message: String, in path: String) {
    let first = message.split(separator: "\n").first.map(String.init) ?? message
    let parts = first.split(separator: ":", maxSplits: 2)
    guard parts.count == 3, let line = Int(parts[1]) else { return add(.error, path, 1, first) }
    add(.error, path, line, String(parts[2].drop { $0 == " " }))
  }

  private mutating func add(_ severity: Severity, _ path: String, _ line: Int, _ message: String) {
    let finding = Finding(severity: severity, path: path, line: line, message: message)
    // What loading the file has shown is said better there.
    let isKnown =
      !tree.loads(path) && tree.problems.contains { $0.description.hasPrefix("\(path):\(line): ") }
    // Of what a module lacks, once is enough.
    let isSaid = findings.contains { other in
      severity == .note && other.path == path && other.message == message || other == finding
    }
    if !isKnown, !isSaid { findings.append(finding) }
  }

  // MARK: One file

  private mutating func look(at path: String, _ scan: ChunkScan) {
    let kind = kind(of: path)
    lookAtGlobals(path, scan, kind)
    lookAtLibraries(path, scan, kind)
    for member in scan.members { look(at: member, path) }
    lookAtRequires(path, scan, kind)
  }

  private mutating func lookAtGlobals(_ path: String, _ scan: ChunkScan, _ kind: Kind) {
    var known = Set(LuaAPI.globals)
    if kind == .test { known.formUnion(LuaAPI.testFunctions.map(\.name) + scan.writes.map(\.name)) }
    // What is asked for anywhere is known to be missing sometimes.
    known.formUnion(scan.reads.filter(\.isTested).map(\.name))
    for use in scan.reads where !known.contains(use.name) {
      if let absent = LuaAPI.absent.first(where: { $0.name == use.name }) {
        add(kind == .module ? .note : .error, path, use.line, "'\(use.name)' is not there: \(absent.instead)")
      } else {
        let hint = Suggestion.clause(
          for: use.name, among: LuaAPI.globals + (kind == .test ? LuaAPI.testFunctions.map(\.name) : []))
        add(.error, path, use.line, "nothing is named '\(use.name)': it is neither local nor a global\(hint)")
      }
    }
    if kind == .test { return }
    for use in scan.writes {
      add(
        .error, path, use.line,
        "'\(use.name)' is a global, and those cannot be assigned: write local \(use.name), or keep state in a store"
      )
    }
  }

  private mutating func lookAtLibraries(_ path: String, _ scan: ChunkScan, _ kind: Kind) {
    let asked = Set(scan.libraryReads.filter(\.isTested).map(\.name))
    for use in scan.libraryReads where !asked.contains(use.name) {
      let parts = use.name.split(separator: ".").map(String.init)
      guard let library = LuaAPI.library(parts[0]), !library.names.contains(parts[1]) else { continue }
      let absent = LuaAPI.absent.first { $0.name == use.name }
      let hint = absent.map { ": " + $0.instead } ?? Suggestion.clause(for: parts[1], among: library.names)
      add(kind == .module ? .note : .error, path, use.line, "'\(use.name)' is not there\(hint)")
    }
    for use in scan.libraryWrites {
      add(
        kind == .module ? .note : .error, path, use.line,
        "'\(use.name)' cannot be set: Lua's libraries are read-only")
    }
  }

  private mutating func look(at member: ChunkScan.Member, _ path: String) {
    let item: LuaAPI.Class
    let isSure: Bool
    switch member.owner {
    case .context(let sure): (item, isSure) = (LuaAPI.context, sure)
    case .store(let sure): (item, isSure) = (LuaAPI.store, sure)
    default: return
    }
    guard item.names.contains(member.name) else {
      let hint = Suggestion.clause(for: member.name, among: item.names)
      // A parameter that is called ctx may be something else.
      if isSure || !hint.isEmpty {
        add(isSure ? .error : .warning, path, member.line, "\(item.variable) has no '\(member.name)'\(hint)")
      }
      return
    }
    guard isSure, let method = item.method(member.name) else { return }
    if member.lacksColon {
      add(
        .error, path, member.line,
        "call it with a colon: \(item.variable):\(method.name)\(method.parameterList)")
    } else if let arguments = member.arguments {
      look(at: arguments, of: method, item, path, member.line)
    }
    if member.isStatement, !member.lacksColon, method.results == ["Intent"], kind(of: path) != .test {
      add(
        .warning, path, member.line,
        "\(item.variable):\(method.name) changes nothing by itself: return what it gives from execute")
    }
  }

  private mutating func look(
    at arguments: [String?], of method: LuaAPI.Function, _ item: LuaAPI.Class, _ path: String, _ line: Int
  ) {
    let (fewest, most) = method.arguments
    let call = "\(item.variable):\(method.name)\(method.parameterList)"
    if arguments.count < fewest {
      add(
        .error, path, line,
        "\(call) needs \(fewest == 1 ? "an argument" : "\(fewest) arguments"), got \(arguments.count)")
    } else if let most, arguments.count > most {
      add(
        .warning, path, line,
        "\(call) takes \(most == 0 ? "no argument" : most == 1 ? "one argument" : "\(most) arguments"), got \(arguments.count): the rest is ignored"
      )
    }
    for (parameter, text) in zip(method.parameters, arguments) {
      guard let text, !parameter.choices.isEmpty, !parameter.choices.contains(text) else {
        continue
      }
      let hint = Suggestion.clause(for: text, among: parameter.choices)
      add(
        .error, path, line,
        "\(call): \(parameter.name) is one of \(parameter.choices.joined(separator: ", ")), got \"\(text)\"\(hint)"
      )
    }
    if method.name == "store", let name = arguments.first ?? nil { lookAtStore(name, path, line) }
  }

  private mutating func lookAtStore(_ name: String, _ path: String, _ line: Int) {
    guard let stores, !stores.contains(name), kind(of: path) != .test else { return }
    let hint = Suggestion.clause(for: name, among: stores)
    if isStrict {
      add(.error, path, line, "the configuration has no store '\(name)'\(hint)")
    } else if !hint.isEmpty {
      add(.warning, path, line, "the configuration has no store '\(name)'\(hint)")
    }
  }

  // MARK: Modules

  private mutating func lookAtRequires(_ path: String, _ scan: ChunkScan, _ kind: Kind) {
    let own = Self.libraryNames.union(["_G"])
    for require in scan.requires where !own.contains(require.name) && tree.file(ofModule: require.name) == nil
    {
      let names = tree.modules.map { String($0.dropLast(4)).replacing("/", with: ".") }
      let hint = Suggestion.clause(for: require.name, among: names)
      add(kind == .module ? .note : .error, path, require.line, "there is no module '\(require.name)'\(hint)")
    }
  }

  private mutating func lookAtModules() {
    lookAtCycles()
    // A computed name can mean any module.
    let own = scans.filter { kind(of: $0.key) != .module }
    if own.values.contains(where: \.hasComputedRequires) { return }
    let used = usedModules(from: own.keys)
    // A library comes with parts that this project does not need.
    let packages = Set(used.compactMap(Self.package))
    for path in tree.modules
    where !used.contains(path) && !path.hasPrefix("lua_modules/") && !path.hasSuffix("_test.lua") {
      if let package = Self.package(path), packages.contains(package) { continue }
      add(.warning, path, 1, "nothing requires this module")
    }
  }

  /// `lib/pl/` of `lib/pl/pretty.lua`; nil for a file right in `lib/`.
  private static func package(_ path: String) -> String? {
    let parts = path.split(separator: "/").dropLast()
    guard let lib = parts.lastIndex(of: "lib"), lib + 1 < parts.endIndex else { return nil }
    return parts[...(lib + 1)].joined(separator: "/")
  }

  private func usedModules(from roots: some Sequence<String>) -> Set<String> {
    var used: Set<String> = []
    var open = Array(roots)
    while let path = open.popLast() {
      // Any text that names a module may be a require in disguise: pcall(require, "lib.x").
      for file in (scans[path]?.texts ?? []).compactMap({ tree.file(ofModule: $0) })
      where used.insert(file).inserted {
        open.append(file)
      }
    }
    return used
  }

  /// Modules that need each other while they load.
  private mutating func lookAtCycles() {
    var done: Set<String> = []
    for path in scans.keys.sorted() { visitRequires(path, [], &done) }
  }

  private mutating func visitRequires(
    _ path: String, _ chain: [(path: String, line: Int)], _ done: inout Set<String>
  ) {
    if let start = chain.firstIndex(where: { $0.path == path }) {
      let cycle = chain[start...].map { "\($0.path):\($0.line)" }
      let text =
        "module cycle: \((cycle + [path]).joined(separator: " -> ")); move what both need into a third module"
      let isKnown = tree.problems.contains { problem in
        problem.description.contains("module cycle: ")
          && chain[start...].allSatisfy { problem.description.contains($0.path) }
      }
      if !isKnown { add(.error, chain.last!.path, chain.last!.line, text) }
      return
    }
    guard done.insert(path).inserted || !chain.isEmpty, chain.count < 100 else { return }
    for require in scans[path]?.requires ?? [] where require.isAtLoad {
      guard let file = tree.file(ofModule: require.name),
        !done.contains(file) || chain.contains(where: { $0.path == file }) || file == path
      else { continue }
      visitRequires(file, chain + [(path, require.line)], &done)
    }
  }

  // MARK: Events

  /// Emitted names that look like a misspelt one.
  private mutating func lookAtEvents() {
    guard !tree.problems.contains(where: { $0.severity == .error }) else { return }
    let patterns = tree.triggers.flatMap(\.options.on).filter {
      $0.kind == .event || $0.kind == .message || $0.kind == .data
    }
    let names = patterns.map(\.pattern).filter { !$0.contains("*") }
    for (path, scan) in scans where kind(of: path) == .trigger {
      for member in scan.members where member.owner == .context(isSure: true) && member.name == "emit" {
        guard let name = member.arguments?.first ?? nil, !patterns.contains(where: { $0.matches(name) })
        else { continue }
        let hint = Suggestion.clause(for: name, among: names)
        if !hint.isEmpty {
          add(.warning, path, member.line, "no trigger is bound to the event '\(name)'\(hint)")
        }
      }
    }
  }

  /// Stores that `on.commit` names.
  private mutating func lookAtBoundStores() {
    guard stores != nil else { return }
    for script in tree.triggers {
      let names = script.options.on.filter { $0.kind == .commit }
        .map { String($0.pattern.prefix { $0 != "/" }) }.filter { !$0.contains("*") }
      if names.isEmpty { continue }
      let line = ScriptTableLines(tree.files[script.path] ?? []).line(of: ["on", "commit"])
      for name in names { lookAtStore(name, script.path, line) }
    }
  }

  // MARK: Compiling

  /// The names of a sample, found as they should be: another build of Lua may number its instructions differently.
  package static let knowsBytecode: Bool = {
    let text =
      "local s = string local function f(ctx) ctx:store('a'):get() end x = y if z then s.rep() end return { execute = f }"
    guard case .success(let chunk) = ChunkCompiler(files: ["s.lua": Array(text.utf8)]).chunk("s.lua") else {
      return false
    }
    let scan = ChunkScan(chunk, libraries: ["string"], isTrigger: true)
    return scan.reads.map(\.name) == ["string", "y", "z"]
      && scan.reads.map(\.isTested) == [false, false, true]
      && scan.writes.map(\.name) == ["x"] && scan.libraryReads.map(\.name) == ["string.rep"]
      && scan.members.map(\.name) == ["store", "get"] && scan.members.map(\.arguments?.count) == [1, 0]
  }()
}
