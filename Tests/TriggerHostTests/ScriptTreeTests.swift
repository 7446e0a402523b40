import Foundation
import Testing
import TriggerHost

@Suite struct ScriptTreeTests {
  @Test(arguments: [
    "a\\nb", "", "tab\\there", "\\0", String(repeating: "n", count: 129),
  ])
  func namesAreForPeople(name: String) {
    let script = "return { name = \"\(name)\", on = { event = 'x' }, execute = function() end }"
    let tree = ScriptTree(files: ["s.lua": Array(script.utf8)])
    #expect(tree.triggers.isEmpty)
    #expect(tree.problems.first?.description.hasPrefix("s.lua:1: name must have 1 to 128 bytes") == true)
  }

  /// Whoever loads scripts may have little stack; chunks may recurse in C as deep as Lua allows.
  @Test func loadingNeedsNoStackOfTheCaller() async {
    let script = """
      local function deeper() return (("x"):gsub(".", deeper)) end
      local ok, message = pcall(deeper)
      assert(not ok and message:find("C stack overflow"))
      return { on = { event = "x" }, execute = function() end }
      """
    let names = await withCheckedContinuation { continuation in
      let thread = Thread {
        continuation.resume(returning: ScriptTree(files: ["s.lua": Array(script.utf8)]).triggers.map(\.name))
      }
      thread.stackSize = 128 << 10
      thread.start()
    }
    #expect(names == ["s"])
  }

  #if os(Linux)
    @Test func threadsHaveNames() throws {
      let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
      let queue = TriggerQueue(coordinator)
      queue.start()
      defer { queue.stop() }
      let wanted: Set = ["worker-0", "reserve-normal", "watchdog"]
      var found: Set<String> = []
      // A thread names itself when it begins.
      while !found.isSuperset(of: wanted) {
        for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
          let name = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
          if let name { found.insert(name.trimmingCharacters(in: .newlines)) }
        }
      }
    }
  #endif
}
