import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// A block that is a good block, and not the one that was written there, is found.
@Suite struct ChainTests {
  private func makeLog(_ path: String) async throws -> [LogBlock] {
    for life in 1...2 {
      let host = try DataHost(path)
      for n in 1...5 {
        try await host.send(life * 10 + n...life * 10 + n)
        await host.queue.waitUntilIdle()
      }
      host.close()
    }
    let source = try LogReader(path: path).source
    let blocks = try source.blocks(after: 0, through: .max, bytes: .max)
    #expect(Set(blocks.map(\.epoch)) == [1, 2] && blocks.count > 8)
    return blocks
  }

  /// The block with the source of its events changed: nothing that the stores tell of.
  private func altered(_ block: LogBlock) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try block.bytes!.withUnsafeBytes { old in
      try LogRecord.visit(in: old) { record in
        var record = record
        record.source &+= 1
        bytes += record.encoded
      }
    }
    return bytes
  }

  private func check(_ path: String, _ place: String, _ what: String) throws {
    let found = try damages(in: path).map(\.description)
    #expect(found.contains { $0.contains("the block of seqs \(place)") && $0.contains(what) }, "\(found)")
    let error = #expect(throws: LogError.self) { try LogReader(path: path).visit { _ in } }
    #expect(error?.description.contains(what) == true, "\(String(describing: error))")
  }

  @Test(arguments: [0, 3]) func aBlockThatWasChangedInPlaceIsFound(place: Int) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let block = try await makeLog(path)[place]
    try altered(block).withUnsafeBytes { bytes in
      try Database(path: path + "/log.sqlite").run(
        "UPDATE blocks SET records = ?, checksum = ? WHERE first = ?",
        [.blob(bytes), .int(LogBlock.checksum(bytes)), .int(block.first)])
    }
    try check(path, "\(block.first) to \(block.last)", "its chain does not fit")
  }

  /// With a chain that fits the block before: then the one after it does not fit.
  @Test func aBlockOfAnotherHistoryIsFound() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let blocks = try await makeLog(path)
    var block = blocks[3]
    let bytes = try altered(block)
    block.checksum = bytes.withUnsafeBytes { LogBlock.checksum($0) }
    block.chain = block.chain(after: blocks[2].chain)
    try bytes.withUnsafeBytes { bytes in
      try Database(path: path + "/log.sqlite").run(
        "UPDATE blocks SET records = ?, checksum = ?, chain = ? WHERE first = ?",
        [.blob(bytes), .int(block.checksum), .int(block.chain), .int(block.first)])
    }
    try check(path, "\(blocks[4].first) to \(blocks[4].last)", "its chain does not fit")
  }

  /// What was before it is gone, and it is checked all the same.
  @Test func theFirstBlockThatIsKeptIsChecked() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let blocks = try await makeLog(path)
    let host = try DataHost(path)
    try host.log.perform([.dropBlocks(through: blocks[3].last)])
    host.close()
    let source = try SQLiteLogSource(path: path)
    #expect(try source.cut() == blocks[3].end && source.firstSeq() == blocks[4].first)
    try LogReader(source).visit { _ in }
    var block = blocks[4]
    let bytes = try altered(block)
    // As it would be in another history: the mark tells them apart, and nothing else.
    block.checksum = bytes.withUnsafeBytes { LogBlock.checksum($0) }
    try bytes.withUnsafeBytes { bytes in
      try Database(path: path + "/log.sqlite").run(
        "UPDATE blocks SET records = ?, checksum = ? WHERE first = ?",
        [.blob(bytes), .int(block.checksum), .int(block.first)])
    }
    try check(path, "\(block.first) to \(block.last)", "its chain does not fit")
    // A log that an older version has shortened since then has no mark of that.
    try Database(path: path + "/log.sqlite").run("UPDATE meta SET value = 2 WHERE name = 'cut'")
    try LogReader(path: path).visit(to: block.last) { _ in }
  }

  @Test func anEpochThatGoesBackIsFound() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let blocks = try await makeLog(path)
    let place = try #require(blocks.indices.last { blocks[$0].epoch == 2 && blocks[$0 - 1].epoch == 2 })
    try Database(path: path + "/log.sqlite").run(
      "UPDATE blocks SET epoch = 1 WHERE first = ?", [.int(blocks[place].first)])
    try check(
      path, "\(blocks[place].first) to \(blocks[place].last)",
      "it is of epoch 1, and the block before it of epoch 2")
  }

  @Test func aBlockThatHasLostItsChainIsFound() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let block = try await makeLog(path)[4]
    try Database(path: path + "/log.sqlite").run(
      "UPDATE blocks SET chain = 0 WHERE first = ?", [.int(block.first)])
    try check(path, "\(block.first) to \(block.last)", "it has no chain")
  }
}
