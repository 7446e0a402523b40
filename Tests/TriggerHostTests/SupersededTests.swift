import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// An event whose place another takes before it has a seq is answered so, with the seq that ran instead.
@Suite struct SupersededTests {
  /// Keeps what each event that has run brought, or fails when it is told to.
  private static func script(_ limits: String, event: String = "e") -> String {
    """
    return { on = { event = "\(event)" }, \(limits), execute = function(event, ctx)
      if event.fails then error("no") end
      return { ctx:store("ran"):append("all", event.n) }
    end }
    """
  }

  private final class Answers: Sendable {
    private let answers = Mutex<[Int: [OperationResult]]>([:])
    func add(_ result: OperationResult, to n: Int) { answers.withLock { $0[n, default: []].append(result) } }
    /// `committed 1`, `superseded 3 committed`; by trigger when there are several.
    subscript(_ n: Int) -> [String] {
      answers.withLock { $0[n] ?? [] }.sorted { $0.trigger < $1.trigger }.map { result in
        "\(result.outcome) \(result.seq)\(result.instead.map { " \($0)" } ?? "")"
      }
    }
  }

  private func offer(_ n: Int, _ fields: Value.Map = [:], to queue: TriggerQueue, _ answers: Answers) {
    let event = Event("e", .map(fields.merging(["n": .int(Int64(n))]) { $1 }))
    #expect((try? queue.offer(event) { answers.add($0, to: n) }) != nil)
  }

  @Test(arguments: ["debounce = \"1s\"", "throttle = \"1s\""])
  func heldEventsAreSupersededByTheNewest(limits: String) async throws {
    let host = try TestHost(scripts: ["t.lua": Self.script(limits)])
    let answers = Answers()
    for n in 1...4 { offer(n, to: host.queue, answers) }
    await host.queue.waitUntilQuiet()
    await host.settle()
    host.stop()
    if limits.hasPrefix("debounce") {
      #expect(try host.value("ran", "all") == [4])
      for n in 1...3 { #expect(answers[n] == ["superseded 1 committed"]) }
      #expect(answers[4] == ["committed 1"])
    } else {
      #expect(try host.value("ran", "all") == [1, 4])
      #expect(answers[1] == ["committed 1"])
      for n in 2...3 { #expect(answers[n] == ["superseded 2 committed"]) }
      #expect(answers[4] == ["committed 2"])
    }
  }

  /// The newest event stands where the first one stood; that it fails is said to all.
  @Test func aQueuedEventIsSupersededByTheOneThatCoalesces() async throws {
    let (coordinator, queue, answers) = try stopped(["t.lua": Self.script("coalesce = \"id\"")])
    offer(1, ["id": 1], to: queue, answers)
    offer(2, ["id": 2], to: queue, answers)
    offer(3, ["id": 2, "fails": true], to: queue, answers)
    offer(4, ["id": 1], to: queue, answers)
    await run(queue)
    #expect(try coordinator.store("ran").get("all") == [4])
    #expect(answers[1] == ["superseded 1 committed"])
    #expect(answers[4] == ["committed 1"])
    #expect(answers[2] == ["superseded 2 failed"])
    #expect(answers[3] == ["failed 2"])
  }

  /// One that is queued never gets a seq; of three the newest runs.
  @Test func aRestartTakesThePlaceOfWhatIsQueued() async throws {
    let (coordinator, queue, answers) = try stopped(["t.lua": Self.script("mode = \"restart\"")])
    for n in 1...3 { offer(n, to: queue, answers) }
    await run(queue)
    #expect(try coordinator.store("ran").get("all") == [3])
    #expect(coordinator.stats.currentSeq == 1)
    for n in 1...2 { #expect(answers[n] == ["superseded 1 committed"]) }
    #expect(answers[3] == ["committed 1"])
  }

  /// Each operation of an event on its own.
  @Test func anEventOfSeveralOperationsIsAnsweredForEach() async throws {
    let (coordinator, queue, answers) = try stopped([
      "a.lua": Self.script("coalesce = \"id\""), "b.lua": Self.script("order_by = \"id\""),
    ])
    for n in 1...2 { offer(n, ["id": 1], to: queue, answers) }
    await run(queue)
    #expect(coordinator.stats.committed == 3)
    #expect(answers[1] == ["superseded 1 committed", "committed 2"])
    #expect(answers[2] == ["committed 1", "committed 3"])
  }

  /// A sender that asks again is told the same.
  @Test func aKeyRemembersIt() async throws {
    let host = try TestHost(scripts: ["t.lua": Self.script("debounce = \"1s\"")])
    let (stream, results) = AsyncStream.makeStream(of: (EventID, [OperationResult]).self)
    func send(_ n: Int) throws {
      _ = try host.queue.offer(Event("e", ["n": .int(Int64(n))]), scope: "s", key: "k\(n)") {
        results.yield(($0, $1))
      }
    }
    for n in 1...2 { try send(n) }
    await host.settle()
    var iterator = stream.makeAsyncIterator()
    for _ in 1...2 { _ = await iterator.next() }
    try send(1)
    let again = try #require(await iterator.next())
    #expect(again.1.map(\.outcome) == [.superseded])
    #expect(again.1.map(\.instead) == [.committed])
    host.stop()
  }

  /// What was given to one worker, in order, before it began.
  private func stopped(_ scripts: [String: String]) throws -> (CommitCoordinator, TriggerQueue, Answers) {
    var configuration = EngineConfiguration(workers: 1)
    configuration.strictOrder = true
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: scripts.mapValues { Array($0.utf8) }))
    return (coordinator, queue, Answers())
  }

  private func run(_ queue: TriggerQueue) async {
    queue.start()
    await queue.waitUntilIdle()
    await queue.stop()
  }
}
