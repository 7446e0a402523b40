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
        throw LuaWorker.LoadError(description: "\(path):1: a script returns a table with 'on' and 'execute'")
      }
      return spec
    } catch {
      throw ScriptTree.Problem(severity: .error, description: "\(error)")
    }
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
