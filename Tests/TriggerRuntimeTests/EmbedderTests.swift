import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime

/// A program of one's own around a host: a model, a Swift trigger, a job, and a clock that the test moves.
@Suite(.timeLimit(.minutes(10))) struct EmbedderTests {
  private struct Account: Codable, Sendable {
    var balance: Int64 = 0
    var interest: Int64 = 0
  }

  /// Adds what the event brings to a field of the account.
  private struct Add: Trigger {
    let account: VersionedStore<CodableStoreBackend<Account>>
    let field: String
    var name: String { field }
    var options: TriggerOptions {
      var options = TriggerOptions()
      options.on = [EventPattern(.event, field)]
      return options
    }

    func execute() async throws -> [CommitIntent] {
      let amount = ExecutionContext.current?.event["amount"]?.intValue ?? 0
      let before = try account.get(field)?.intValue ?? 0
      return [account.put(field, .int(before + amount))]
    }
  }

  @Test func aModelATriggerAndAJobOnAClockOfOnesOwn() async throws {
    let account = VersionedStore("account", backend: try CodableStoreBackend(Account()))
    let clock = ManualClock(now: 1_800_000_000_000_000_000)
    var options = HostOptions()
    options.clock = clock
    options.triggers = ["balance", "interest"].map { Add(account: account, field: $0) }
    var hourly = ScheduledJob(name: "hourly", rule: .every(.seconds(3600)), action: .event("interest"))
    hourly.payload = ["amount": 2]

    let opened = OpenedHost(EngineConfiguration(workers: 2), options)
    try opened.register(account)
    let host = try opened.recover().start(scripts: nil, schedules: [hourly])
    let results = try await host.queue.perform(Event("balance", ["amount": 5]))
    #expect(results.map(\.outcome) == [.committed])
    clock.advance(by: .seconds(3601))
    host.scheduler.fireDue()
    await host.scheduler.waitUntilFired()
    await host.queue.waitUntilIdle()
    #expect(try account.get("balance") == 5)
    #expect(try account.get("interest") == 2)
    await host.stop()
    #expect(account.backend.model.interest == 2)
  }

  /// A program's jobs count from when they were first known: a fire that was due while it was down runs. Its scripts are
  /// kept with what they did.
  @Test func jobsAndScriptsOutliveTheProgram() async throws {
    let project = try ProjectDirectory(["host.yaml": "data: data\n", "triggers/none.lua": "return 1"])
    let clock = ManualClock(now: 1_800_000_000_000_000_000)
    let source = #"return { execute = function(_, ctx) return { ctx:store("s"):add("ticks", 1) } end }"#
    let tree = ScriptTree(files: ["tick.lua": Array(source.utf8)])
    let hourly = ScheduledJob(name: "hourly", rule: .every(.seconds(3600)), action: .trigger("tick"))
    func recover() throws -> RecoveredHost {
      var options = HostOptions()
      options.clock = clock
      return try OpenedHost(HostPlaces(directory: project.path), options).recover()
    }
    _ = try await recover().start(scripts: tree, schedules: [hourly]).stop()
    clock.advance(by: .seconds(3601))
    let recovered = try recover()
    #expect(try recovered.scripts(of: tree.contents).tree.identity?.number == 1)
    let host = try recovered.start(scripts: tree, schedules: [hourly])
    await host.scheduler.waitUntilFired()
    await host.queue.waitUntilIdle()
    #expect(try host.coordinator.store("s").get("ticks") == 1)
    await host.stop()
  }

  @Test func twoJobsOfOneNameStartNothing() throws {
    let job = ScheduledJob(name: "twice", rule: .every(.seconds(1)), action: .event("x"))
    #expect(throws: ScheduleError.self) {
      _ = try OpenedHost(EngineConfiguration(workers: 1)).recover().start(
        scripts: nil, schedules: [job, job])
    }
  }
}
