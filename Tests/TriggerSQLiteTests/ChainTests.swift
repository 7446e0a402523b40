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

  /// Blocks of three seqs each.
  private func makeEvenLog(_ path: String) async throws -> [LogBlock] {
    let records = try await makeLog(path).flatMap(\.bytes!)
    let directory = try DataDirectory(path: path)
    try directory.database.run("DELETE FROM blocks")
    let store = try SQLiteLogStore(directory, durability: .async)
    let epoch = try store.beginEpoch(time: 1, seed: 0, versions: "test")
    try records.withUnsafeBytes { records in
      var group = LogGroup()
      try LogRecord.visit(in: records) { record in
        record.encoded.withUnsafeBytes { group.append(seq: record.seq, $0) }
        if group.count < 3 { return }
        try store.write(group, epoch: epoch)
        group = LogGroup()
      }
    }
    let source = try directory.openSource()
    defer { source.close() }
    directory.close()
    return try source.blocks(after: 0, through: .max, bytes: .max)
  }

  /// One column of one block is changed: that block is named, and none beside it.
  @Test(arguments: [
    ("last = last + 2", "its records end with seq"), ("last = last + 1000", "its records end with seq"),
    ("last = last - 1", "its records go on with seq"), ("first = first - 1", "is where"),
    ("first = first + 1", "is where"), ("chain = chain + 1", "its chain does not fit"),
    ("chain = 0", "it has no chain"), ("epoch = epoch + 5", "its chain does not fit"),
    ("epoch = epoch - 1", "it is "), ("checksum = checksum + 1", "its checksum does not fit"),
  ])
  func aBlockIsNotNamedForItsNeighbour(change: String, what: String) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let blocks = try await makeEvenLog(path)
    #expect(blocks.count > 5)
    #expect(try damages(in: path).isEmpty)
    // A first block may begin a chain.
    let isForFirst = !change.hasPrefix("first") && change != "chain = 0"
    for block in [blocks[0], blocks[2], blocks[blocks.count - 1]] where block.first > 1 || isForFirst {
      let database = try Database(path: path + "/log.sqlite")
      try database.run("BEGIN")
      try database.run("UPDATE blocks SET \(change) WHERE first = ?", [.int(block.first)])
      let changed = try database.integer("SELECT max(first) FROM blocks WHERE first <= \(block.first + 1)")
      let last = try database.integer("SELECT last FROM blocks WHERE first = \(changed!)")
      try database.run("COMMIT")
      let found = try damages(in: path).filter { $0.place != "the end of the log" }.map(\.description)
      let place = "the block of seqs \(changed!) to \(last!)"
      #expect(found.count == 1 && found[0].contains(place) && found[0].contains(what), "\(found)")
      try database.run(
        "UPDATE blocks SET first = ?, last = ?, epoch = ?, checksum = ?, chain = ? WHERE first = ?",
        [
          .int(block.first), .int(block.last), .int(block.epoch), .int(block.checksum), .int(block.chain),
          .int(changed!),
        ])
      database.close()
    }
    #expect(try damages(in: path).isEmpty)
  }
}
