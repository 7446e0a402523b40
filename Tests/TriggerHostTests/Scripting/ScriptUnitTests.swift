import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// What goes live of what was saved when something of it does not load, and what waits.
@Suite struct ScriptUnitTests {
  typealias Reason = ScriptReload.Held.Reason

  private static func trigger(_ event: String, needs module: String? = nil, name: String? = nil) -> String {
    let require = module.map { "local m = require '\($0)' " } ?? ""
    return
      "\(require)return { on = { event = '\(event)' }, \(name.map { "name = '\($0)', " } ?? "")execute = function() end }"
  }

  private static func tree(_ texts: [String: String]) -> FileTree {
    FileTree(texts.mapValues { FileContent($0) })
  }

  private func changes(_ texts: [String: String?]) -> FileChanges {
    var changes = FileChanges()
    for (path, text) in texts { changes[path] = text.map { .written(FileContent($0)) } ?? .removed }
    return changes
  }

  /// A directory, and a host that follows it.
  private struct Project {
    var directory: FileTree
    var reload: ScriptReload

    init(_ texts: [String: String]) {
      directory = ScriptUnitTests.tree(texts)
      reload = ScriptReload(directory)
    }

    /// Why which files wait.
    var held: [String: Reason] { Dictionary(uniqueKeysWithValues: reload.held.map { ($0.path, $0.reason) }) }
    var said: [String] { reload.problems.map { String($0.description.prefix { $0 != "\n" }) } }

    /// The first event of each trigger in force.
    var events: [String: String] {
      Dictionary(uniqueKeysWithValues: reload.tree.triggers.map { ($0.name, $0.options.on[0].pattern) })
    }

    @discardableResult
    mutating func save(_ changes: FileChanges, _ problems: [FileProblem] = []) -> ScriptReload.Step {
      directory.apply(changes)
      let step = reload.apply(changes, problems: problems)
      #expect(restarted(problems).tree.contents == reload.tree.contents)
      return step
    }

    /// As a host begins on what this one has kept.
    func restarted(_ problems: [FileProblem] = []) -> ScriptReload {
      let waiting = reload.held.compactMap { held in
        held.burst.map { ScriptReload.Waiting(path: held.path, burst: $0, content: held.content?.id) }
      }
      return ScriptReload(directory, after: reload.tree, problems: problems, waiting: waiting)
    }
  }

  @Test func aBrokenFileHoldsBackNoOther() {
    var project = Project(["bad.lua": Self.trigger("b1"), "good.lua": Self.trigger("g1")])
    for broken in ["return {", "error 'no'", "return { on = { event = 5 }, execute = print }", "return 5"] {
      project.save(changes(["bad.lua": broken]))
      #expect(project.held == ["bad.lua": .broken], "\(broken)")
      #expect(project.said.count == 1 && project.said[0].hasPrefix("bad.lua:1: "), "\(project.said)")
      let step = project.save(changes(["good.lua": Self.trigger("g2")]))
      #expect(step.update.triggers == ScriptTree.TriggerDifference(changed: ["good"]))
      #expect(project.events == ["bad": "b1", "good": "g2"])
      project.save(changes(["good.lua": Self.trigger("g1")]))
    }
    // Another that breaks, and each mended by itself.
    project.save(changes(["good.lua": "("]))
    #expect(project.held == ["bad.lua": .broken, "good.lua": .broken] && project.said.count == 2)
    project.save(changes(["bad.lua": Self.trigger("b3")]))
    #expect(project.events == ["bad": "b3", "good": "g1"] && project.held == ["good.lua": .broken])
    // Removed, it is gone; a new one that never worked is as if it were not there.
    project.save(changes(["good.lua": nil, "new.lua": "("]))
    #expect(project.held == ["good.lua": .savedWith("new.lua"), "new.lua": .broken])
    project.save(changes(["new.lua": nil]))
    #expect(project.events == ["bad": "b3"] && !project.reload.isWaiting)
  }

