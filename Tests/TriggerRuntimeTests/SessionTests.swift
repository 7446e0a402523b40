import Foundation
import Synchronization
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerRuntime

/// Sessions of a whole host, with sockets of the test's own.
@Suite(.timeLimit(.minutes(10))) struct SessionTests {
  /// `say` answers its sender and tells the room; `both` reaches two triggers; `bad` fails after it has sent.
  private static let say = """
    return { on = { message = { "say", "both" } }, execute = function(event, ctx)
      local store = ctx:store("s")
      return { store:add("count", 1), store:put("k", event.text),
        ctx:send(event.session, { type = "echo", text = event.text }),
        ctx:broadcast("room", { type = "said", text = event.text }) }
    end }
    """
  private static let other = """
    return { on = { message = "both" }, execute = function(event, ctx) return {} end }
    """
  private typealias Client = SessionClient
  private typealias Talk = SessionTalk

  private static let bad = """
    return { on = { message = "bad" }, execute = function(event, ctx)
      ctx:send(event.session, { type = "echo" })
      error("no")
    end }
    """

  private static func start(
    _ project: ProjectDirectory, data: HostOptions.Data = .configured
  ) async throws -> RunningHost {
    var options = HostOptions()
    options.keepsSessions = true
    options.data = data
    options.durability = .async
    return try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
  }

  private static func project() throws -> ProjectDirectory {
    try ProjectDirectory([
      "host.yaml": "data: data\n", "triggers/say.lua": say, "triggers/other.lua": other,
      "triggers/bad.lua": bad,
    ])
  }

  private static func tokens(_ messages: [Value]) -> [Int64] { messages.compactMap { $0["token"]?.intValue } }

  @Test(arguments: [HostOptions.Data.configured, .memory])
  func messagesHaveTokensWithoutAGap(_ data: HostOptions.Data) async throws {
    let project = try Self.project()
    let host = try await Self.start(project, data: data)
    let talk = Talk(host)
    let client = Client()
    _ = talk.sessions.open(SessionOpening(owner: "me"), client)
    let hello = try await client.has(1)[0]
    #expect(hello["type"] == "$session" && hello["token"] == 0 && hello["resumed"] == false)
    try talk.say(client, "say", "one", id: "1")
    try talk.say(client, "both", "two", id: "2")
    try talk.say(client, "bad", "three", id: "3")
    try talk.say(client, "nobody", "four", id: "4")
    // Two echoes and four acknowledgements, one of them of two operations.
    let messages = try await client.has(7)
    #expect(Self.tokens(messages) == [0, 1, 2, 3, 4, 5, 6])
    let acks = messages.filter { $0["type"] == "$ack" }
    let results = Dictionary(
      uniqueKeysWithValues: acks.map { ($0["id"]!.stringValue!, $0["results"]!.arrayValue!) })
    #expect(results["1"]?.count == 1 && results["2"]?.count == 2 && results["4"]?.count == 0)
    #expect(results["3"]?[0]["outcome"] == "failed" && results["3"]?[0]["code"] == "error")
    // Whoever comes back gets what comes after what it saw, the same to the letter.
    for since in 0...6 {
      let again = Client()
      _ = talk.sessions.open(SessionOpening(owner: "me", resumed: (client.id, Int64(since))), again)
      _ = try await again.has(1 + 6 - since)
      let texts = again.all.withLock { $0 }
      #expect(Array(texts.dropFirst()) == client.all.withLock { Array($0.dropFirst(1 + since)) })
      #expect(try JSON.parse(texts[0])["resumed"] == true)
    }
    await host.stop()
  }

  @Test func aSessionOutlivesItsHost() async throws {
    let project = try Self.project()
    let first = try await Self.start(project)
    let client = Client()
    _ = first.sessions!.open(SessionOpening(owner: "me"), client)
    _ = try await client.has(1)
    try Talk(first).say(client, "say", "one", id: "1")
    _ = try await client.has(3)
    await first.stop()
    let second = try await Self.start(project)
    let again = Client()
    _ = second.sessions!.open(SessionOpening(owner: "me", resumed: (client.id, 1)), again)
    let messages = try await again.has(2)
    #expect(messages[0]["resumed"] == true && messages[1]["type"] == "$ack" && messages[1]["token"] == 2)
    // Sent again, it is not run again.
    try Talk(second).say(again, "say", "one", id: "1")
    try Talk(second).say(again, "say", "two", id: "2")
    let later = try await again.has(5)
    #expect(Self.tokens(later) == [1, 2, 3, 4, 5])
    #expect(try second.coordinator.store("s").get("count") == 2)
    await second.stop()
  }

  /// Who asks so is told at once that a message is sure to run, and later what came of it, by the next host if need be.
  @Test func whatIsAcceptedIsAnsweredTwice() async throws {
    let project = try Self.project()
    let late = """
      return { on = { message = "late" }, debounce = "1h", execute = function(event, ctx)
        return { ctx:store("s"):put("late", event.text) }
      end }
      """
    try project.write("triggers/late.lua", late)
    let first = try await Self.start(project)
    let (client, _) = try await Talk(first).open()
    try Talk(first).say(client, "say", "one", id: "1", isKept: true)
    let acks = try await client.has(4).dropFirst().filter { $0["type"] == "$ack" && $0["id"] == "1" }
    #expect(acks.contains { $0["accepted"] == true && $0["results"] == nil })
    #expect(acks.contains { $0["accepted"] == nil && $0["results"]?[0]?["outcome"] == "committed" })
    try Talk(first).say(client, "late", "two", id: "2", isKept: true)
    let accepted = try await client.has(5)[4]
    #expect(accepted["id"] == "2" && accepted["accepted"] == true && accepted["token"] == 4)
    await first.stop()
    try project.write("triggers/late.lua", late.replacing(" debounce = \"1h\",", with: ""))
    let second = try await Self.start(project)
    let again = Client()
    _ = second.sessions!.open(SessionOpening(owner: "me", resumed: (client.id, 4)), again)
    let decided = try await again.has(2)[1]
    #expect(decided["id"] == "2" && decided["token"] == 5 && decided["results"]?[0]?["trigger"] == "late")
    // Sent again, it is answered again, twice.
    try Talk(second).say(again, "late", "two", id: "2", isKept: true)
    let more = try await again.has(4).dropFirst(2)
    #expect(more.allSatisfy { $0["id"] == "2" } && more.filter { $0["accepted"] == true }.count == 1)
    #expect(try second.coordinator.store("s").get("late") == "two")
    await second.stop()
  }

  @Test func aStrangerDoesNotGetIt() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let client = Client()
    _ = host.sessions!.open(SessionOpening(owner: "me"), client)
    _ = try await client.has(1)
    for opening in [
      SessionOpening(owner: "you", resumed: (client.id, 0)),
      SessionOpening(owner: "me", resumed: ("none", 0)),
    ] {
      let other = Client()
      _ = host.sessions!.open(opening, other)
      let hello = try await other.has(1)[0]
      #expect(hello["resumed"] == false && hello["reason"] == "unknown_session")
      #expect(other.id != client.id)
    }
    let early = Client()
    _ = host.sessions!.open(SessionOpening(owner: "me", resumed: (client.id, 7)), early)
    #expect(try await early.has(1)[0]["reason"] == "away_too_long")
    await host.stop()
  }

  @Test func subscriptionsAreHeard() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let (speaker, hearer) = (Client(), Client())
    _ = talk.sessions.open(SessionOpening(owner: "me"), speaker)
    let link = talk.sessions.open(SessionOpening(owner: "you"), hearer)
    _ = try await speaker.has(1)
    _ = try await hearer.has(1)
    var wanted = SessionSubscriptions()
    wanted.topics = [ExactText("room")]
    wanted.keys = [
      .init(store: ExactText("s"), key: Array("k".utf8)),
      .init(store: ExactText("s"), key: Array("count".utf8)),
    ]
    wanted.prefixes = [.init(store: ExactText("s"), key: Array("k".utf8))]
    talk.sessions.subscribe(link, wanted, isMore: true, id: 1)
    #expect(try await hearer.has(2)[1]["type"] == "$subscribed")
    try talk.say(speaker, "say", "one", id: nil)
    let messages = try await hearer.has(5)
    #expect(Self.tokens(messages) == [0, 1, 2, 3])
    let changes = messages.filter { $0["type"] == "$change" }
    #expect(changes.map { $0["key"] } == ["count", "k"] && changes.map { $0["value"] } == [1, "one"])
    #expect(messages.contains { $0["type"] == "said" })
    // A subscription counts after a restart, and ends when somebody says so.
    await host.stop()
    let second = try await Self.start(project)
    let (again, other) = (Client(), Client())
    let back = second.sessions!.open(SessionOpening(owner: "you", resumed: (hearer.id, 3)), again)
    _ = second.sessions!.open(SessionOpening(owner: "me", resumed: (speaker.id, 1)), other)
    _ = try await again.has(1)
    _ = try await other.has(1)
    try Talk(second).say(other, "say", "two", id: nil)
    #expect(Self.tokens(try await again.has(4)) == [3, 4, 5, 6])
    second.sessions!.subscribe(back, wanted, isMore: false, id: nil)
    #expect(try await again.has(5)[4]["type"] == "$unsubscribed")
    try Talk(second).say(other, "say", "three", id: "a")
    _ = try await other.has(4)
    #expect(again.all.withLock { $0.count } == 5)
    await second.stop()
  }

  private static func filter(_ set: (inout RecordFilter) -> Void) -> RecordFilter {
    var filter = RecordFilter()
    set(&filter)
    return filter
  }

  /// Records come whole, each once in each form, as `GET /v1/log` writes them; also to who comes back.
  @Test func recordsAreHeard() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let (client, link) = try await talk.open()
    var wanted = SessionSubscriptions()
    wanted.records = [
      .init(.log, RecordFilter()), .init(.log, Self.filter { $0.trigger = "say" }),
      .init(.executions, Self.filter { $0.outcome = .failed }),
      .init(.executions, Self.filter { ($0.store, $0.prefix) = ("s", "c") }),
    ]
    talk.sessions.subscribe(link, wanted, isMore: true, id: 1)
    _ = try await client.has(2)
    try talk.say(client, "both", "one", id: nil)
    try talk.say(client, "bad", "two", id: nil)
    // Of `both`: an echo, and two records, of which one changed the store. Of `bad`: a record, which failed.
    let messages = try await client.has(8).dropFirst(2)
    #expect(Self.tokens(Array(messages)) == [1, 2, 3, 4, 5, 6])
    let (records, executions) = (
      messages.filter { $0["type"] == "$record" }.map { $0["record"]! },
      messages.filter { $0["type"] == "$execution" }.map { $0["execution"]! }
    )
    let log = try await Self.log(of: project)
    let first = records[0]["seq"]!.intValue!
    #expect(records == log.filter { $0.seq >= first }.map(\.json) && records.count == 3)
    #expect(executions.map { $0["trigger"] } == ["say", "bad"])
    await host.stop()
    let second = try await Self.start(project)
    let again = Client()
    let back = second.sessions!.open(SessionOpening(owner: "me", resumed: (client.id, 0)), again)
    _ = try await again.has(7)
    #expect(again.all.withLock { Array($0.dropFirst()) } == client.all.withLock { Array($0.dropFirst(2)) })
    // They go on, until somebody says that they end.
    try Talk(second).say(again, "bad", "three", id: nil)
    #expect(try await again.has(9)[8]["execution"]?["trigger"] == "bad")
    second.sessions!.subscribe(back, wanted, isMore: false, id: nil)
    _ = try await again.has(10)
    try Talk(second).say(again, "bad", "four", id: "4")
    #expect(try await again.has(11)[10]["type"] == "$ack")
    await second.stop()
  }

  private static func log(of project: ProjectDirectory) async throws -> [LogRecord] {
    let reader = try LogReader(path: project.path + "/data")
    defer { reader.close() }
    var records: [LogRecord] = []
    try reader.visit { records.append($0) }
    return records
  }

  /// More records at once than are told as they come: all of them come, in order.
  @Test func manyRecordsComeInOrder() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let (watcher, link) = try await talk.open()
    let (speaker, _) = try await talk.open()
    var wanted = SessionSubscriptions()
    wanted.records = [.init(.log, RecordFilter())]
    talk.sessions.subscribe(link, wanted, isMore: true, id: nil)
    _ = try await watcher.has(2)
    for number in 0..<500 { try talk.say(speaker, "bad", "\(number)", id: nil) }
    let messages = try await watcher.has(502).dropFirst(2)
    #expect(Self.tokens(Array(messages)) == Array(1...500))
    let texts = messages.map { $0["record"]?["payload"]?["text"]?.stringValue }
    #expect(texts == (0..<500).map { "\($0)" })
    await host.stop()
  }

  @Test func tooManySubscriptionsAreRefused() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let (client, link) = try await talk.open()
    var wanted = SessionSubscriptions()
    for number in 0..<16 { wanted.records.insert(.init(.log, Self.filter { $0.trigger = "\(number)" })) }
    talk.sessions.subscribe(link, wanted, isMore: true, id: 1)
    talk.sessions.subscribe(link, wanted, isMore: true, id: 2)
    wanted.records = [.init(.log, RecordFilter())]
    talk.sessions.subscribe(link, wanted, isMore: true, id: 3)
    wanted.records = []
    wanted.topics = Set((0..<985).map { ExactText("\($0)") })
    talk.sessions.subscribe(link, wanted, isMore: true, id: 4)
    let messages = try await client.has(5)
    #expect(messages.dropFirst().map { $0["type"] } == ["$subscribed", "$subscribed", "$error", "$error"])
    #expect(messages[3]["code"] == "too_many_subscriptions")
    await host.stop()
  }

  /// A socket that takes nothing is left behind, gets the rest in order once it has room, and holds up nobody.
  @Test func aSlowSocketIsLeftBehind() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let (slow, quick) = (Client(), Client())
    _ = talk.sessions.open(SessionOpening(owner: "me"), slow)
    _ = try await slow.has(1)
    _ = talk.sessions.open(SessionOpening(owner: "me", resumed: (slow.id, 0)), quick)
    _ = try await quick.has(1)
    slow.waiting.store(2 << 20, ordering: .relaxed)
    for number in 0..<400 { try talk.say(quick, "say", "\(number)", id: "\(number)") }
    _ = try await quick.has(801)
    #expect(slow.all.withLock { $0.count } == 1)
    slow.waiting.store(0, ordering: .relaxed)
    _ = try await slow.has(801)
    #expect(slow.all.withLock { Array($0.dropFirst()) } == quick.all.withLock { Array($0.dropFirst()) })
    await host.stop()
  }

  /// Whatever is kept in between, as of any seq, the same records give the same messages with the same tokens.
  @Test func messagesAreWhatTheRecordsSay() async throws {
    let project = try Self.project()
    let host = try await Self.start(project)
    let talk = Talk(host)
    let clients = [Client(), Client(), Client()]
    let chance = testSeed()
    var seed = SplitMix64(seed: chance)
    var wanted = SessionSubscriptions()
    (wanted.topics, wanted.prefixes) = ([ExactText("room")], [.init(store: ExactText("s"), key: [])])
    var failed = RecordFilter()
    failed.outcome = .failed
    wanted.records = [.init(.log, RecordFilter()), .init(.executions, failed), .init(.log, failed)]
    for (number, client) in clients.enumerated() {
      let link = talk.sessions.open(SessionOpening(owner: "me"), client)
      _ = try await client.has(1)
      if number < 2 { talk.sessions.subscribe(link, wanted, isMore: true, id: nil) }
    }
    for number in 0..<200 {
      let client = clients.randomElement(using: &seed)!
      let type = ["say", "both", "bad"].randomElement(using: &seed)!
      try talk.say(client, type, "\(number)", id: Bool.random(using: &seed) ? "\(number)" : nil)
    }
    // All of it is told when what came last is; a client that was left behind has to get it.
    for client in clients {
      try talk.say(client, "say", "last", id: "last")
      _ = try await client.frames.first { $0.contains { $0.contains("\"id\":\"last\"") } }
    }
    for client in clients {
      let last = talk.sessions.token(of: client.id)
      _ = try await client.frames.first { (try? JSON.parse($0.last!))?["token"] == .int(last) }
    }
    await host.stop()
    let reader = try LogReader(path: project.path + "/data")
    defer { reader.close() }
    let whole = Self.table(clients, wanted)
    let cut = Int64.random(in: 0...(try reader.lastSeq()), using: &seed)
    var (table, isCut) = (Self.table(clients, wanted), false)
    var first = whole
    try reader.visitViews(from: 1) { record in
      try first.apply(record) { _, _, _ in }
      if record.seq > cut, !isCut {
        table = try Self.reread(table)
        isCut = true
      }
      try table.apply(record) { _, _, _ in }
    }
    let filters =
      wanted.records.map(\.filter) + [
        Self.filter { $0.trigger = "say" }, Self.filter { ($0.store, $0.key) = ("s", "k") },
        Self.filter { ($0.store, $0.prefix) = ("s", "c") }, Self.filter { ($0.store, $0.key) = ("s", "x") },
        Self.filter { $0.topic = "room" }, Self.filter { ($0.store, $0.topic) = ("s", "r") },
        Self.filter { ($0.store, $0.topic) = ("s", "room") }, Self.filter { $0.kind = .message },
      ]
    try reader.visitViews(from: 1) { view in
      let record = try LogRecord(view)
      for filter in filters { #expect(try filter.passes(view) == filter.passes(record), "\(filter)") }
    }
    for client in clients {
      let (one, other) = (first.byID[client.id]!, table.byID[client.id]!)
      #expect(one.token > 0 && one.token == other.token, "seed \(chance), cut after \(cut)")
      #expect(one.entries == other.entries && one.seqs == other.seqs, "seed \(chance), cut after \(cut)")
      // And these are what the client has got.
      let got = try client.all.withLock { try JSON.parse($0.last!) }["token"]
      #expect(got == .int(one.token), "seed \(chance), cut after \(cut)")
    }
  }

  private static func table(_ clients: [Client], _ wanted: SessionSubscriptions) -> SessionTable {
    var table = SessionTable(keeping: 10_000)
    for (number, client) in clients.enumerated() {
      let session = Session(id: client.id, owner: "me")
      table.add(session)
      if number < 2 { table.subscribe(session, wanted) }
    }
    return table
  }

  /// The same, out of what the log would keep.
  private static func reread(_ table: SessionTable) throws -> SessionTable {
    var again = SessionTable(keeping: 10_000)
    for session in table.byID.values {
      again.add(try session.encoded.withUnsafeBytes { try Session(id: session.id, $0) })
    }
    return again
  }
}
