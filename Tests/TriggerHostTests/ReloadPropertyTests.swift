import Foundation
import TestSupport
import Testing
import TriggerCore

import TriggerHost
import TriggerReplay

/// Random edits, broken files, rollbacks and restarts while operations run, checked against the log: whatever
/// was executed saw the files of one tree, the one in force when it was dequeued, and gives the same again.
@Suite(.serialized) struct ReloadPropertyTests {
  /// The scripts directory of a model. Every text names the edit that wrote it, so what an execution saw of
  /// each file is told by what it stores.
  private struct Directory {
    static let triggers = ["a", "b", "c"]
    static let modules = ["lib/one.lua", "lib/two.lua", "lib/three/init.lua"]
    static let broken = ["return {", "error 'no'", "local x = require 'lib.nowhere' return x"]

    private(set) var edits: [String: Int] = [:]
    private var newest = 0

    init() { for path in Self.modules + Self.triggers.map({ $0 + ".lua" }) { edits[path] = 0 } }

    /// Some files written anew, now and then one removed. `two` needs `three`, triggers need `one` and `two`.
    mutating func edit(_ random: inout SplitMix64Seeded) -> FileChanges {
      newest += 1
      var changes = FileChanges()
      for _ in 0...random.below(4) {
        let path = random.pick(Self.modules + Self.triggers.map { $0 + ".lua" })
        let isRemoved = path == "c.lua" && random.chance(1, 3)
        edits[path] = isRemoved ? nil : newest
        changes[path] = isRemoved ? .removed : .written(FileContent(Self.text(path, newest)))
      }
      return changes
    }

    mutating func goBack(to old: [String: Int]) -> FileChanges {
      var changes = FileChanges()
      for path in Set(old.keys).union(edits.keys) where old[path] != edits[path] {
        changes[path] = old[path].map { .written(FileContent(Self.text(path, $0))) } ?? .removed
      }
      edits = old
      return changes
    }

    static func text(_ path: String, _ edit: Int) -> String {
      switch path {
      case "lib/one.lua", "lib/three/init.lua": "return { edit = \(edit) }"
      case "lib/two.lua": "return { edit = \(edit), three = require('lib.three').edit }"
      default:
        """
        local one = require "lib.one"
        return { on = { event = "e" }, timeout = "20s", execute = function(event, ctx)
          local store = ctx:store("s")
          local before = store:get("hot" .. event.n % 3)
          for i = 1, event.spin do end
          local two = require "lib.two"
          return {
            store:put("hot" .. event.n % 3, event.n),
            store:put(ctx.trigger .. event.n, {
              own = \(edit), one = one.edit, again = require("lib.one").edit, two = two.edit, three = two.three,
            }),
          }
        end }
        """
      }
    }

    /// What an execution of a trigger stores; nil when the tree has no such trigger.
    static func expected(_ edits: [String: Int], _ trigger: String) -> Value? {
      guard let own = edits["\(trigger).lua"], let one = edits["lib/one.lua"], let two = edits["lib/two.lua"],
        let three = edits["lib/three/init.lua"]
      else { return nil }
      return [
        "own": .int(Int64(own)), "one": .int(Int64(one)), "again": .int(Int64(one)),
        "two": .int(Int64(two)), "three": .int(Int64(three)),
      ]
    }
  }

  /// Several lives of a host on one log, and what a history of them must say.
  private final class Run {
    let seed: UInt64
    var random: SplitMix64Seeded
    var directory = Directory()
    var reload: ScriptReload
    /// By number: the tree, and which edit each of its files is of.
    var trees: [Int: (tree: ScriptTree, edits: [String: Int])] = [:]
    var records: [LogRecord] = []
    /// From which seq on a tree is in force, in order.
    var inForce: [(seq: Int64, tree: Int)] = []
    var refusals = 0
    private var sent: Int64 = 0

    init(seed: UInt64) {
      self.seed = seed
      random = SplitMix64Seeded(seed)
      let files = directory.edits.map { ($0, FileContent(Directory.text($0, $1))) }
      reload = ScriptReload(ScriptTree(FileTree(Dictionary(uniqueKeysWithValues: files))))
      name(reload.tree)
    }

    private func name(_ tree: ScriptTree) {
      var tree = tree
      tree.identity = ScriptTree.Identity(number: trees.count + 1, time: Int64(trees.count), seed: seed)
      reload.identify(tree.identity!)
      trees[tree.identity!.number] = (tree, directory.edits)
    }

    private var newest: ScriptTree { trees[trees.count]!.tree }

