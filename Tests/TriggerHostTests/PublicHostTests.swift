import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// Public things of the engine that nothing else here uses by itself.
@Suite(.timeLimit(.minutes(10))) struct PublicHostTests {
  private struct Note: Trigger {
    let store: VersionedStore<MemoryStoreBackend>
    func execute() -> [CommitIntent] { [store.append("fires", .string(ExecutionContext.current!.eventName))] }
  }

  /// Once, at its time; a time that is past does not fire.
  @Test func aDate() async throws {
    let host = try TestHost()
    let store = VersionedStore("notes", backend: MemoryStoreBackend())
    let now = Timestamp(nanoseconds: host.clock.now())
    try host.scheduler.scheduleDate(
      Timestamp(nanoseconds: now.nanoseconds + 60_000_000_000), Note(store: store), name: "soon")
    try host.scheduler.scheduleDate(
      Timestamp(nanoseconds: now.nanoseconds - 1), Note(store: store), name: "past")
    await host.advance(by: .seconds(59))
    #expect(try host.value("notes", "fires") == nil)
    await host.advance(by: .seconds(3600))
    #expect(try host.value("notes", "fires")?.arrayValue?.count == 1)
    #expect(host.scheduler.nextFire(of: "soon") == nil)
    host.stop()
  }

  /// Writes nothing itself, and takes its place in the order.
  @Test func aDataUpdate() async throws {
    let host = try TestHost(scripts: [
      "bars.lua": """
      return { on = { event = "bars/*" }, execute = function(event, ctx)
        return { ctx:store("closes"):put("last", event.close) }
      end }
      """
    ])
    var update = DataUpdateTrigger(source: "bars/EURUSD", payload: ["close": 1.25])
    update.options.priority = .high
    let result = try await host.queue.perform(update)
    #expect(result.trigger == "data-update" && result.outcome == .committed)
    await host.queue.waitUntilQuiet()
    #expect(try host.value("closes", "last") == 1.25)
    #expect(host.log.all.map(\.priority) == [.high, .normal])
    host.stop()
  }

  /// A queue that refuses says how many it takes; one record of two is kept.
  @Test func aFullQueueAndFewRecords() async throws {
    var configuration = EngineConfiguration(workers: 1)
    let whenFull: EngineConfiguration.WhenFull = .refuse
    (configuration.whenFull, configuration.queueCapacity, configuration.recordsKept) = (whenFull, 1, 2)
    let coordinator = CommitCoordinator(configuration)
    let store = try coordinator.register(VersionedStore("notes", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    try await queue.enqueue(Note(store: store))
    let error = await #expect(throws: QueueFull.self) { try await queue.enqueue(Note(store: store)) }
    #expect(error?.capacity == 1 && error?.description.contains("try again later") == true)
    queue.start()
    await queue.waitUntilIdle()
    for _ in 0..<4 { _ = try await queue.perform(Note(store: store)) }
    let record: ExecutionRecord? = coordinator.executionRecord(for: 5)
    #expect(record?.state == .decided(.committed) && coordinator.executionRecord(for: 3) == nil)
    let stats: EngineStats = coordinator.stats
    #expect(stats.reservations == 0 && stats.oldestSnapshot <= stats.currentSeq)
    let latency: LatencyHistogram = try #require(stats.latency[.normal])
    #expect(latency.count == 5 && latency.percentile(50) <= latency.percentile(99))
    #expect(latency.percentile(50) > 0)
    await queue.stop()
  }

  @Test func idsAndKeys() {
    let queue = TriggerQueue(CommitCoordinator(EngineConfiguration(workers: 1)))
    let ids = (0..<100).map { _ in queue.makeEventID() }
    #expect(Set(ids).count == 100)
    var event = Event("e")
    let key: EventKey = .row(feed: "bars", number: 2, floor: 1)
    event.key = key
    #expect(event.key == key && event.id == nil)
  }

  @Test func aCommitThatEmitsTooMuch() async throws {
    struct Emit: Trigger {
      func execute() -> [CommitIntent] { [.emit("a"), .emit("b"), .emit("c")] }
    }
    var configuration = EngineConfiguration(workers: 1)
    configuration.maximumEmits = 2
    let coordinator = CommitCoordinator(configuration)
    let heard = AsyncStream.makeStream(of: String.self)
    coordinator.whenUnheard { kind, name in heard.continuation.yield("\(kind) \(name)") }
    let queue = TriggerQueue(coordinator)
    queue.bind([])
    queue.start()
    let code: FailureCode? = try await queue.perform(Emit()).code
    #expect(code == .emits)
    // Whoever sends what nobody takes is told once.
    for _ in 0..<2 { #expect(try await queue.perform(Event("nobody")).isEmpty) }
    for await text in heard.stream {
      #expect(text == "event nobody")
      break
    }
    await queue.stop()
  }

  /// Operations of one `orderBy` value keep their order, however often the first is tried.
  @Test func aRetryKeepsItsPlace() async throws {
    struct Fill: Trigger {
      let store: VersionedStore<MemoryStoreBackend>
      let tries = Tries()
      var options: TriggerOptions {
        var options = TriggerOptions(on: [EventPattern(.event, "fill")])
        options.orderBy = ["account"]
        options.retry = RetryPolicy(attempts: 2, backoff: .seconds(1))
        return options
      }
      func execute() throws -> [CommitIntent] {
        let number = ExecutionContext.current!.event["n"]!
        if number == 1, tries.isFirst { throw CancellationError() }
        return [store.append("all", number)]
      }
    }
    let store = VersionedStore("fills", backend: MemoryStoreBackend())
    let host = try TestHost(triggers: [Fill(store: store)], configuration: EngineConfiguration(workers: 1))
    for n in 1...3 { try await host.send(Event("fill", ["account": "a", "n": .int(Int64(n))])) }
    let waiting: [WaitingEvent] = host.waiting
    #expect(waiting.contains { $0.trigger == "Fill" && $0.reason == .retry })
    await host.settle()
    #expect(try host.value("fills", "all") == [1, 2, 3])
    host.stop()
  }

  private final class Tries: Sendable {
    private let count = Atomic<Int>(0)
    var isFirst: Bool { count.wrappingAdd(1, ordering: .relaxed).oldValue == 0 }
  }

  @Test func readinessAndVersions() async {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    coordinator.whenFailed { _ in Issue.record("there is no log that could fail") }
    let before: Readiness = coordinator.readiness
    #expect(before.reasons == ["it has not started"] && !before.isReady)
    queue.start()
    #expect(coordinator.readiness.isReady)
    await queue.stop()
    #expect(coordinator.readiness.reasons == ["it stops"])
    #expect(EnvironmentVersions.text.contains("Lua 5.4") && EnvironmentVersions.lua.contains("Lua 5.4"))
  }

  @Test func columnsOfATable() {
    let table = DatabaseTable("orders", columns: [.init("symbol", .text)])
    #expect(DatabaseTable.ownColumns == ["key", "value", "version"])
    #expect(table.isColumn("symbol") && table.isColumn("version") && !table.isColumn("price"))
  }

  /// What a record says of others.
  @Test func recordsOfWhatCameBefore() async throws {
    let host = try TestHost(scripts: [
      "held.lua": """
      return { on = { event = "x" }, debounce = "1s", retry = { attempts = 2, backoff = "1s" },
        execute = function() error("no") end }
      """
    ])
    for _ in 0..<2 {
      _ = try host.queue.offer(Event("x"), scope: "s", key: "k\(host.waiting.count)") { _, _ in }
      await host.queue.waitUntilQuiet()
    }
    await host.settle()
    let records = host.log.all
    #expect(records.map(\.isRequeued) == [false, false] && records.last?.retryOf == 1)
    let absorbed: LogRecord.Absorbed? = records.first?.absorbed.first
    guard case .event(let outside) = absorbed else { return #expect(Bool(false), "\(records)") }
    #expect(outside.key != nil)
    let sender: LogRecord.Sender? = records.last?.sender
    #expect(sender?.scope == "s")
    host.stop()
  }

  @Test func testsThatAreWanted() async throws {
    let tree = ScriptTree(files: [
      "a_test.lua": Array(
        """
        describe("a", function()
          it("one", function() expect(1):equals(1) end)
          it("two", function() error("not asked for") end)
        end)
        """.utf8)
    ])
    let filter: ScriptTests.Filter = { _, names in names.contains("one") }
    let results: [ScriptTestResult] = await ScriptTests(tree: tree).run(isWanted: filter).flatMap(\.results)
    #expect(results.map(\.names) == [["a", "one"]])
  }
}
