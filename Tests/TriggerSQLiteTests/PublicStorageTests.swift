import Foundation
import Testing
import TriggerHost

@testable import TriggerSQLite

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

  @Test func oneSeqIsNotSeveral() {
    let loss = LogLoss(seq: 3, lostSeq: 4, epoch: 1, lostEpoch: 1, witness: "newest")
    #expect("\(loss)".hasSuffix(": seq 4 is missing"))
    #expect(SeqText.missing(4, 5) == "seqs 4 to 5 are missing" && SeqText.of(4, 4) == "seq 4")
    // What a damaged row may say.
    #expect(SeqText.missing(.max, .min) == "seqs \(Int64.max) to \(Int64.min) are missing")
  }

  @Test func damageIsOneLine() {
    let damage: DirectoryDamage = DirectoryDamage("block 3", "its checksum differs", in: "/data")
    #expect("\(damage)" == "block 3: its checksum differs")
    #expect(
      "\(DirectoryDamage("block 3", "of block 3, nothing is there", in: "/data"))"
        == "of block 3, nothing is there")
    let checkpoint: CheckpointDamage = KeptCheckpoint(
      id: 1, since: 2, last: 3, time: 4, checksum: 5, parts: 6, bytes: 7, seal: 8
    ).damaged("part 2 is not there")
    #expect("\(checkpoint)" == "checkpoint 1 of seq 3 is damaged: part 2 is not there")
  }

  /// How much a start would have to read again.
  @Test func recordsSinceTheLastCheckpoint() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    try await host.send(1...3)
    await host.queue.waitUntilIdle()
    #expect(checkpointer.recordsSince == host.coordinator.stats.currentSeq)
    try checkpointer.checkpoint()
    #expect(checkpointer.recordsSince == 0)
    checkpointer.stop()
    host.close()
  }
}
