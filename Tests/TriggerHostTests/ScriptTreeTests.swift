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

  // MARK: Copies that tools leave

  private static func script(_ n: Int = 0) -> [UInt8] {
    Array("return { on = { event = 'x' }, execute = function() return \(n) end }".utf8)
  }

  @Test(arguments: [
    "x.sync-conflict-20260102-030405-ABCDEFG.lua", "x.sync-conflict-20260102-030405.lua",
    "x (conflicted copy 2026-01-02).lua", "x (Ada's conflicted copy 2026-01-02).lua",
    "x (conflicted copy 2026-01-02 030405).lua", "x_conflict-20260102-030405.lua", "x_LOCAL_123.lua",
    "x_BASE_4.lua", "x_REMOTE_77.lua", "x_BACKUP_77.lua",
  ])
  func aCopyOfAConflictNeverRuns(name: String) {
    for directory in ["", "sub/"] {
      let tree = ScriptTree(files: [directory + name: Self.script()])
      #expect(tree.triggers.isEmpty)
      #expect(
        tree.problems.map(\.description) == [
          "\(directory + name): passed over: by its name a copy of \(directory)x.lua; rename it if it is to run"
        ])
      #expect(tree.problems.allSatisfy { $0.severity == .warning })
    }
  }

  @Test(arguments: [
    "x copy.lua", "x copy 2.lua", "x - Copy.lua", "x - Copy (2).lua", "x (copy).lua", "x (another copy).lua",
    "x (3rd copy).lua", "x (1).lua", "Copy of x.lua",
  ])
  func aCopyBesideItsOriginalDoesNotRun(name: String) {
    let tree = ScriptTree(files: [name: Self.script(1), "x.lua": Self.script(2)])
    #expect(tree.triggers.map(\.path) == ["x.lua"])
    #expect(tree.problems.map(\.severity) == [.warning])
    // Alone it is a script with a strange name, and beside another one too.
    #expect(ScriptTree(files: [name: Self.script(1)]).triggers.map(\.path) == [name])
    #expect(ScriptTree(files: [name: Self.script(1), "sub/x.lua": Self.script(2)]).triggers.count == 2)
  }

  @Test(arguments: [
    "x_LOCAL.lua", "LOCAL_1.lua", "copy.lua", "a copy of orders.lua", "sync-conflict.lua", "x_conflict.lua",
    "conflicted copy.lua", "(1).lua", "copy/x.lua", "x copy/y.lua",
  ])
  func namesThatAreNoCopies(name: String) {
    let tree = ScriptTree(files: [name: Self.script(1), "x.lua": Self.script(2)])
    #expect(tree.triggers.count == 2 && tree.problems.isEmpty, "\(tree.problems)")
  }

  /// Both run, since their names say nothing: whoever wants that is told.
  @Test func twoScriptsThatAreTheSame() {
    let tree = ScriptTree(files: ["a.lua": Self.script(), "b.lua": Self.script(), "c.lua": Self.script(3)])
    #expect(tree.triggers.count == 3)
    #expect(
      tree.problems.map(\.description) == [
        "b.lua: the same as a.lua, and both run: whatever they do happens twice"
      ])
  }

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
}
