import Synchronization
import TriggerCore
import TriggerLua

/// What loading one file of a tree showed. Shared by all trees that have the file, and what it looked at.
final class ScriptCheck: Sendable {
  /// The trigger that the file makes; nil for modules and for broken files.
  let script: ScriptTree.Script?
  /// What is wrong with the file itself.
  let problems: [ScriptTree.Problem]
  /// What is wrong with a module that it needs, told once for all that need it.
  let cause: ScriptTree.Problem?
  /// The path of that module.
  let needs: String?
  /// Its chunk ran to its end: what is wrong is so with what it returned.
  let isLoaded: Bool
  /// Where `require` looked while the file loaded, and the modules it found did in turn: when none of these
  /// paths, and the file itself, has changed, loading it again shows the same.
  let lookups: Set<String>
  /// The file loads and returns something that is no trigger: perhaps it is a module.
  let isNoTrigger: Bool
  private let names = Mutex<Set<String>?>(nil)

  init(
    script: ScriptTree.Script? = nil, problems: [ScriptTree.Problem] = [], cause: ScriptTree.Problem? = nil,
    needs: String? = nil, isLoaded: Bool = true, lookups: Set<String> = []
  ) {
    self.script = script
    self.problems = problems
    self.cause = cause
    self.needs = needs
    self.isLoaded = isLoaded
    self.lookups = lookups
    isNoTrigger = problems.contains { problem in
      ["no execute function", "a script returns a table with execute"]
        .contains { problem.description.contains(": \($0)") }
    }
  }

  /// Names of modules that the file requires, at load or later, as far as they stand in its text.
  ///
  /// - Parameter scan: finds them, the first time.
  func requiredNames(_ scan: () -> Set<String>) -> Set<String> {
    if let known = names.withLock({ $0 }) { return known }
    let found = scan()
    names.withLock { $0 = found }
    return found
  }
}

/// Loads files of a tree once, aside from all workers, to see whether they work and what their tables say.
/// Modules are loaded once for all files that need them. One thread.
final class ScriptChecker {
  private let lua: LuaWorker
  private let tree: LuaWorker.Tree
  private let sources: Sources
  private let guardian = AttemptGuard()
  private let watched: AttemptGuard.Watched
  private let defaults: TriggerOptions

  init(_ files: FileTree, defaults: TriggerOptions) {
    self.defaults = defaults
    sources = Sources(files)
    var functions = LuaHostFunctions.loading
    functions.source = { sources, path, length in
      guard let text = ScriptChecker.sources(sources).texts.text(String(cString: path!)) else { return nil }
      length!.pointee = text.count
      return text.baseAddress
    }
    functions.required = { sources, from, path in
      ScriptChecker.sources(sources).lookups[String(cString: from!), default: []].insert(
        String(cString: path!))
    }
    guard let lua = LuaWorker(host: functions),
      let tree = lua.makeTree(
        context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: 0, seed: 0)
    else { fatalError("no memory for a Lua state") }
    self.lua = lua
    self.tree = tree
    watched = guardian.watch(lua.control)
    // CPU time: on a busy machine a good script must not seem endless.
    watched.limit.store(Self.chunkTime, ordering: .relaxed)
    lua.bind()
  }

  deinit { guardian.forget(watched) }

  /// CPU nanoseconds that a chunk may take.
  private static let chunkTime: Int64 = 1_000_000_000

  private static func sources(_ pointer: UnsafeMutableRawPointer?) -> Sources {
    Unmanaged<Sources>.fromOpaque(pointer!).takeUnretainedValue()
  }

  /// Compiles a module, whether anything requires it or not.
  func checkModule(_ path: String) -> ScriptCheck {
    do throws(LuaWorker.LoadError) { try lua.compile(path, of: tree, limits: LuaLimits()) } catch {
      return ScriptCheck(
        problems: [ScriptTree.Problem(severity: .error, description: error.description)], isLoaded: false)
    }
    return ScriptCheck()
  }

  /// Compiles a script, runs its chunk and reads its table.
  func checkTrigger(_ path: String) -> ScriptCheck {
    let source = sources.files[path]?.bytes ?? []
    do throws(ScriptTree.Problem) {
      let table = ScriptTable(path: path, try spec(of: path), defaults: defaults)
      let script = table.script
      let problems = table.problems(in: source)
      let isUnbound = script.options.on.isEmpty && script.schedules.isEmpty
      let warning = ScriptTree.Problem(
        severity: .warning,
        description:
          "\(path):1: nothing triggers '\(script.name)': it has no 'on'; bind it there or in a cron file")
      return ScriptCheck(
        script: problems.isEmpty ? script : nil,
        problems: problems.isEmpty && isUnbound ? [warning] : problems, lookups: sources.lookups(of: path))
    } catch {
      let (own, cause, module) = Self.split(error, of: path)
      return ScriptCheck(
        problems: own, cause: cause, needs: module, isLoaded: false, lookups: sources.lookups(of: path))
    }
  }

