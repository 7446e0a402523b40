import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// Scripts that are replaced while they run: each operation uses one tree, the one in force when it was dequeued.
@Suite struct ReloadTests {
  private static func tree(_ version: Int, also extra: [String: String] = [:]) -> ScriptTree {
    var files = [
      "lib/version.lua": "return { number = \(version) }",
      "write.lua": """
      local version = require "lib.version"
      return { on = { event = "e" }, execute = function(event, ctx)
        local store = ctx:store("s")
        local before = store:get("k" .. event.n % 5)
        local again = require "lib.version"
        return { store:put("k" .. event.n % 5, { version = version.number, again = again.number, own = \(version) }) }
      end }
      """,
    ]
    files.merge(extra) { $1 }
    var tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    precondition(tree.problems.isEmpty, "\(tree.problems)")
    tree.identity = ScriptTree.Identity(number: version, time: Int64(version), seed: 0)
    return tree
  }

  @Test(arguments: [1, 2, 4]) func everyOperationUsesOneTree(workers: Int) async throws {
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: workers), log: log)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: Self.tree(1))
    queue.start()
    for version in 2...12 {
      for n in 0..<200 { try await queue.enqueue(Event("e", ["n": .int(Int64(n))], source: UInt64(n % 7))) }
      let result = try await queue.replaceScripts(with: Self.tree(version))
      #expect(result.outcome == .committed)
    }
    for n in 0..<50 { try await queue.enqueue(Event("e", ["n": .int(Int64(n))])) }
    await queue.waitUntilIdle()
    var current = 1
    for record in log.all {
      if record.trigger == ReservedTrigger.scripts {
        guard case .map(let event) = try record.payload.withUnsafeBytes({ try CanonicalEncoding.decode($0) })
        else { return #expect(Bool(false)) }
        current += 1
        #expect(event["tree"] == .int(Int64(current)))
        continue
      }
      // A deferred operation keeps what it had.
      if record.identity == record.seq { #expect(record.tree == current, "seq \(record.seq)") }
      let version = Value.int(Int64(record.tree))
      guard let intent = record.intents.first else { continue }
      let value = try intent.value.withUnsafeBytes { try CanonicalEncoding.decode($0) }
      #expect(value == ["version": version, "again": version, "own": version], "seq \(record.seq)")
    }
    #expect(current == 12)
    #expect(coordinator.stats.failed == 0 && coordinator.stats.skipped == 0)
    #expect(coordinator.stats.committed == 11 * 200 + 50 + 11)
    await queue.stop()
  }

  @Test func whatHasVanishedIsSkippedAndWhatRunsGoesOn() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    let gone = """
      return { on = { event = "gone" }, timeout = "5s", execute = function(event, ctx)
        local x = 0
        for i = 1, event.loops do x = x + i end
        return { ctx:store("s"):put("gone" .. event.n, x) }
      end }
      """
    queue.bind([], scripts: Self.tree(1, also: ["gone.lua": gone]))
    queue.start()
    // The first is dequeued by the one worker; the second waits behind it, as does the reload.
    async let first = queue.perform(Event("gone", ["n": 1, "loops": 5_000_000]))
    try await wait(for: "the first") { await coordinator.waitUntil { $0.undecided + $0.committed > 0 } }
    async let second = queue.perform(Event("gone", ["n": 2, "loops": 1], priority: .low))
    let reload = try await queue.replaceScripts(with: Self.tree(2))
    #expect(reload.outcome == .committed)
    #expect(try await first.map(\.outcome) == [.committed])
    let outcomes = try await second.map(\.outcome)
    #expect(outcomes == [.skipped] || outcomes == [])  // [] when it came after the reload
    #expect(try await queue.perform(Event("gone", ["n": 3, "loops": 1])).isEmpty)
    await queue.stop()
  }

  @Test func oldTreesAreLetGo() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: Self.tree(1))
    queue.start()
    weak let old = coordinator.engine.triggersInForce
    for version in 2...40 {
      try await queue.replaceScripts(with: Self.tree(version))
      _ = try await queue.perform(Event("e", ["n": 1]))
    }
    #expect(old == nil)
    #expect(coordinator.engine.withState { $0.sets.numbers.count } <= 3)
    await queue.stop()
  }

  /// An operation that was deferred before the host's last stop keeps its scripts, although others are put in
  /// force, more than once, before anything of the earlier run has left the intake.
  @Test func whatAnEarlierRunHasLeftKeepsItsScripts() async throws {
    let slow = """
      return { on = { event = "slow" }, priority = "low", timeout = "100s", execute = function(event, ctx)
        if not ctx:store("s"):get("quick") then while true do end end
        return { ctx:store("s"):put("slow", require("lib.version").number) }
      end }
      """
    let quick = """
      return { on = { event = "quick" }, priority = "high", execute = function(event, ctx)
        return { ctx:store("s"):put("quick", true) }
      end }
      """
    let trees = (1...5).map { Self.tree($0, also: ["slow.lua": slow, "quick.lua": quick]) }
    let before = MemoryCommitLog()
    // It has its snapshot when it reads: what comes after that it does not see.
    let isReading = Watched(false)
    var configuration = EngineConfiguration(workers: 1)
    configuration.interruption = { isReading.update { $0 = true } }
    let first = CommitCoordinator(configuration, log: before)
    let firstQueue = TriggerQueue(first)
    firstQueue.bind([], scripts: trees[0])
    firstQueue.start()
    try await firstQueue.enqueue(Event("slow"))
    try await isReading.wait(for: "the slow one") { $0 }
    _ = try await firstQueue.perform(Event("quick"))
    await firstQueue.stop()
    #expect(first.executionRecord(for: 1)?.state == .decided(.deferred))

    let after = MemoryCommitLog()
    let second = CommitCoordinator(EngineConfiguration(workers: 1), log: after)
    try second.recover(scripts: { trees[$0 - 1] }) { recovery in
      for record in before.all { try recovery.apply(record) }
    }
    let queue = TriggerQueue(second)
    queue.bind([], scripts: trees[1])
    let engine = SteppedEngine(queue)
    defer { engine.end() }
    for tree in trees[2...] {
      queue.bind([], scripts: tree)
      // Memory that was let go is used for something else.
      _ = (0..<100).map { _ in Self.tree(99) }
    }
    while engine.unfinished > 0 {
      guard engine.exchange(0) > 0 else { continue }
      while engine.begin(0) { engine.end(0) }
    }
    let record = try #require(after.all.first)
    #expect(record.identity == 1 && record.tree == 1 && record.outcome == .committed)
    let value = try record.intents.first?.value.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    #expect(value == 1)
  }

  @Test func schedulesAndSwiftTriggersStay() async throws {
    struct Note: Trigger {
      let store: VersionedStore<MemoryStoreBackend>
      var options: TriggerOptions {
        var options = TriggerOptions()
        options.on = [EventPattern(.event, "note")]
        return options
      }
      func execute() async throws -> [CommitIntent] { [store.put("noted", true)] }
    }
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("notes", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.bind([Note(store: store)], scripts: Self.tree(1))
    queue.start()
    try await queue.replaceScripts(with: Self.tree(2))
    #expect(try await queue.perform(Event("note")).map(\.outcome) == [.committed])
    #expect(try store.get("noted") == true)
    await queue.stop()
  }
}
