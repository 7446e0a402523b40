import Dispatch
import Synchronization
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerRuntime

/// Sessions of a host that cannot do what is wanted: what its clients are told.
@Suite(.timeLimit(.minutes(10))) struct SessionFaultTests {
  /// `say` answers its sender; `both` reaches two triggers.
  private static let files: KeyValuePairs<String, String> = [
    "host.yaml": "data: data\nsessions: { most: 2, messages: 1000 }\n",
    "triggers/say.lua": """
    return { on = { message = "say" }, execute = function(event, ctx)
      return { ctx:store("s"):add("count", 1), ctx:send(event.session, { type = "echo", text = event.text }) }
    end }
    """,
  ]

  /// - Parameter hook: for each who reads the log.
  private static func start(
    _ project: ProjectDirectory, _ heard: Heard<HostNotice> = Heard(), hook: HookedSource.Hook? = nil
  ) async throws -> SessionTalk {
    var options = HostOptions(heard)
    options.keepsSessions = true
    options.durability = .async
    var recovered = try OpenedHost(HostPlaces(directory: project.path), options).recover()
    if let hook, let log = recovered.parts.log {
      recovered.parts.log = HostLog(writer: log.writer) { HookedSource(try log.openSource(), hook) }
    }
    return SessionTalk(try await recovered.start())
  }

  @Test func aHostThatIsFullSaysSo() async throws {
    let project = try ProjectDirectory(Self.files)
    let talk = try await Self.start(project)
    let (first, _) = try await talk.open()
    _ = try await talk.open()
    let third = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me"), third)
    #expect(try await third.end() == .full)
    // Whoever has a session gets it.
    let again = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me", resumed: (first.id, 0)), again)
    #expect(try await again.has(1)[0]["resumed"] == true)
    await talk.host.stop()
  }

  /// Who begins with `$resume` leaves no session behind that nobody has used.
  @Test func anUnusedSessionMakesRoom() async throws {
    let project = try ProjectDirectory(Self.files)
    let talk = try await Self.start(project)
    let (first, _) = try await talk.open()
    for _ in 0..<5 {
      let (client, link) = try await talk.open()
      talk.sessions.reopen(SessionOpening(owner: "me", resumed: (first.id, 0)), link, isUnused: true)
      #expect(try await client.has(2)[1]["resumed"] == true)
      talk.sessions.leave(link)
    }
    // One that was used stays.
    let (used, link) = try await talk.open()
    talk.sessions.reopen(SessionOpening(owner: "me", resumed: (first.id, 0)), link, isUnused: false)
    _ = try await used.has(2)
    let late = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me"), late)
    #expect(try await late.end() == .full)
    await talk.host.stop()
  }

  private struct Unreadable: Error {}

  /// Whoever is there, whoever waits and whoever comes is told when the log cannot be read, and so is the operator.
  @Test func aLogThatCannotBeReadEndsAll() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    let isBroken = Mutex(false)
    let talk = try await Self.start(project, heard) { blocks in
      if isBroken.withLock({ $0 }) { throw Unreadable() }
      return blocks
    }
    let (client, link) = try await talk.open()
    #expect(talk.host.troubles.isEmpty)
    isBroken.withLock { $0 = true }
    try talk.say(client, "say", "one", id: "1")
    #expect(try await client.end() == .failed)
    #expect(try await heard.first(.receiver).text.contains("the log cannot be read"))
    let late = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me"), late)
    #expect(try await late.end() == .failed)
    talk.sessions.subscribe(link, SessionSubscriptions(), isMore: true, id: nil)
    #expect(talk.host.troubles.map(\.code) == [.sessions])
    // The rest of the host goes on.
    try talk.say(client, "say", "two", id: "2")
    await talk.host.queue.waitUntilIdle()
    #expect(try talk.host.coordinator.store("s").get("count") == 2)
    await talk.host.stop()
  }

  /// Sockets that came while the thread was about to fail: before it read, and while it did.
  @Test func whoWaitsForAThreadThatFailsIsTold() async throws {
    let project = try ProjectDirectory(Self.files)
    let (held, go) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let readings = Mutex<Int?>(nil)
    let talk = try await Self.start(project) { blocks in
      let count = readings.withLock { readings in
        readings = readings.map { $0 + 1 }
        return readings
      }
      guard let count else { return blocks }
      held.signal()
      go.wait()
      if count == 2 { throw Unreadable() }
      return blocks
    }
    let (client, _) = try await talk.open()
    readings.withLock { $0 = 0 }
    try talk.say(client, "say", "one", id: "1")
    try await onOwnThread("held") { held.wait() }
    let (early, late) = (SessionClient(), SessionClient())
    _ = talk.sessions.open(SessionOpening(owner: "me"), early)
    try talk.say(client, "say", "two", id: "2")
    await talk.host.queue.waitUntilIdle()
    go.signal()
    try await onOwnThread("held") { held.wait() }
    _ = talk.sessions.open(SessionOpening(owner: "me"), late)
    go.signal()
    #expect(try await early.end() == .failed)
    #expect(try await late.end() == .failed)
    await talk.host.stop()
  }

  @Test func whoComesToAHostThatHasEndedIsTold() async throws {
    let project = try ProjectDirectory(Self.files)
    let talk = try await Self.start(project)
    await talk.host.stop()
    let late = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me"), late)
    #expect(try await late.end() == .stopping)
  }

  /// What was let go before it was read is missing for good: its clients are ended, and told so when they come back.
  @Test func whatIsLetGoUnreadIsToldPlainly() async throws {
    let project = try ProjectDirectory(Self.files)
    let heard = Heard<HostNotice>()
    let hidden = Mutex<Range<Int64>>(0..<0)
    let talk = try await Self.start(project, heard) { blocks in
      blocks.filter { block in !hidden.withLock { $0.contains(block.first) } }
    }
    let (client, _) = try await talk.open()
    try talk.say(client, "say", "one", id: nil)
    _ = try await client.has(2)
    let seq = talk.host.coordinator.seqs.newest
    hidden.withLock { $0 = seq + 1..<seq + 2 }
    try talk.say(client, "say", "two", id: nil)
    await talk.host.queue.waitUntilIdle()
    try talk.say(client, "say", "three", id: nil)
    #expect(try await client.end() == .lost)
    #expect(try await heard.first(.receiver).text.contains("log.retain"))
    let again = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me", resumed: (client.id, 1)), again)
    #expect(try await again.has(1)[0]["reason"] == "away_too_long")
    await talk.host.stop()
  }

  /// Whoever looks at sessions does not wait for the disk.
  @Test func theLogIsReadWithoutTheLock() async throws {
    let project = try ProjectDirectory(Self.files)
    let sessions = Mutex<HostSessions?>(nil)
    let isFree = Mutex<[Bool]>([])
    let talk = try await Self.start(project) { blocks in
      guard !blocks.isEmpty, let sessions = sessions.withLock({ $0 }) else { return blocks }
      let isDone = DispatchSemaphore(value: 0)
      Thread.detach(name: "looks") {
        _ = sessions.count
        isDone.signal()
      }
      let hasCome = isDone.wait(timeout: .now() + .seconds(10)) == .success
      isFree.withLock { $0.append(hasCome) }
      return blocks
    }
    sessions.withLock { $0 = talk.sessions }
    let (client, _) = try await talk.open()
    try talk.say(client, "say", "one", id: "1")
    _ = try await client.has(3)
    #expect(isFree.withLock { !$0.isEmpty && $0.allSatisfy { $0 } })
    sessions.withLock { $0 = nil }
    await talk.host.stop()
  }

  /// Acknowledgements of messages that were sent again come from no record: they are bounded like all others.
  @Test func whatIsSaidLeavesASlowSocketBehind() async throws {
    let project = try ProjectDirectory(Self.files)
    let talk = try await Self.start(project)
    let (slow, _) = try await talk.open()
    try talk.say(slow, "say", "one", id: "1")
    _ = try await slow.has(3)
    let quick = SessionClient()
    _ = talk.sessions.open(SessionOpening(owner: "me", resumed: (slow.id, 2)), quick)
    _ = try await quick.has(1)
    slow.waiting.store(2 << 20, ordering: .relaxed)
    for _ in 0..<100 { try talk.say(quick, "say", "one", id: "1") }
    let said = try await quick.has(101)
    #expect(said.dropFirst().allSatisfy { $0["type"] == "$ack" })
    #expect(slow.all.withLock { $0.count } == 3)
    slow.waiting.store(0, ordering: .relaxed)
    _ = try await slow.has(103)
    #expect(slow.all.withLock { Array($0.dropFirst(3)) } == quick.all.withLock { Array($0.dropFirst()) })
    await talk.host.stop()
  }

  /// What no record makes again is given to nobody before it is kept.
  @Test func whatIsNotKeptIsNotShown() {
    let session = Session(id: "a", owner: "me")
    _ = session.add(Session.Entry(7, .effect(index: 0)), keeping: 10)
    _ = session.add(Session.Entry(0, .kept), text: [125], keeping: 10)
    #expect(session.token == 2 && session.entries(after: 0, atMost: 10)?.count == 1)
    #expect(session.entries(after: 1, atMost: 10) == [] && session.entries(after: 2, atMost: 10) == [])
    session.shown = 2
    #expect(session.entries(after: 0, atMost: 10)?.count == 2)
  }
}