  /// The table a script returns, without its functions.
  private func spec(of path: String) throws(ScriptTree.Problem) -> Value.Map {
    do throws(LuaWorker.LoadError) {
      let trigger = try lua.load(path, of: tree, limits: LuaLimits())
      let bytes = try lua.spec(of: trigger)
      guard case .map(let spec)? = bytes.withUnsafeBytes({ try? CanonicalEncoding.decode($0) }) else {
        throw LuaWorker.LoadError(description: "\(path): a script returns a table with 'on' and 'execute'")
      }
      return spec
    } catch {
      throw ScriptTree.Problem(severity: .error, description: placed(error.description, of: path))
    }
  }

  /// With the line that it is about in front: an error of what a script returns, and one that names no place, as
  /// `error({})` or `error("text", 0)` make it.
  private func placed(_ error: String, of path: String) -> String {
    if place(in: error) != nil { return error }
    let lines = ScriptTableLines(sources.files[path]?.bytes ?? [])
    if error.hasPrefix("\(path): ") { return "\(path):\(lines.end):" + error.dropFirst(path.count + 1) }
    if let (field, message) = Self.field(in: error) {
      let line = field.isEmpty ? lines.end : lines.line(of: [field])
      return "\(path):\(line): \(field.isEmpty ? "the script's table" : field): \(message)"
    }
    let frame = error.split(separator: "\n").lazy.filter { $0.hasPrefix("\t") }
      .compactMap { self.place(in: $0.dropFirst()) }.first
    return "\(frame ?? "\(path):1"): \(error)"
  }

  /// The `file:line` that a text begins with, if the file is one of these.
  private func place(in text: some StringProtocol) -> String? {
    let parts = text.prefix { $0 != "\n" }.split(
      separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, Int(parts[1]) != nil, sources.files[String(parts[0])] != nil else { return nil }
    return "\(parts[0]):\(parts[1])"
  }

  /// The field, empty for the whole table, and the message of a value that cannot be encoded: `trigger.on.x: …`.
  private static func field(in error: String) -> (field: String, message: Substring)? {
    guard error.hasPrefix("trigger"), let colon = error.range(of: ": ") else { return nil }
    let path = error[..<colon.lowerBound].dropFirst("trigger".count)
    let field = path.hasPrefix(".") ? path.dropFirst().prefix { $0.isLetter || $0.isNumber || $0 == "_" } : ""
    return path.isEmpty || !field.isEmpty ? (String(field), error[colon.upperBound...]) : nil
  }

  /// A module that does not load is a problem of its own; each script that needs it says so in one line.
  private static func split(
    _ problem: ScriptTree.Problem, of path: String
  ) -> (own: [ScriptTree.Problem], cause: ScriptTree.Problem?, module: String?) {
    let lines = problem.description.split(separator: "\n")
    guard let cause = lines.first, !cause.hasPrefix("\(path):"),
      let frame = lines.first(where: { $0.hasPrefix("\t\(path):") })
    else { return ([problem], nil, nil) }
    let line = frame.dropFirst(path.count + 2).prefix { $0 != ":" }
    let file = cause.prefix { $0 != ":" }
    let own = ScriptTree.Problem(
      severity: .error, description: "\(path):\(line): needs \(file), which does not load")
    return ([own], problem, String(file))
  }
}

extension ScriptChecker {
  /// The files as Lua reads them, and who looked for which.
  fileprivate final class Sources {
    let files: FileTree
    let texts: ScriptSources
    /// By path of the file whose chunk called `require`.
    var lookups: [String: Set<String>] = [:]

    init(_ files: FileTree) {
      self.files = files
      texts = ScriptSources(files)
    }

    /// Those of the file and of all it found, at any distance.
    func lookups(of path: String) -> Set<String> {
      var found: Set<String> = []
      var open = [path]
      while let next = open.popLast() {
        for path in lookups[next] ?? [] where found.insert(path).inserted { open.append(path) }
      }
      return found
    }
  }
}
