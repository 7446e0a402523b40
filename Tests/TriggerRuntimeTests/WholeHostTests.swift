import Foundation
import Logging
import ServiceLifecycle
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerRuntime

/// A host from its configuration to its end, and again, within this process.
@Suite(.timeLimit(.minutes(10))) struct WholeHostTests {
  private static let files: KeyValuePairs<String, String> = [
    "host.yaml": """
    scripts: { directory: triggers, watch: off }
    data: data
    stores: { seen: {} }
    feeds:
      - { name: bars, file: bars.csv, event: bars/A, columns: { close: integer } }
    schedules:
      - { name: tick, every: 1m, trigger: tick }
    """,
    "bars.csv": "close\n1\n2\n3\n",
    "triggers/bar.lua": """
    return { on = { data = "bars/*" }, execute = function(event, ctx)
      return { ctx:store("seen"):add("closes", event.close) }
    end }
    """,
    "triggers/tick.lua": """
    return { execute = function(event, ctx)
      ctx:log("info", "ticked")
      return { ctx:store("seen"):add("ticks", 1) }
    end }
    """,
    "triggers/visit.lua": visit("first"),
  ]

  /// Puts a word at the page that was visited.
  private static func visit(_ word: String) -> String {
    """
    return { on = { event = "visit" }, execute = function(event, ctx)
      return { ctx:store("seen"):put(event.page, "\(word)") }
    end }
    """
  }

  /// The older version refuses the directory from then on, so whoever upgrades is told.
  @Test func thatADirectoryIsConvertedIsSaidOnce() async throws {
    let project = try ProjectDirectory(["triggers/visit.lua": Self.visit("first")])
    let data = project.path + "/data"
    let old = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../TriggerSQLiteTests/Fixtures/format-4")
    try FileManager.default.copyItem(atPath: old.path, toPath: data)
    for isOld in [true, false] {
      let heard = Heard<HostNotice>()
      var options = HostOptions(heard)
      options.data = .directory(data)
      let host = try OpenedHost(HostPlaces(directory: project.path), options)
      let said = heard.all.filter { $0.code == .converted }.map(\.text)
      #expect(said.count == (isOld ? 1 : 0), "\(said)")
      if isOld {
        #expect(said.first?.hasPrefix("\(data) was of format 4 and is of format 6 now: ") == true, "\(said)")
      }
      await (try host.recover().start()).stop()
    }
  }

  @Test func itIsFedReloadsStopsAndGoesOn() async throws {
    let project = try ProjectDirectory(Self.files)
    let (heard, clock) = (Heard<HostNotice>(), ManualClock(now: 1_800_000_000_000_000_000))
    var options = HostOptions(heard)
    options.clock = clock
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()

    try await host.feeds.run()
    let answers = try await Self.answers(of: host, to: [#"{"event": "visit", "payload": {"page": "a"}}"#])
    #expect(answers.count == 1 && answers.first?.contains(#""outcome":"committed""#) == true)
    clock.advance(by: .seconds(61))
    _ = try await heard.first { $0.code == .log && $0.text == "ticked" }

    try project.write("triggers/visit.lua", Self.visit("second"))
    host.reload()
    let reloaded = try await heard.first(.scriptsInForce)
    #expect(reloaded.fields["tree"] == 2)
    _ = try await host.queue.perform(Event("visit", ["page": "b"]))
    await host.queue.waitUntilIdle()
    #expect(await host.stop() == HostEnd())
    #expect(await host.stop() == HostEnd(), "stopping again changes nothing")
    await #expect(throws: QueueStopped.self) { try await host.queue.perform(Event("visit")) }

    try await Self.goesOn(in: project, clock)
  }

  /// What was committed is there before anything runs, the feed is not read again, and the newest scripts are in force.
  private static func goesOn(in project: ProjectDirectory, _ clock: ManualClock) async throws {
    var options = HostOptions(Heard<HostNotice>())
    options.clock = clock
    let recovered = try OpenedHost(HostPlaces(directory: project.path), options).recover()
    let seen = try recovered.coordinator.store("seen")
    #expect(try seen.get("closes") == 6)
    #expect(try seen.get("ticks") == 1)
    #expect(try seen.get("a") == "first")
    #expect(try seen.get("b") == "second")
    let host = try await recovered.start()
    try await host.feeds.run()
    #expect(host.feeds.rows.skipped == 3 && host.feeds.rows.sent == 0)
    _ = try await host.queue.perform(Event("visit", ["page": "c"]))
    #expect(try seen.get("c") == "second")
    #expect(await host.stop().late == [])
  }

  /// Sends lines, as standard input would, and waits for what comes back.
  private static func answers(of host: RunningHost, to lines: [String], waits: Bool = true) async throws
    -> [String]
  {
    let (pipe, heard) = (Pipe(), Heard<String>())
    let answers = Answers { heard.hear($0) }
    let input = EventLines(host, reading: dup(pipe.fileHandleForReading.fileDescriptor), answers)
    pipe.fileHandleForWriting.write(Data(lines.map { $0 + "\n" }.joined().utf8))
    try pipe.fileHandleForWriting.close()
    await input.run()
    if waits { await host.queue.waitUntilIdle() }
    answers.finish { false }
    return heard.all
  }

  /// An answer is the last word about a line: what an ending host does not take has none, the first line like those
  /// after it.
  @Test func anEndingHostAnswersNoLineThatItDoesNotTake() async throws {
    let project = try ProjectDirectory(Self.files)
    let host = try await OpenedHost(HostPlaces(directory: project.path), HostOptions(Heard<HostNotice>()))
      .recover().start()
    host.stopTaking()
    let lines = (1...3).map { #"{"event": "visit", "payload": {"page": "a"}, "key": "\#($0)"}"# }
    #expect(try await Self.answers(of: host, to: lines, waits: false) == [])
    await host.stop()
  }

  /// Why a line is not taken is a word for programs.
  @Test func refusedLinesHaveCodes() async throws {
    let project = try ProjectDirectory(Self.files)
    try project.write(
      "host.yaml", "scripts: { directory: triggers, watch: off }\ndata: data\nlimits: { keys: 2 }\n")
    let host = try await OpenedHost(HostPlaces(directory: project.path), HostOptions(Heard<HostNotice>()))
      .recover().start()
    func visit(_ page: String, _ key: String) -> String {
      #"{"event": "visit", "payload": {"page": "\#(page)"}, "key": "\#(key)"}"#
    }
    let lines = [
      visit("a", "k1"), visit("b", "k1"), visit("c", "k2"), visit("d", "k3"), "{", "7",
      #"{"event": "visit", "keys": "k"}"#,
    ]
    var codes: [Int64: String] = [:]
    for line in try await Self.answers(of: host, to: lines) {
      guard case .map(let answer) = try JSON.parse(line), case .int(let id)? = answer["id"],
        answer["error"] != nil
      else { continue }
      codes[id] = answer["code"]?.stringValue ?? ""
    }
    #expect(
      codes == [
        2: "key_reused", 4: "keys_full", 5: "bad_line", 6: "bad_line", 7: "bad_line",
      ])
    await host.stop()
  }

  @Test func savedSchedulesOfADirectoryAreTakenUp() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    let host = try await OpenedHost(HostPlaces(directory: project.path), HostOptions(heard)).recover().start()
    let changed = Self.files.first { $0.key == "host.yaml" }!.value.replacing("every: 1m", with: "every: 10m")
    try project.write("host.yaml", changed)
    host.reload()
    #expect(try await heard.first(.schedulesInForce).text.contains("changed tick"))
    await host.stop()
  }

  @Test func aServiceGroupRunsAndStopsIt() async throws {
    let project = try ProjectDirectory(Self.files)
    let (heard, running) = (Heard<HostNotice>(), Heard<RunningHost>())
    let service = HostService(HostPlaces(directory: project.path), HostOptions(heard)) { running.hear($0) }
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: service)],
        logger: Logger(label: "group", factory: { _ in SwiftLogNoOpLogHandler() })))
    async let end: Void = group.run()
    let host = try await running.first { _ in true }
    _ = try await host.queue.perform(Event("visit", ["page": "a"]))
    await group.triggerGracefulShutdown()
    try await end
    #expect(host.queue.isStopped)
    // Nobody has the data directory any more.
    let again = try OpenedHost(HostPlaces(directory: project.path), HostOptions()).recover()
    #expect(try again.coordinator.store("seen").get("a") == "first")
  }

  @Test func aLogThatFailsEndsTheServiceWithTheReason() async throws {
    let project = try ProjectDirectory(Self.files)
    let options = HostOptions(Heard<HostNotice>())
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
    let end = Task { try await host.run() }
    host.endSignal.logFailed(.refused("the disk is full"))
    let failed = await #expect(throws: HostFailed.self) { try await end.value }
    #expect(failed?.reason == .refused("the disk is full") && failed?.description == "the disk is full")
    #expect(host.queue.isStopped)
  }

  @Test func whoStopsAHostEndsItsService() async throws {
    let project = try ProjectDirectory(Self.files)
    let options = HostOptions(Heard<HostNotice>())
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
    async let end: Void = host.run()
    #expect(await host.stop().isWritten)
    try await end
  }

  @Test func whatDoesNotEndInTimeIsCutOffAndNamed() async throws {
    let project = try ProjectDirectory([
      "host.yaml": "data: data\nworkers: 2\nlimits: { timeout: 1h }\n",
      "triggers/endless.lua":
        "return { on = { event = 'endless' }, execute = function() while true do end end }",
      "triggers/after.lua": "return { on = { event = 'after' }, execute = function() return {} end }",
    ])
    let options = HostOptions(Heard<HostNotice>())
    let host = try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
    try await host.queue.enqueue(Event("endless"))
    // It has a later seq: the other runs then.
    _ = try await host.queue.perform(Event("after"))
    let end = await host.stop(within: .milliseconds(10))
    #expect(end.running == ["endless"])
    #expect(end.late == [] && end.isWritten)
  }

  @Test func mistakesOfTheConfigurationAreSaidAndNothingIsOpened() throws {
    let project = try ProjectDirectory(["host.yaml": "data: data\nwrokers: 2\n"])
    let heard = Heard<HostNotice>()
    #expect(throws: HostNotReady.self) {
      _ = try OpenedHost(HostPlaces(directory: project.path), HostOptions(heard))
    }
    #expect(heard.all.contains { $0.code == .finding && $0.text.contains("wrokers") })
    #expect(!FileManager.default.fileExists(atPath: "\(project.path)/data"))
  }
}
