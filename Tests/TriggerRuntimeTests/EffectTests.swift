import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerRuntime
import TriggerSQLite
import TriggerTestKit

/// Effects of commits on their way to receivers.
@Suite(.timeLimit(.minutes(10))) struct EffectTests {
  /// Counts in a store that everybody reads, so that attempts conflict, and sends what it has counted to.
  private static let script = """
    return { on = { event = "go" }, execute = function(event, ctx)
      local store = ctx:store("s")
      local n = (store:get("n") or 0) + 1
      if event.fails then ctx:send("s", { n = -1 }) error("no") end
      return { store:put("n", n), ctx:send("s", { n = n }), ctx:broadcast("t", { n = n }) }
    end }
    """

  private static func project() throws -> ProjectDirectory {
    try ProjectDirectory(["host.yaml": "data: data\n", "triggers/go.lua": script])
  }

  private func start(
    _ project: ProjectDirectory, _ receivers: [any EffectReceiver], _ heard: Heard<HostNotice> = Heard(),
    data: HostOptions.Data = .configured
  ) async throws -> RunningHost {
    var options = HostOptions(heard)
    options.receivers = receivers
    options.data = data
    options.durability = .async
    return try await OpenedHost(HostPlaces(directory: project.path), options).recover().start()
  }

  private func send(_ count: Int, to host: RunningHost) async throws {
    for number in 0..<count { try await host.queue.enqueue(Event("go", ["fails": .bool(number % 3 == 2)])) }
    await host.queue.waitUntilIdle()
  }

  private static func numbers(_ effects: [Effect]) -> [Int64] {
    effects.filter { $0.kind == .send }.map { $0.value["n"]!.intValue! }
  }

  @Test func memoryReceiverKeepsItsContract() async throws {
    let receiver = MemoryEffectReceiver(name: "r")
    try await EffectReceiverContract.check(receiver) { receiver.effects.map(\.id) }
  }

  /// Takes whatever comes.
  private final class Careless: EffectReceiver {
    let name = "careless"
    let ids = Mutex<[Effect.ID]>([])
    func receive(_ effects: [Effect]) async { ids.withLock { $0 += effects.map(\.id) } }
  }

  @Test func theContractFindsWhoTakesTwice() async throws {
    let receiver = Careless()
    await #expect(throws: EffectReceiverContract.Violation.self) {
      try await EffectReceiverContract.check(receiver) { receiver.ids.withLock { $0 } }
    }
  }

  /// Keeps effects as the one in memory does, and can be waited for: a busy machine may stop a host before the last ones
  /// have come.
  private final class Patient: EffectReceiver {
    let memory: MemoryEffectReceiver
    private let counts = Heard<Int>()
    var name: String { memory.name }
    var effects: [Effect] { memory.effects }
    init(_ name: String) { memory = MemoryEffectReceiver(name: name) }

    func receive(_ effects: [Effect]) async {
      await memory.receive(effects)
      counts.hear(memory.effects.count)
    }

    func has(_ count: Int) async throws { _ = try await counts.first { $0 >= count } }
  }

  /// Nothing of failed and thrown away attempts, nothing twice, in order, through a stop and a start.
  @Test(arguments: [HostOptions.Data.configured, .memory])
  func effectsOfCommitsComeInOrder(_ data: HostOptions.Data) async throws {
    let project = try Self.project()
    let receiver = Patient("r")
    let host = try await start(project, [receiver], data: data)
    try await send(300, to: host)
    try await receiver.has(400)
    await host.stop()
    #expect(Self.numbers(receiver.effects) == Array(1...200))
    #expect(receiver.effects.map(\.target) == (0..<400).map { $0 % 2 == 0 ? "s" : "t" })
    #expect(receiver.effects.map(\.id.index) == (0..<400).map { 1 + $0 % 2 })
    if data == .memory { return }
    let again = try await start(project, [receiver], data: data)
    try await send(3, to: again)
    try await receiver.has(404)
    await again.stop()
    #expect(Self.numbers(receiver.effects) == Array(1...202))
    #expect(Set(receiver.effects.map(\.id.epoch)) == [1, 2])
  }

  /// One who comes later begins with what comes later; one who was there goes on where it was.
  @Test func aNewReceiverBeginsNow() async throws {
    let project = try Self.project()
    let (old, new) = (Patient("old"), Patient("new"))
    let first = try await start(project, [old])
    try await send(2, to: first)
    try await old.has(4)
    await first.stop()
    let without = try await start(project, [])
    try await send(2, to: without)
    await without.stop()
    let both = try await start(project, [old, new])
    try await send(2, to: both)
    try await old.has(12)
    try await new.has(4)
    await both.stop()
    #expect(Self.numbers(old.effects) == Array(1...6))
    #expect(Self.numbers(new.effects) == [5, 6])
  }

  /// After a loss seqs are given out again: what a receiver had taken under them counts no more.
  @Test func aLogThatHasLostItsEndIsFollowedFromItsEnd() async throws {
    let project = try Self.project()
    let receiver = Patient("r")
    let first = try await start(project, [])
    try await send(2, to: first)
    try first.storage?.log.perform([.confirmed(receiver: "r", seq: 1000)])
    await first.stop()
    let second = try await start(project, [receiver])
    try await send(2, to: second)
    try await receiver.has(4)
    await second.stop()
    #expect(Self.numbers(receiver.effects) == [3, 4])
    let reader = try LogReader(path: project.path + "/data")
    defer { reader.close() }
    #expect(try reader.source.confirmed(receiver: "r") == 4)
  }

  private struct Refusal: Error, CustomStringConvertible { let description = "not now" }

  /// Refuses, or does not return, as long as somebody says so.
  private final class Moody: EffectReceiver {
    let name = "moody"
    let calls = Heard<[Effect]>()
    let refusals: Atomic<Int>
    let hangs = Atomic<Bool>(false)
    init(refusals: Int) { self.refusals = Atomic(refusals) }

    func receive(_ effects: [Effect]) async throws {
      calls.hear(effects)
      if refusals.subtract(1, ordering: .relaxed).newValue >= 0 { throw Refusal() }
      // Until it is cancelled.
      if hangs.load(ordering: .relaxed) { for await _ in AsyncStream<Never>.makeStream().stream {} }
      try Task.checkCancellation()
    }
  }

  @Test func whoRefusesGetsTheSameAgain() async throws {
    let project = try Self.project()
    let (moody, other, heard) = (Moody(refusals: 2), Patient("r"), Heard<HostNotice>())
    let host = try await start(project, [moody, other], heard)
    try await send(1, to: host)
    _ = try await moody.calls.first { _ in moody.calls.all.count >= 3 }
    try await other.has(2)
    await host.stop()
    #expect(moody.calls.all.map(Self.numbers) == [[1], [1], [1]])
    #expect(Self.numbers(other.effects) == [1])
    let notices = heard.all.filter { $0.code == .receiver }
    #expect(notices.count == 2)
    #expect(notices.first.map { "\($0.text)" }?.contains("receiver 'moody' has not taken effect 1-") == true)
  }

  /// One who hangs holds up neither commits, nor another receiver, nor the end; it gets the effects at the next start.
  @Test func whoHangsHoldsUpItselfOnly() async throws {
    let project = try Self.project()
    let (moody, other) = (Moody(refusals: 0), Patient("r"))
    moody.hangs.store(true, ordering: .relaxed)
    let host = try await start(project, [moody, other])
    try await send(30, to: host)
    _ = try await moody.calls.first { _ in true }
    try await other.has(40)
    let end = await host.stop()
    #expect(Self.numbers(other.effects) == Array(1...20))
    #expect(end.isWritten && end.late.count == 1 && end.late[0].hasPrefix("a receiver of effects"))
    moody.hangs.store(false, ordering: .relaxed)
    let again = try await start(project, [moody])
    _ = try await moody.calls.first { $0.contains { $0.value["n"] == 20 } && moody.calls.all.count > 1 }
    await again.stop()
    var seen: [Int64] = []
    for number in moody.calls.all.dropFirst().flatMap(Self.numbers) where !seen.contains(number) {
      seen.append(number)
    }
    #expect(seen == Array(1...20))
  }

  @Test func namesAreUnique() async throws {
    let heard = Heard<HostNotice>()
    await #expect(throws: HostNotReady.self) {
      try await start(
        Self.project(), [MemoryEffectReceiver(name: "a"), MemoryEffectReceiver(name: "a")], heard)
    }
    #expect(
      heard.all.first { $0.code == .receiver }.map { "\($0.text)" }
        == "2 receivers of effects are named 'a': give each a name of its own")
  }

  /// A program's own log cannot be read by the host.
  @Test func aLogOfOnesOwnHasNoReceivers() async throws {
    var settings = HostOptions()
    settings.receivers = [MemoryEffectReceiver(name: "a")]
    let options = settings
    func start() throws -> RunningHost {
      try OpenedHost(EngineConfiguration(workers: 1), log: MemoryCommitLog(), options).recover()
        .start(scripts: nil)
    }
    #expect(throws: HostNotReady.self) { try start() }
  }
}
