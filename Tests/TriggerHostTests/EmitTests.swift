import Testing
import TriggerCore
import TriggerHost

/// What bounds the events that come of one cause.
@Suite struct EmitTests {
  private func host(
    _ scripts: [String: String], _ change: (inout EngineConfiguration) -> Void = { _ in }
  ) throws -> (CommitCoordinator, TriggerQueue) {
    var configuration = EngineConfiguration(workers: 2)
    // So that each operation has one seq.
    configuration.strictOrder = true
    change(&configuration)
    let tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
    return (coordinator, queue)
  }

  @Test(arguments: [(64, 65), (1, 2), (250, 251), (4000, 251)])
  func aChainEndsAfterItsHops(hops: Int, seqs: Int64) async throws {
    let script =
      "return { on = { event = 'x' }, execute = function(event, ctx) return { ctx:emit('x') } end }"
    let (coordinator, queue) = try host(["x.lua": script]) { $0.maximumHops = hops }
    defer { queue.stop() }
    #expect(try await queue.perform(Event("x"))[0].outcome == .committed)
    await queue.waitUntilIdle()
    #expect(coordinator.stats.currentSeq == seqs)
    #expect(coordinator.stats.failed == 1)
    #expect(coordinator.executionRecord(for: seqs)?.error?.hasPrefix("loop: x emits after") == true)
  }

  /// Two emits a hop would be 2^64 operations.
  @Test func aFamilyIsBounded() async throws {
    let script =
      "return { on = { event = 'x' }, retry = { attempts = 3 }, execute = function(event, ctx) return { ctx:emit('x'), ctx:emit('x') } end }"
    let (coordinator, queue) = try host(["x.lua": script]) { $0.maximumOffspring = 1000 }
    defer { queue.stop() }
    #expect(try await queue.perform(Event("x"))[0].outcome == .committed)
    await queue.waitUntilIdle()
    let stats = coordinator.stats
    #expect(stats.committed == 500 && stats.failed == 501, "a loop is not tried again")
    #expect(coordinator.executionRecord(for: 1001)?.error?.contains("(limits.offspring)") == true)
    // The next cause begins anew.
    #expect(try await queue.perform(Event("x"))[0].outcome == .committed)
    await queue.waitUntilIdle()
    #expect(coordinator.stats.committed == 1000)
  }

  /// The same through commits alone: two triggers that write what both are bound to.
  @Test func aFamilyOfCommitsIsBounded() async throws {
    func script(_ key: String, _ on: String) -> String {
      """
      return { on = \(on), execute = function(event, ctx)
        return { ctx:store("s"):add("\(key)", 1) }
      end }
      """
    }
    let (coordinator, queue) = try host([
      "a.lua": script("a", "{ commit = 's/*', event = 'x' }"), "b.lua": script("b", "{ commit = 's/*' }"),
    ]) { $0.maximumOffspring = 1000 }
    defer { queue.stop() }
    #expect(try await queue.perform(Event("x"))[0].outcome == .committed)
    await queue.waitUntilIdle()
    #expect((1000...1010).contains(coordinator.stats.committed + coordinator.stats.failed))
  }
}
