import Foundation
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

/// A log whose first records are gone: verification and a start say the same of it, and why.
@Suite struct BeginningTests {
  /// A log of two lives, without a checkpoint.
  private func makeLog(_ path: String) async throws -> [LogBlock] {
    for life in 1...2 {
      let host = try DataHost(path)
      for n in 1...3 {
        try await host.send(life * 10 + n...life * 10 + n)
        await host.queue.waitUntilIdle()
      }
      host.close()
    }
    return try LogReader(path: path).source.blocks(after: 0, through: .max, bytes: .max)
  }

  private func refusal(_ path: String) -> String {
    let error = #expect(throws: LogError.self) {
      try CommitCoordinator().recover { try LogReader(path: path).recover($0) }
    }
    return error?.description ?? ""
  }

  @Test func aLogThatLostItsFirstBlockIsNotIntact() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let gone = try await makeLog(path)[0]
    try Database(path: path + "/log.sqlite").run("DELETE FROM blocks WHERE first = 1")
    let reason =
      "begins with seq \(gone.last + 1), and there is no checkpoint of the state before it: \(SeqText.missing(1, gone.last))"
    #expect(try damages(in: path).map(\.description) == ["the log: it \(reason)"])
    #expect(refusal(path).hasSuffix("the log \(reason)"), "\(refusal(path))")
  }

  /// The log has noted what was let go, and then lost more.
  @Test func whatWasLetGoIsToldFromWhatIsMissing() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let blocks = try await makeLog(path)
    let host = try DataHost(path)
    try host.log.perform([.dropBlocks(through: blocks[1].last)])
    host.close()
    let letGo = "what was before is not kept any more (log.retain)"
    #expect(try damages(in: path).map(\.description).first?.hasSuffix(letGo) == true)
    #expect(refusal(path).contains(letGo))
    try Database(path: path + "/log.sqlite").run(
      "DELETE FROM blocks WHERE first = ?", [.int(blocks[2].first)])
    let (first, last) = (blocks[2].first, blocks[2].last)
    let missing = first == last ? "seq \(first) is missing" : "seqs \(first) to \(last) are missing"
    #expect(try damages(in: path).map(\.description).first?.hasSuffix(missing) == true)
    #expect(refusal(path).hasSuffix(missing))
  }

  @Test func aLogThatBeginsWithACheckpointIsIntact() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    for n in 1...5 {
      try await host.send(n...n)
      await host.queue.waitUntilIdle()
    }
    try checkpointer.checkpoint()
    try host.log.perform([.dropBlocks(through: host.coordinator.digests().seq - 1)])
    try await host.send(6...9)
    await host.queue.waitUntilIdle()
    checkpointer.close()
    host.close()
    #expect(try LogReader(path: path).firstSeq() > 1)
    #expect(try damages(in: path).isEmpty)
  }
}
