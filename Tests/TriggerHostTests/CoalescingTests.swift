import Synchronization
import Testing
import TriggerCore
import TriggerHost

@Suite struct CoalescingTests {
  /// In the order of dequeuing, however long the machine holds one up.
  private static let inOrder = {
    var configuration = EngineConfiguration(workers: 1)
    configuration.strictOrder = true
    return configuration
  }()

  /// The survivor keeps the place of the first, takes the newest payload and the highest priority; the senders
  /// of the others learn that they are superseded, and by which seq. Nothing runs before everything is in the queue.
  @Test func theSurvivorStandsForAll() async throws {
    let scripts = [
      "c.lua": """
      return { on = { event = "c" }, priority = "low", coalesce = "id", execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """,
      "o.lua": """
      return { on = { event = "o" }, execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """,
    ]
    let coordinator = CommitCoordinator(Self.inOrder)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: scripts.mapValues { Array($0.utf8) }))
    let results = Mutex<[Int: OperationResult]>([:])
    func offer(_ name: String, id: String, _ n: Int, _ priority: Priority? = nil) {
      let event = Event(name, ["id": .string(id), "n": .int(Int64(n))], priority: priority)
      #expect((try? queue.offer(event) { result in results.withLock { $0[n] = result } }) == 1)
    }
    offer("c", id: "other", 1)
    offer("c", id: "one", 2)
    offer("o", id: "one", 3)
    offer("c", id: "one", 4, .critical)
    offer("c", id: "two", 5)
    offer("c", id: "one", 6)
    queue.start()
    await queue.waitUntilIdle()
    await queue.stop()
    #expect(coordinator.stats.coalesced == 2)
    // Of one source: what is raised does not pass the one of its trigger that came before.
    #expect(try coordinator.store("seen").get("all") == [3, 1, 6, 5])
    let seqs = results.withLock { $0.mapValues(\.seq) }
    #expect(seqs == [1: 2, 2: 3, 3: 1, 4: 3, 5: 4, 6: 3])
    let superseded = results.withLock { $0.filter { $1.outcome == .superseded }.keys.sorted() }
    #expect(superseded == [2, 4])
  }

  /// Without an earlier one of its order key, it goes first.
  @Test func theSurvivorIsAsUrgentAsTheMostUrgent() async throws {
    let script = """
      return { on = { event = "*" }, priority = "low", order_by = "id", coalesce = "id", execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """
    let coordinator = CommitCoordinator(Self.inOrder)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    for (id, n, priority) in [("a", 1, nil), ("b", 2, nil), ("b", 3, Priority.high)] {
      let event = Event("e", ["id": .string(id), "n": .int(Int64(n))], priority: priority)
      #expect(try queue.offer(event) == 1)
    }
    queue.start()
    await queue.waitUntilIdle()
    await queue.stop()
    #expect(try coordinator.store("seen").get("all") == [3, 1])
    #expect(coordinator.stats.latency[.high]?.count == 1)
  }
}
