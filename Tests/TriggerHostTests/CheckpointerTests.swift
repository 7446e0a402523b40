import Testing
import TriggerCore
import TriggerHost
import TriggerReplay

/// Checkpoints and retention need no database: any log will do.
@Suite struct CheckpointerTests {
  private static let scripts = [
    "fill.lua": """
    return { on = { event = "fill" }, execute = function(event, ctx)
      return { ctx:store("s"):put("k" .. event.n % 50, { n = event.n, text = string.rep("x", 500) }) }
    end }
    """
  ]

  @Test func aLogInMemoryIsCheckpointedAndShortened() async throws {
    let store = MemoryLogStore()
    let epoch = store.beginEpoch(time: 1, seed: 0, versions: "test")
    let writer = GroupWriter(store, epoch: epoch, lastSeq: 0, clock: SystemClock())
    writer.start()
    let source = store.openSource()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2), log: writer)
    let recovery = try coordinator.recover { _ in }
    let queue = TriggerQueue(coordinator)
    let notes = LogNotes(store.openSource(), clock: SystemClock())
    var tree = ScriptTree(files: Self.scripts.mapValues { Array($0.utf8) })
    tree.identity = try notes.keep(tree.files, now: 1, seed: 2, seq: 1)
    try writer.perform(notes.takeJobs())
    queue.bind([], scripts: tree)
    queue.start()
    let checkpointer = try Checkpointer(
      writer, coordinator, store.openSource(), recovery: recovery, retention: LogRetention(bytes: 200_000))
    for round in 0..<4 {
      for n in round * 300..<round * 300 + 300 {
        try await queue.enqueue(Event("fill", ["n": .int(Int64(n))]))
      }
      await queue.waitUntilIdle()
      try checkpointer.checkpoint()
    }
    let (first, reader) = (try source.firstSeq(), LogReader(source))
    #expect(first > 300)
    #expect(try source.cut()?.seq == first - 1)
    #expect(LogVerification(reader).damages.isEmpty)
    let again = CommitCoordinator(EngineConfiguration(workers: 1))
    try again.recover { try reader.recover($0) }
    #expect(again.digests() == coordinator.digests() && again.digests().seq == 1200)
    checkpointer.close()
    await queue.stop()
    writer.close()
    // Who comes too late is told, and does not wait for ever.
    #expect(throws: LogFailure.closed) { try writer.perform([]) }
  }
}
