import Testing
import TriggerCore

@testable import TriggerHost
@testable import TriggerReplay

/// A worker goes on with what it has loaded where the new scripts would give the same: seen in what it reads, and in
/// what executions give, compared with loads of the whole tree.
@Suite struct ReloadReuseTests {
  /// Runs each tree in turn on one worker, with two events for every trigger; gives what it has read of the files
  /// of each tree.
  private func run(_ contents: [[String: String]]) throws -> [Set<String>] {
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: log)
    let queue = TriggerQueue(coordinator)
    // No reserve worker may come to help, and load everything for itself.
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    var (trees, read) = ([Int: ScriptTree](), [Set<String>]())
    for (index, files) in contents.enumerated() {
      var tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
      #expect(tree.problems.isEmpty, "\(tree.problems)")
      tree.identity = ScriptTree.Identity(
        number: index + 1, time: Int64(index + 1) * 1_000_000_000, seed: UInt64(index))
      trees[index + 1] = tree
      queue.bind([], scripts: tree)
      for _ in 0..<2 { _ = try queue.offer(Event("e")) }
      while engine.unfinished > 0 {
        _ = engine.exchange(0)
        while engine.begin(0) { engine.end(0) }
      }
      read.append(coordinator.engine.triggersInForce.tree!.sources.pathsRead)
    }
    for record in log.all { #expect(record.outcome == .committed, "\(record.error ?? "")") }
    let verification = Verification(workers: 1) { trees[$0] }
    for record in log.all where try !verification.check(record) { break }
    #expect(verification.finish().difference == nil)
    return read
  }

  /// A trigger that stores the value of an expression; what stands before it runs once, when it is loaded.
  private func trigger(_ before: String, _ expression: String) -> String {
    """
    \(before)
    return { on = { event = "e" }, execute = function(event, ctx)
      return { ctx:store("s"):put(ctx.trigger, \(expression)) }
    end }
    """
  }

  @Test func whatIsTheSameIsNotReadAgain() throws {
    let one = [
      "a.lua": trigger("local m = require 'lib.m'", "{ m.x, require('lib.m') == m }"),
      "b.lua": trigger(
        "local deep = require 'lib.deep'", "{ deep.x, require('lib.m').x, require('lib.deep') == deep }"),
      "c.lua": trigger("", "{ require('lib.lazy').x }"), "lib/m.lua": "return { x = 1 }",
      "lib/deep.lua": "return { x = require('lib.n') }", "lib/n.lua": "return 1",
      "lib/lazy.lua": "return { x = require('lib.n') }",
    ]
    var two = one
    two["lib/n.lua"] = "return 2"
    var three = two
    three["c.lua"] = trigger("", "{ require('lib.m').x }")
    three["lib/m.lua"] = "return setmetatable({ x = 3 }, { __index = { y = 4 } })"
    let read = try run([one, two, three, three])
    #expect(read[0] == Set(one.keys))
    #expect(read[1] == ["lib/n.lua"])
    #expect(read[2] == ["c.lua", "lib/m.lua"])
    #expect(read[3].isEmpty)
  }

  /// Clock and randomness are the tree's while chunks load.
  @Test func clockAndRandomnessAreOfTheNewTree() throws {
    let files = [
      "time.lua": trigger("local t = os.time()", "t"),
      "date.lua": trigger("local m = require 'lib.date'", "m.d"),
      "dice.lua": trigger("local r = math.random(1000000)", "r"),
      "late.lua": trigger(
        "local m = require 'lib.date'", "{ require('lib.date') == m, math.random(5), os.time() }"),
      "caught.lua": trigger("local ok = pcall(function() if os.time() > 1 then error() end end)", "ok"),
      "lib/date.lua": "return { d = os.date('%S') }", "plain.lua": trigger("", "1"),
    ]
    var other = files
    other["plain.lua"] = trigger("", "2")
    _ = try run([files, other, files])
  }

  /// A file that was looked for in vain, or that hides another.
  @Test func newFilesAreFound() throws {
    let files = [
      "a.lua": trigger("local ok, m = pcall(require, 'opt') m = ok and m.x or 0", "m"),
      "b.lua": trigger("local m = require 'n'", "m.x"), "lib/n.lua": "return { x = 1 }",
      "c.lua": trigger("local p = package.searchpath('extra', 'lib/?.lua')", "tostring(p)"),
    ]
    var more = files
    more["lib/opt.lua"] = "return { x = 5 }"
    more["n/init.lua"] = "return { x = 2 }"
    more["lib/extra.lua"] = "return 1"
    _ = try run([files, more, files])
  }

  /// State that a chunk leaves is new for each execution, before and after a reload.
  @Test func whatCannotBeKeptRunsAnew() throws {
    let files = [
      "count.lua": trigger("local n = 0 local function up() n = n + 1 return n end", "up()"),
      "list.lua": trigger("local list = {}", "(function() list[#list + 1] = 1 return #list end)()"),
      "module.lua": trigger("local m = require 'lib.count'", "m.up()"),
      "lib/count.lua": "local n = 0 return { up = function() n = n + 1 return n end }",
      "class.lua": trigger(
        "local C = {} C.__index = C function C.new() return setmetatable({ v = 1 }, C) end",
        "{ C.new().v, getmetatable(C.new()) == C }"), "plain.lua": trigger("", "1"),
    ]
    var other = files
    other["plain.lua"] = trigger("", "2")
    _ = try run([files, other, other, files])
  }
}