  /// A module with a mistake of its own is at fault, though a broken file in force has required it: whoever was saved with
  /// it waits for it when it is saved again.
  @Test func aBrokenModuleOfABrokenFileIsAtFault() {
    var project = Project([
      "lib/m.lua": "return {}", "user.lua": Self.trigger("u1", needs: "lib.m"),
      "other.lua": Self.trigger("o1"),
    ])
    project.save(changes(["lib/m.lua": "(", "other.lua": "return {"]))
    project.save(changes(["user.lua": "return {"]))
    #expect(project.held == ["lib/m.lua": .broken, "other.lua": .broken, "user.lua": .broken])
    #expect(project.said.map { $0.prefix { $0 != ":" } } == ["lib/m.lua", "other.lua", "user.lua"])
    project.save(changes(["lib/m.lua": "return { new = true }"]))
    #expect(
      project.held == ["lib/m.lua": .savedWith("other.lua"), "other.lua": .broken, "user.lua": .broken])
  }

  /// A rename of a broken file does not stop what runs.
  @Test func renamed() {
    var project = Project(["bad.lua": Self.trigger("b1")])
    project.save(changes(["bad.lua": "("]))
    project.save(changes(["bad.lua": nil, "worse.lua": "("]))
    #expect(project.events == ["bad": "b1"])
    #expect(project.held == ["bad.lua": .savedWith("worse.lua"), "worse.lua": .broken])
    project.save(changes(["worse.lua": Self.trigger("w")]))
    #expect(project.events == ["worse": "w"] && !project.reload.isWaiting)
  }

  @Test func whatWasSavedTogetherWaitsTogether() {
    var project = Project([
      "a.lua": Self.trigger("a1"), "b.lua": Self.trigger("b1"), "c.lua": Self.trigger("c1"),
    ])
    project.save(changes(["a.lua": "(", "b.lua": Self.trigger("b2"), "n.lua": Self.trigger("n")]))
    #expect(
      project.held == ["a.lua": .broken, "b.lua": .savedWith("a.lua"), "n.lua": .savedWith("a.lua")])
    #expect(project.reload.held.map(\.isInForce) == [true, true, false])
    project.save(changes(["c.lua": Self.trigger("c2")]))
    #expect(project.events == ["a": "a1", "b": "b1", "c": "c2"])
    // Saved again, and still broken: they wait for it as before.
    project.save(changes(["a.lua": "return {"]))
    #expect(project.held.count == 3 && project.events["b"] == "b1")
    // Saved again by itself, it belongs to that.
    project.save(changes(["b.lua": Self.trigger("b3")]))
    #expect(project.events == ["a": "a1", "b": "b3", "c": "c2"])
    project.save(changes(["a.lua": Self.trigger("a4")]))
    #expect(project.events == ["a": "a4", "b": "b3", "c": "c2", "n": "n"] && !project.reload.isWaiting)
    // Back to what runs.
    project.reload.identify(ScriptTree.Identity(number: 4, time: 1, seed: 2))
    project.save(changes(["a.lua": "("]))
    let step = project.reload.apply(changes(["a.lua": Self.trigger("a4")]))
    #expect(step.update.files.isEmpty && step.update.tree.identity?.number == 4 && step.held.isEmpty)
  }

  @Test func whatNeedsItWaitsForIt() {
    var project = Project([
      "one.lua": Self.trigger("o1", needs: "lib.m"), "two.lua": Self.trigger("t1", needs: "lib.far"),
      "lazy.lua": "return { on = { event = 'l1' }, execute = function() require 'lib.m' end }",
      "other.lua": Self.trigger("x1"), "lib/m.lua": "return {}", "lib/far.lua": "return require 'lib.m'",
    ])
    #expect(project.said == [])
    project.save(changes(["lib/m.lua": "error 'no'"]))
    #expect(project.held == ["lib/m.lua": .broken])
    #expect(project.said.contains("one.lua:1: needs lib/m.lua, which does not load"), "\(project.said)")
    project.save(changes(["one.lua": Self.trigger("o2", needs: "lib.m")]))
    project.save(changes(["two.lua": Self.trigger("t2", needs: "lib.far")]))
    project.save(
      changes(["lazy.lua": "return { on = { event = 'l2' }, execute = function() require 'lib.m' end }"]))
    project.save(changes(["other.lua": Self.trigger("x2")]))
    #expect(project.events == ["one": "o1", "two": "t1", "lazy": "l1", "other": "x2"])
    let waits = Reason.needs("lib/m.lua")
    #expect(project.held == ["lib/m.lua": .broken, "one.lua": waits, "two.lua": waits, "lazy.lua": waits])
    project.save(changes(["lib/m.lua": "return { new = true }"]))
    #expect(project.events == ["one": "o2", "two": "t2", "lazy": "l2", "other": "x2"])
    // A module that goes although it is needed stays.
    project.save(changes(["lib/far.lua": nil]))
    #expect(project.held == ["lib/far.lua": .breaks("two.lua")] && project.events["two"] == "t2")
  }

  /// A module that an unchanged file cannot do with, and then the user that can.
  @Test func whatDoesNotFitTogether() {
    func user(_ field: String) -> String {
      "local m = require 'lib.m' return { on = { event = m.\(field) }, execute = function() end }"
    }
    var project = Project(["user.lua": user("old"), "lib/m.lua": "return { old = 'o' }"])
    project.save(changes(["lib/m.lua": "return { new = 'n' }"]))
    // Its `on` binds nothing, which is only doubtful: it would be live. One that fails is not.
    project = Project([
      "user.lua": "assert(require('lib.m').old) " + user("old"), "lib/m.lua": "return { old = 'o' }",
    ])
    project.save(changes(["lib/m.lua": "return { new = 'n' }"]))
    #expect(project.held == ["lib/m.lua": .breaks("user.lua")] && project.events == ["user": "o"])
    project.save(changes(["user.lua": user("new")]))
    #expect(project.events == ["user": "n"] && !project.reload.isWaiting)
  }

  /// Without its only user, a module looks like a trigger that is none.
  @Test func aModuleOfABrokenFile() {
    var project = Project([
      "user.lua": Self.trigger("x", needs: "m"), "m.lua": "return { version = 1 }",
    ])
    project.save(changes(["user.lua": "return {"]))
    #expect(project.held == ["user.lua": .broken])
    #expect(project.said.allSatisfy { !$0.contains("m.lua") }, "\(project.said)")
    project.save(changes(["m.lua": "return { version = 2 }"]))
    #expect(project.held == ["user.lua": .broken])
    #expect(project.reload.tree.contents["m.lua"] == FileContent("return { version = 2 }"))
    project.save(changes(["m.lua": "return {"]))
    #expect(Set(project.held.keys) == ["user.lua", "m.lua"])
    #expect(project.said.contains { $0.hasPrefix("m.lua:1:") }, "\(project.said)")
  }

  @Test func oneNameTwice() {
    var project = Project(["b.lua": Self.trigger("b1", name: "n"), "x.lua": Self.trigger("x1")])
    // The newer one waits, whichever comes first by its path, and says so of itself.
    for path in ["a.lua", "c.lua"] {
      project.save(changes([path: Self.trigger("new", name: "n")]))
      #expect(project.held == [path: .broken] && project.events == ["n": "b1", "x": "x1"])
      #expect(project.said == ["\(path):1: a trigger named 'n' is already in b.lua; give one of them a name"])
      project.save(changes([path: nil]))
    }
    project.save(changes(["a.lua": Self.trigger("new", name: "n")]))
    project.save(changes(["b.lua": Self.trigger("b2", name: "m")]))
    #expect(project.events == ["n": "new", "m": "b2", "x": "x1"])
    // Two that agree from the start: as always, the first by its path.
    let twins = ScriptReload(
      Self.tree(["a.lua": Self.trigger("a", name: "n"), "b.lua": Self.trigger("b", name: "n")]))
    #expect(twins.tree.triggers.map(\.path) == ["a.lua"] && twins.held.map(\.path) == ["b.lua"])
  }

  @Test func filesThatCannotBeRead() {
    var project = Project(["a.lua": Self.trigger("a1"), "b.lua": Self.trigger("b1"), "lib/m.lua": "return 1"])
    let large = FileProblem(path: "large.lua", message: "larger than 1 MiB")
    let odd = FileProblem(path: "odd.lua", message: "the link leads nowhere", severity: .warning)
    project.save(changes(["a.lua": Self.trigger("a2")]), [odd, large])
    #expect(project.held == ["a.lua": .savedWith("large.lua"), "large.lua": .unreadable])
    project.save(changes(["b.lua": Self.trigger("b2")]), [odd, large])
    #expect(project.events == ["a": "a1", "b": "b2"])
    project.save(changes([:]), [odd])
    #expect(project.events == ["a": "a2", "b": "b2"] && !project.reload.isWaiting)
    // A whole directory, and everything.
    let lib = FileProblem(path: "lib", message: "permission denied")
    project.save(changes(["lib/m.lua": nil]), [lib])
    #expect(project.reload.tree.contents["lib/m.lua"] != nil && project.held["lib/m.lua"] == .unreadable)
    let gone = FileProblem(path: "", message: "the directory does not exist")
    project.save(changes(["a.lua": nil, "b.lua": nil]), [gone])
    #expect(project.events == ["a": "a2", "b": "b2"])
  }

  /// What changed while nobody looked: the last good version of a broken file keeps what it needs.
  @Test func whileNobodyLooked() {
    let old = Self.tree([
      "user.lua": Self.trigger("u1", needs: "lib.m"), "good.lua": Self.trigger("g1"), "lib/m.lua": "return 1",
    ])
    let new = Self.tree([
      "user.lua": "(", "good.lua": Self.trigger("g2"), "lib/m.lua": "return 2", "new.lua": "(",
    ])
    let reload = ScriptReload(new, after: ScriptTree(old))
    #expect(
      reload.held.map(\.reason) == [.neededBy("user.lua"), .broken, .broken]
        && reload.tree.contents["new.lua"] == nil)
    #expect(reload.tree.triggers.map(\.options.on[0].pattern) == ["g2", "u1"])
    // Without an earlier tree: what loads runs.
    #expect(ScriptReload(new).tree.contents.paths == ["good.lua", "lib/m.lua"])
  }
}