    /// A burst of saves, the next tree unless it is broken.
    private func save() throws -> ScriptTree? {
      // Once in any case, so that there is something to see.
      let isBroken = random.chance(1, 4) || refusals == 0 && trees.count == 10
      var changes =
        random.chance(1, 5)
        ? directory.goBack(to: trees[1 + random.below(trees.count)]!.edits) : directory.edit(&random)
      if isBroken {
        // In the directory until it is removed with the next burst.
        changes["broken.lua"] = .written(FileContent(random.pick(Directory.broken)))
      } else {
        changes["broken.lua"] = .removed
      }
      let step = reload.apply(changes)
      #expect(!step.problems.isEmpty == isBroken, "seed \(seed): \(step.problems)")
      if isBroken { refusals += 1 }
      // What was saved together with the broken file waits for it.
      #expect(step.update.files.isEmpty || !isBroken, "seed \(seed)")
      if step.update.files.isEmpty { return nil }
      name(step.update.tree)
      return newest
    }

    /// Recovers what was before, and runs until it is stopped in the middle of its work, or until all is done.
    func live(workers: Int, steps: Int, untilIdle: Bool) async throws {
      var configuration = EngineConfiguration(workers: workers)
      configuration.grace = .microseconds(200)
      configuration.hold = .milliseconds(1)
      let log = MemoryCommitLog()
      let coordinator = CommitCoordinator(configuration, log: log)
      let trees = trees
      try coordinator.recover(scripts: { trees[$0]?.tree }) { recovery in
        for record in records { try recovery.apply(record) }
      }
      let queue = TriggerQueue(coordinator)
      queue.bind([], scripts: newest)
      inForce.append(((records.last?.seq ?? 0) + 1, newest.identity!.number))
      queue.start()
      for _ in 0..<steps {
        for _ in 0..<random.below(60) {
          sent += 1
          let spin: Int64 = random.chance(1, 20) ? 200_000 : 0
          try await queue.enqueue(
            Event(
              "e", ["n": .int(sent), "spin": .int(spin)], priority: random.pick(Priority.allCases),
              source: UInt64(random.below(9))))
        }
        guard let tree = try save() else { continue }
        if random.chance(1, 3) {
          try await queue.replaceScripts(with: tree)
        } else {
          let isTaken = queue.offer(scripts: tree) { _ in }
          #expect(isTaken)
        }
      }
      if untilIdle { await queue.waitUntilIdle() }
      await queue.stop()
      for record in log.all {
        if record.trigger == ReservedTrigger.scripts {
          #expect(record.outcome == .committed, "seed \(seed)")
          let event = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
          let number = try #require(event["tree"]?.intValue)
          inForce.append((record.seq, Int(number)))
        }
        records.append(record)
      }
    }

    /// The first record that is not as it must be.
    func firstWrong() throws -> String? {
      var treeless: Set<Int64> = []
      for record in records where record.trigger != ReservedTrigger.scripts {
        let place = "seq \(record.seq) of \(record.trigger), identity \(record.identity)"
        let tree = inForce.last { $0.seq <= record.identity }!.tree
        let expected = Directory.expected(trees[tree]!.edits, record.trigger)
        switch record.outcome {
        // Its trigger was gone when it was dequeued.
        case .deferred where record.tree == 0: treeless.insert(record.identity)
        case .committed where treeless.contains(record.identity),
          .deferred where treeless.contains(record.identity):
          break
        case .deferred:
          if record.tree != tree { return "\(place): deferred with tree \(record.tree), not \(tree)" }
        case .committed:
          if record.tree != tree { return "\(place): of tree \(record.tree), not of \(tree)" }
          let value = try record.intents.last?.value.withUnsafeBytes { try CanonicalEncoding.decode($0) }
          if value == nil || value != expected { return "\(place): \(value as Any), not \(expected as Any)" }
        case .skipped:
          if record.tree != 0 || !record.intents.isEmpty { return "\(place): skipped, with scripts" }
        default: return "\(place): \(record.outcome), \(record.error ?? "")"
        }
      }
      return nil
    }
  }

  /// RELOAD_ROUNDS makes it longer: `RELOAD_ROUNDS=200 swift test --filter ReloadPropertyTests`.
  private static let rounds =
    ProcessInfo.processInfo.environment["RELOAD_ROUNDS"].flatMap { Int($0) } ?? 4

  @Test(arguments: 0..<rounds) func property(round: Int) async throws {
    let run = Run(seed: testSeed() &+ UInt64(round))
    let workers = 1 + round % 4
    for life in 0..<3 { try await run.live(workers: workers, steps: 12, untilIdle: life == 2) }
    let comment: Comment = "seed \(run.seed), round \(round)"
    let wrong = try run.firstWrong()
    #expect(wrong == nil, comment)
    #expect(run.trees.count > 10 && run.refusals > 0, comment)
    let trees = run.trees
    let verification = Verification(workers: 2) { trees[$0]?.tree }
    for record in run.records where try !verification.check(record) { break }
    #expect(verification.finish().difference == nil, comment)
  }
}
