import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// A tree of scripts and its changes: what is checked anew, what is refused, what goes live.
@Suite struct ScriptUpdateTests {
  private static let files = [
    "a.lua": "local m = require 'lib.m' return { on = { event = m.name }, execute = function() end }",
    "b.lua": "return { on = { event = 'b' }, execute = function() return require('lib.lazy').x end }",
    "c.lua": "local n = require 'n' return { on = { event = n }, execute = function() end }",
    "lib/m.lua": "return { name = require('lib.deep').name }",
    "lib/deep.lua": "return { name = 'deep' }",
    "lib/lazy.lua": "return { x = {} }",
    "lib/n.lua": "return 'n'",
    "a_test.lua": "not even Lua",
    "notes.txt": "what I wanted to do",
  ]
  private let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })

  private func changes(_ texts: [String: String?]) -> FileChanges {
    var changes = FileChanges()
    for (path, text) in texts { changes[path] = text.map { .written(FileContent($0)) } ?? .removed }
    return changes
  }

  private func update(_ texts: [String: String?]) throws -> ScriptTree.Update {
    try tree.updated(with: changes(texts)).get()
  }

  private func refusal(_ texts: [String: String?]) -> [String] {
    guard case .failure(let refusal) = tree.updated(with: changes(texts)) else { return ["taken"] }
    return refusal.problems.map { String($0.description.prefix { $0 != "\n" }) }
  }

  private func bindings(_ tree: ScriptTree, _ name: String) -> [String]? {
    tree.triggers.first { $0.name == name }?.options.on.map(\.pattern)
  }

  @Test func modulesReachTheirTriggers() throws {
    #expect(tree.problems.isEmpty && bindings(tree, "a") == ["deep"])
    let deep = try update(["lib/deep.lua": "return { name = 'deeper' }"])
    #expect(bindings(deep.tree, "a") == ["deeper"])
    #expect(deep.triggers == ScriptTree.TriggerDifference(changed: ["a"]))
    #expect(deep.files.modified == ["lib/deep.lua"])
    // What is required while it runs, not while it loads, does not change what its table says.
    #expect(try update(["lib/lazy.lua": "return { x = 1 }"]).triggers == ScriptTree.TriggerDifference())
    #expect(try update(["notes.txt": "done", "a_test.lua": "("]).triggers == ScriptTree.TriggerDifference())
    // The tree before is as it was.
    #expect(bindings(tree, "a") == ["deep"])
  }

  @Test func triggersComeAndGo() throws {
    let update = try update([
      "new.lua": "return { on = { event = 'x' }, execute = function() end }", "b.lua": nil,
      "c.lua": "return { on = { event = 'c2' }, execute = function() end }",
    ])
    #expect(update.triggers == ScriptTree.TriggerDifference(added: ["new"], changed: ["c"], removed: ["b"]))
    #expect(update.tree.triggers.map(\.name) == ["a", "c", "new"])
    #expect(update.tree.contents["b.lua"] == nil && update.tree.files.count == Self.files.count)
  }

  /// What a script throws need not say where: its traceback does.
  @Test func errorsHaveAPlace() {
    #expect(refusal(["b.lua": "\nerror({})"]) == ["b.lua:2: table"])
    #expect(refusal(["b.lua": "\n\nerror('no', 0)"]) == ["b.lua:3: no"])
    #expect(refusal(["b.lua": "error()"]) == ["b.lua:1: nil"])
    #expect(
      refusal(["lib/deep.lua": "\nerror({})"]) == [
        "lib/deep.lua:2: table", "a.lua:1: needs lib/deep.lua, which does not load",
      ])
  }

  @Test func whereRequireLooksFirst() throws {
    // `n` was found as lib/n.lua; n/init.lua comes before it, and is no name.
    let folder = "return { on = { event = 'q' }, execute = function() end }"
    let refused = refusal(["n/init.lua": folder])
    #expect(refused.count == 1 && refused.first?.hasPrefix("c.lua:1: on.event must be a string") == true)
    let both = try update(["n/init.lua": folder, "c.lua": "return require 'n'"])
    #expect(both.triggers == ScriptTree.TriggerDifference(added: ["n/init"], changed: ["c"]))
    #expect(bindings(both.tree, "c") == ["q"])
  }

  @Test func refusesWhatIsBroken() throws {
    #expect(refusal(["b.lua": "return {"]) == ["b.lua:1: unexpected symbol near <eof>"])
    #expect(
      refusal(["lib/deep.lua": "error 'no'"]) == [
        "lib/deep.lua:1: no", "a.lua:1: needs lib/deep.lua, which does not load",
      ])
    #expect(
      refusal(["lib/n.lua": nil]) == [
        "c.lua:1: module 'n' not found (tried n.lua, n/init.lua, lib/n.lua, lib/n/init.lua, lua_modules/share/lua/5.4/n.lua, lua_modules/share/lua/5.4/n/init.lua)"
      ])
    #expect(refusal(["lib/unused.lua": "("]) == ["lib/unused.lua:1: unexpected symbol near <eof>"])
    #expect(
      refusal(["d.lua": "return { name = 'b', on = { event = 'd' }, execute = function() end }"]) == [
        "d.lua:1: a trigger named 'b' is already in b.lua; give one of them a name"
      ])
    // A warning is no reason.
    let unbound = try update(["d.lua": "return { execute = function() end }"])
    #expect(unbound.tree.problems.map(\.severity) == [.warning])
  }

  @Test func brokenFromTheStartIsNoReason() throws {
    let broken = ScriptTree(files: [
      "bad.lua": Array("return { on = {".utf8), "needs.lua": Array("return require 'lib.later'".utf8),
      "good.lua": Array("return { on = { event = 'x' }, execute = function() end }".utf8),
    ])
    #expect(broken.triggers.map(\.name) == ["good"] && broken.problems.count == 2)
    let other = try broken.updated(
      with: changes(["good.lua": "return { on = { event = 'y' }, execute = function() end }"])
    ).get()
    #expect(bindings(other.tree, "good") == ["y"] && other.tree.problems.count == 2)
    // The module that was missing.
    let later = try broken.updated(
      with: changes(["lib/later.lua": "return { on = { event = 'z' }, execute = function() end }"])
    ).get()
    #expect(bindings(later.tree, "needs") == ["z"] && later.triggers.added == ["needs"])
    // Saved again, and still broken.
    let again = broken.updated(with: changes(["bad.lua": "return {"]))
    #expect(throws: ScriptTree.Refusal.self) { try again.get() }
  }

  /// However a tree came about, it is what its files make of it.
  @Test func property() throws {
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    let modules = ["lib/m0.lua", "lib/m1.lua", "lib/m2.lua", "lib/m3/init.lua", "m2.lua"]
    func text(_ path: String) -> String? {
      let required = ["lib.m0", "lib.m1", "m2", "m3", "lib.m3"][random.below(5)]
      let other = ["lib.m0", "lib.m1", "m2", "m3", "lib.m3"][random.below(5)]
      switch random.below(8) {
      case 0: return nil
      case 1: return ["(", "error 'no'", "return 1", "return { execute = 1 }"][random.below(4)]
      case 2:
        return "local count = 0 return { on = { event = 'e' }, execute = function() count = count + 1 end }"
      case 3:
        return
          "local m = require '\(required)' return { on = { event = tostring(m) }, execute = function() return m end }"
      case 4: return "pcall(require, '\(required)') return { require '\(other)', execute = function() end }"
      case 5:
        return
          "return { on = { event = 'x\(random.below(3))' }, name = 'n\(random.below(4))', execute = print }"
      default: return "return { on = { event = 'e\(random.below(9))' }, execute = function() end }"
      }
    }
    for _ in 0..<40 {
      var tree = ScriptTree(FileTree())
      for _ in 0..<25 {
        var changes = FileChanges()
        for _ in 0...random.below(4) {
          let path = random.chance(1, 2) ? modules[random.below(5)] : "t\(random.below(5)).lua"
          changes[path] = text(path).map { .written(FileContent($0)) } ?? .removed
        }
        var contents = tree.contents
        contents.apply(changes)
        let whole = ScriptTree(contents)
        switch tree.updated(with: changes) {
        case .success(let update):
          #expect(
            update.tree.problems.map(\.description) == whole.problems.map(\.description), "seed \(seed)")
          #expect(update.tree.triggers.map(\.path) == whole.triggers.map(\.path), "seed \(seed)")
          #expect(update.tree.modules == whole.modules, "seed \(seed)")
          #expect(
            update.tree.triggers.map(\.options.on) == whole.triggers.map(\.options.on), "seed \(seed)")
          tree = update.tree
        case .failure(let refusal):
          let known = Set(whole.problems.map(\.description))
          for problem in refusal.problems { #expect(known.contains(problem.description), "seed \(seed)") }
          #expect(!refusal.problems.isEmpty)
          // Taken all the same, so that the next step starts from broken files too.
          if random.chance(1, 3) { tree = whole }
        }
      }
    }
  }
}
