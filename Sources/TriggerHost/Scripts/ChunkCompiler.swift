import TriggerCore
import TriggerLua

/// Compiles files of a tree and takes the result apart.
package struct ChunkCompiler {
  private let lua: LuaWorker
  private let sources: ScriptSources
  private let tree: LuaWorker.Tree

  package init(files: [String: [UInt8]]) { self.init(FileTree(files.mapValues { FileContent($0) })) }

  package init(_ files: FileTree) {
    sources = ScriptSources(files)
    guard let lua = LuaWorker(host: .loading),
      let tree = lua.makeTree(
        context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: 0, seed: 0)
    else { fatalError("no memory for a Lua state") }
    self.lua = lua
    self.tree = tree
  }

  package func chunk(_ path: String) -> Result<LuaChunk, LuaWorker.LoadError> {
    lua.bind()
    do {
      let dump = try lua.dump(path, of: tree, limits: LuaLimits())
      guard let chunk = LuaChunk(dump: dump) else {
        throw LuaWorker.LoadError(description: "\(path):1: the compiled code is not understood")
      }
      return .success(chunk)
    } catch let error as LuaWorker.LoadError { return .failure(error) } catch {
      return .failure(LuaWorker.LoadError(description: "\(path):1: \(error)"))
    }
  }
}
