import TestSupport
import Testing
import TriggerCore

import TriggerHost

/// Scans and counts see their snapshot while keys come and go right beside theirs. Here scripts say so themselves: no
/// model, nothing of the engine's.
@Suite(.serialized) struct SnapshotScanTests {
  private func host(
    _ scripts: [String: String], workers: Int
  ) -> (coordinator: CommitCoordinator, queue: TriggerQueue) {
    var configuration = EngineConfiguration(workers: workers)
    configuration.commitsPerReclaim = 3
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    let tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    queue.bind([], scripts: tree)
    queue.start()
    return (coordinator, queue)
  }

  private func errors(of coordinator: CommitCoordinator) -> [String] {
    let seqs = 1...max(1, coordinator.stats.currentSeq)
    return Array(seqs.lazy.compactMap { coordinator.executionRecord(for: $0)?.error }.prefix(3))
  }

  /// Ten keys that nobody touches, counted again and again while hundreds are put before them.
  @Test(arguments: [2, 4])
  func whatNobodyTouchesIsAllThere(workers: Int) async throws {
    let (coordinator, queue) = host(
      [
        "begin.lua": """
        return { on = { event = "begin" }, execute = function(event, ctx)
          local intents = {}
          for i = 1, 10 do intents[i] = ctx:store("s"):put("z/" .. i, i) end
          return intents
        end }
        """,
        "put.lua": """
        return { on = { event = "put" }, timeout = "1m", execute = function(event, ctx)
          local intents = {}
          for i = 1, 300 do intents[i] = ctx:store("s"):put("y/" .. event.n .. "/" .. i, i) end
          return intents
        end }
        """,
        "count.lua": """
        return { on = { event = "count" }, timeout = "1m", execute = function(event, ctx)
          local store = ctx:store("s")
          for _ = 1, 200 do
            local count = store:count("z/")
            if count ~= 10 then error("counted " .. count) end
          end
          local sum = 0
          for _, value in store:scan("z/") do sum = sum + value end
          if sum ~= 55 then error("summed up " .. sum) end
          return { ctx:store("t"):add("counts", 1) }
        end }
        """,
      ], workers: workers)
    defer { queue.stop() }
    _ = try await queue.perform(Event("begin"))
    for number in 0..<100 {
      try await queue.enqueue(Event("put", ["n": .int(Int64(number))], source: 1))
      for source in 2..<5 { try await queue.enqueue(Event("count", [:], source: UInt64(source))) }
    }
    await queue.waitUntilIdle()
    let stats = coordinator.stats
    #expect(stats.failed == 0, "\(errors(of: coordinator))")
    #expect(try coordinator.store("t").get("counts") == 300)
    #expect(try coordinator.store("s").scan(prefix: "y/").count == 30_000)
  }

  /// Whoever adds or deletes a key counts it too, in another store: the two are equal in every snapshot. And every
  /// key tells how many follow it, so that none is missing in the middle.
  @Test(arguments: [2, 3, 4])
  func countAndCounterAreEqual(workers: Int) async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let (coordinator, queue) = host(
      [
        "change.lua": """
        return { on = { event = "change" }, timeout = "1m", execute = function(event, ctx)
          local store, counters = ctx:store("s"), ctx:store("counters")
          local intents, steps = {}, {}
          for _, key in ipairs(event.keys) do
            local group = key:match("^[^/]*/")
            local isThere = store:get(key) ~= nil
            intents[#intents + 1] = store:put(key, not isThere and key or nil)
            intents[#intents + 1] = counters:add(group, isThere and -1 or 1)
            intents[#intents + 1] = counters:add("all", isThere and -1 or 1)
          end
          return intents
        end }
        """,
        "check.lua": """
        return { on = { event = "check" }, timeout = "1m", execute = function(event, ctx)
          local store, counters = ctx:store("s"), ctx:store("counters")
          for _ = 1, 20 do
            local group = event.group
            local count, counter = store:count(group), counters:get(group) or 0
            if count ~= counter then error(group .. " has " .. count .. ", the counter says " .. counter) end
            local scanned, last = 0, ""
            for key, value in store:scan(group) do
              if key ~= value or key <= last then error(key .. " is " .. value .. " after " .. last) end
              scanned, last = scanned + 1, key
            end
            if scanned ~= counter then error("scanned " .. scanned .. ", the counter says " .. counter) end
          end
          local all = store:count("")
          if all ~= (counters:get("all") or 0) then error("there are " .. all) end
          return { ctx:store("t"):add("checks", 1) }
        end }
        """,
      ], workers: workers)
    defer { queue.stop() }
    let groups = ["a/", "b/", "ba/", "c/"]
    for _ in 0..<400 {
      let keys = Set(
        (0..<Int.random(in: 1...20, using: &random)).map { _ in
          groups.randomElement(using: &random)! + "\(Int.random(in: 0..<60, using: &random))"
        })
      try await queue.enqueue(
        Event(
          "change", ["keys": .array(keys.sorted().map { .string($0) })],
          source: UInt64.random(in: 0..<3, using: &random)))
      try await queue.enqueue(
        Event(
          "check", ["group": .string(groups.randomElement(using: &random)!)],
          source: UInt64.random(in: 10..<14, using: &random)))
    }
    await queue.waitUntilIdle()
    #expect(coordinator.stats.failed == 0, "seed \(seed): \(errors(of: coordinator))")
    #expect(try coordinator.store("t").get("checks") == 400)
  }
}
