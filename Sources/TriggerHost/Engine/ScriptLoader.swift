import Dispatch
import TriggerCore
import TriggerLua

/// Loads scripts once, aside from all workers, to see whether they work and what their tables say.
struct ScriptLoader {
  private let lua: LuaWorker
  private let sources: ScriptSources
  private let tree: LuaWorker.Tree

  /// What loading a tree's files came to.
  struct Loaded: Sendable {
    /// Modules that do not compile.
    var modules: [ScriptTree.Problem] = []
    /// The tables of the scripts that are triggers, in the order of their paths.
    var triggers: [(path: String, table: Result<[String: Value], ScriptTree.Problem>)] = []
  }

  /// Loads every file, on a thread of its own: scripts want more stack than whoever calls may have.
  static func loadAll(_ files: [String: [UInt8]]) -> Loaded {
    Thread.call(name: "script-loader") {
      let loader = ScriptLoader(files: files)
      loader.lua.bind()
      var loaded = Loaded()
      for path in files.keys.sorted() where ScriptTree.isModule(path) {
        do throws(ScriptTree.Problem) { try loader.compile(path) } catch { loaded.modules.append(error) }
      }
      for path in files.keys.sorted() where ScriptTree.isTrigger(path) {
        loaded.triggers.append(
          (path, Result { () throws(ScriptTree.Problem) in try loader.spec(of: path) }))
      }
      return loaded
    }
  }

  private init(files: [String: [UInt8]]) {
    sources = ScriptSources(files)
    guard let lua = LuaWorker(host: LuaRunner.functions),
      let tree = lua.makeTree(
        context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: 0, seed: 0)
    else { fatalError("no memory for a Lua state") }
    self.lua = lua
    self.tree = tree
  }

  /// The table a script returns, without its functions.
  private func spec(of path: String) throws(ScriptTree.Problem) -> [String: Value] {
    let guardian = Self.limitTime(of: lua)
    defer { guardian.cancel() }
    do {
      let trigger = try lua.load(path, of: tree, limits: LuaLimits())
      let bytes = try lua.spec(of: trigger)
      guard case .map(let spec) = try bytes.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
        throw LuaWorker.LoadError(description: "\(path): a script returns a table with 'on' and 'execute'")
      }
      return spec
    } catch {
      throw ScriptTree.Problem(severity: .error, description: placed("\(error)", of: path))
    }
  }

  /// Compiles a module, whether anything requires it or not.
  private func compile(_ path: String) throws(ScriptTree.Problem) {
    do { try lua.compile(path, of: tree, limits: LuaLimits()) } catch {
      throw ScriptTree.Problem(severity: .error, description: error.description)
    }
  }

  /// An error about what a script returns is at its last `return`; others name their line.
  private func placed(_ error: String, of path: String) -> String {
    guard error.hasPrefix("\(path): ") else { return error }
    let lines = String(decoding: sources.text(path)?.map { UInt8(bitPattern: $0) } ?? [], as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false)
    let line = lines.lastIndex { $0.hasPrefix("return") } ?? 0
    return "\(path):\(line + 1):" + error.dropFirst(path.count + 1)
  }

  /// A chunk that does not end is ended: looks every 50 ms, and kills what it has seen for a second.
  private static func limitTime(of lua: LuaWorker) -> any DispatchSourceTimer {
    let control = lua.control
    let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "script-loader"))
    timer.schedule(deadline: .now() + 1, repeating: .milliseconds(50))
    timer.setEventHandler {
      let attempt = control.running
      if attempt != 0 { control.kill(attempt, reason: .timeout) }
    }
    timer.resume()
    return timer
  }
}
