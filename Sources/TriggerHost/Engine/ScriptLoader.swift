import Dispatch
import TriggerCore
import TriggerLua

/// Loads scripts once, aside from all workers, to see whether they work and what their tables say.
struct ScriptLoader {
  private let lua: LuaWorker
  private let sources: ScriptSources
  private let tree: LuaWorker.Tree

  init(files: [String: [UInt8]]) {
    sources = ScriptSources(files)
    guard let lua = LuaWorker(host: LuaRunner.functions),
      let tree = lua.makeTree(
        context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: 0, seed: 0)
    else { fatalError("no memory for a Lua state") }
    self.lua = lua
    self.tree = tree
  }

  /// The table a script returns, without its functions.
  func spec(of path: String) throws(ScriptTree.Problem) -> [String: Value] {
    lua.bind()
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
  func compile(_ path: String) throws(ScriptTree.Problem) {
    lua.bind()
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
