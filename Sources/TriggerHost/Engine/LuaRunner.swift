import TriggerCore
final class LuaRunner {
  init(engine: Engine) {}
  func bind() {}
  func run(_ operation: Operation, _ attempt: Attempt, tree: LoadedTree, path: String) {}
  var running: UInt64 { 0 }
  func kill(_ attempt: UInt64, cancelled: Bool) {}
}
struct ScriptLoader {
  init(files: [String: [UInt8]]) {}
  func spec(of path: String) throws(ScriptTree.Problem) -> [String: Value] { [:] }
}
