import Foundation
import Synchronization
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

/// A follower has at every seq what the engine had that wrote the log.
@Suite struct FollowerTests {
  /// Moves an amount between accounts: their sum stays what it was.
  private static let scripts = DataHost.scripts.merging([
    "move.lua": """
    return { on = { event = "n" }, execute = function(event, ctx)
      local store = ctx:store("accounts")
      return { store:add("a", event.n), store:add("b", -event.n), store:put("k" .. event.n % 9, event.n) }
    end }
    """
  ]) { $1 }

  /// An engine that writes a log.
  private struct Writer {
    let coordinator: CommitCoordinator
    let queue: TriggerQueue
    let source: any LogSource
    let close: () -> Void

    func send(_ numbers: ClosedRange<Int>) async throws {
      for n in numbers { try await queue.enqueue(Event("n", ["n": .int(Int64(n))], source: UInt64(n % 5))) }
    }
  }

  private func inMemory() throws -> Writer {
    let store = MemoryLogStore()
    let epoch = store.beginEpoch(time: 1, seed: 0, versions: "test")
    let writer = GroupWriter(store, epoch: epoch, lastSeq: 0, clock: SystemClock())
    writer.start()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2), log: writer)
    let queue = TriggerQueue(coordinator)
    var tree = ScriptTree(files: Self.scripts.mapValues { Array($0.utf8) })
    let notes = LogNotes(store.openSource(), clock: SystemClock())
    tree.identity = try notes.keep(tree.files, now: 1, seed: 2)
    try writer.perform(notes.takeJobs())
    queue.bind([], scripts: tree)
    queue.start()
    return Writer(coordinator: coordinator, queue: queue, source: store.openSource()) {
      queue.stop()
      writer.close()
    }
  }

  private func onDisk(_ path: String) throws -> (DataHost, Writer) {
    let host = try DataHost(path, scripts: Self.scripts)
    let source = try LogReader(path: path).source
    return (host, Writer(coordinator: host.coordinator, queue: host.queue, source: source) { host.close() })
  }

  private func follower(_ source: any LogSource) throws -> LogFollower {
    try LogFollower(CommitCoordinator(EngineConfiguration(workers: 1)), source)
  }

  /// While it follows, others read snapshots of the accounts.
  private func check(_ writer: Writer) async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let follower = try LogFollower(coordinator, writer.source)
    #expect(follower.seq == 0)
    let end = End()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await Self.readAccounts(coordinator) { end.hasCome.load(ordering: .relaxed) } }
      for round in 0..<5 {
        try await writer.send(round * 200 + 1...(round + 1) * 200)
        _ = try follower.follow()
        await writer.queue.waitUntilIdle()
        while try follower.follow() {}
        let digests = writer.coordinator.digests()
        #expect(follower.digests == digests)
        #expect(follower.seq == digests.seq && digests.seq > Int64(round) * 400)
      }
      end.hasCome.store(true, ordering: .relaxed)
      try await group.waitForAll()
    }
    for name in writer.coordinator.storeNames {
      let read = try (
        coordinator.store(name).readSnapshot().value, writer.coordinator.store(name).readSnapshot().value
      )
      #expect(read.0 == read.1, "store \(name)")
    }
    writer.close()
  }

  private final class End: Sendable {
    let hasCome = Atomic(false)
  }

  private static func readAccounts(
    _ coordinator: CommitCoordinator, until isOver: @Sendable () -> Bool
  ) async throws {
    let accounts = try coordinator.store("accounts")
    var (seen, last) = (0, Int64(0))
    while !isOver() || seen == 0 {
      let (seq, content) = try accounts.readSnapshot()
      #expect(seq >= last)
      if case .int(let a)? = content["a"], case .int(let b)? = content["b"] { #expect(a + b == 0) }
      (seen, last) = (seen + 1, seq)
      // Others need the thread.
      await Task.yield()
    }
  }

  @Test func aLogInMemoryIsFollowed() async throws { try await check(inMemory()) }

  @Test func aLogOnDiskIsFollowed() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await check(onDisk(path).1)
  }

  @Test func aFollowerBeginsWithACheckpoint() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (host, writer) = try onDisk(path)
    try await writer.send(1...300)
    await host.queue.waitUntilIdle()
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    try checkpointer.checkpoint()
    let follower = try follower(writer.source)
    #expect(follower.begin == host.coordinator.digests().seq)
    #expect(follower.digests == host.coordinator.digests())
    try await writer.send(301...400)
    await host.queue.waitUntilIdle()
    #expect(try follower.follow())
    #expect(follower.digests == host.coordinator.digests())
    #expect(try !follower.follow())
    checkpointer.close()
    writer.close()
  }

  /// Somebody has put another end in the place of what was followed.
  @Test(arguments: [
    "UPDATE blocks SET chain = 7 WHERE first = (SELECT max(first) FROM blocks)",
    "DELETE FROM blocks WHERE first = (SELECT max(first) FROM blocks)",
    "INSERT INTO blocks SELECT last + 1, last + 1, time, epoch, checksum, chain, cuts, records FROM blocks ORDER BY first DESC LIMIT 1",
  ])
  func aLostTailIsSaid(change: String) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (host, writer) = try onDisk(path)
    try await writer.send(1...20)
    await host.queue.waitUntilIdle()
    let follower = try follower(writer.source)
    let seq = follower.seq
    writer.close()
    try Database(path: path + "/log.sqlite").run(change)
    let failure = #expect(throws: LogFailure.self) { try follower.follow() }
    if case .lostTail(let text)? = failure {
      #expect(text.contains("what was followed up to seq \(seq) is not what the log has"))
    } else {
      Issue.record("got \(String(describing: failure))")
    }
    #expect(follower.seq == seq)
  }

  @Test func aFollowerThatIsTooFarBehindIsTold() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (host, writer) = try onDisk(path)
    try await writer.send(1...20)
    await host.queue.waitUntilIdle()
    let follower = try follower(writer.source)
    for n in 21...40 { try await writer.send(n...n) }
    await host.queue.waitUntilIdle()
    try host.log.perform([.dropBlocks(through: host.coordinator.digests().seq - 1)])
    try Database(path: path + "/log.sqlite").run(
      "DELETE FROM blocks WHERE first <= ?", [.int(follower.seq + 1)])
    let error = #expect(throws: LogError.self) { try follower.follow() }
    #expect(
      error?.description.hasSuffix("the seqs after \(follower.seq) are not kept any more (log.retain)")
        == true)
    writer.close()
  }
}
