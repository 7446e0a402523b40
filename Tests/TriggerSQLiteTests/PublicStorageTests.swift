import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite
@testable import TriggerStores

/// Public things of the storage that nothing else here uses by itself.
@Suite struct PublicStorageTests {
  @Test func whatIsLostIsSaid() {
    let loss: LogLoss = LogLoss(seq: 3, lostSeq: 7, epoch: 1, lostEpoch: 2, witness: "newest")
    #expect(loss.lostEpoch == 2)
    #expect(
      "\(loss)"
        == "the log ends with seq 3 of epoch 1, and newest says that it went to seq 7 in epoch 2: seqs 4 to 7 are missing"
    )
  }

  @Test func damageIsOneLine() {
    let damage: DirectoryDamage = DirectoryDamage(place: "block 3", what: "its checksum differs")
    #expect("\(damage)" == "block 3: its checksum differs")
    #expect(
      "\(DirectoryDamage(place: "block 3", what: "of block 3, nothing is there"))"
        == "of block 3, nothing is there")
    let checkpoint: CheckpointDamage = KeptCheckpoint(
      id: 1, since: 2, last: 3, time: 4, checksum: 5, parts: 6, bytes: 7, seal: 8
    ).damaged("part 2 is not there")
    #expect("\(checkpoint)" == "checkpoint 1 of seq 3 is damaged: part 2 is not there")
  }

  /// How much a start would have to read again.
  @Test func recordsSinceTheLastCheckpoint() async throws {
    let directory = try FilesDirectory()
    let host = try DataHost(directory.path + "/data")
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    try await host.send(1...3)
    await host.queue.waitUntilIdle()
    #expect(checkpointer.recordsSince == host.coordinator.stats.currentSeq)
    try checkpointer.checkpoint()
    #expect(checkpointer.recordsSince == 0)
    checkpointer.stop()
    host.close()
  }

  /// Edits by others become one commit, with the number of their burst.
  @Test func editsAreOneCommit() async throws {
    let directory = try FilesDirectory(["a": "1"])
    let backend = try FileStoreBackend(directory: directory.root, mark: nil)
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let store = try coordinator.register(VersionedStore("files", backend: backend))
    let queue = TriggerQueue(coordinator)
    queue.start()
    let edits = FileEdits(
      number: 4, edits: [FileEdit(path: "a", content: nil), FileEdit(path: "b", content: FileContent("2"))])
    let result = try await queue.perform(FileEditTrigger(store, edits))
    #expect(result.trigger == "file-edit" && result.outcome == .committed)
    #expect(try store.scan().map(\.key) == ["b"])
    await queue.stop()
    backend.stop()
  }
}
