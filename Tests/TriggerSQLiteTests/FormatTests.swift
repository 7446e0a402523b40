import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// A log that each released format wrote is read by today's version, with the same result.
@Suite struct FormatTests {
  private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  /// Written in several runs, with a checkpoint, keys, accepted events, retries, a schedule, two script trees, and a store
  /// whose contents are kept apart, in records and in checkpoints.
  @Test(arguments: [("format-4", 299)])
  func anOlderFormatIsMigrated(name: String, last: Int64) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(atPath: Self.fixtures.appendingPathComponent(name).path, toPath: path)
    let expected = try JSON.parse(String(contentsOfFile: path + "/state.json", encoding: .utf8))
    for isOld in [true, false] {  // migrated, and then opened once more
      let directory = try DataDirectory(path: isOld ? path : path + "-new")
      defer { if !isOld { try? FileManager.default.removeItem(atPath: path + "-new") } }
      #expect(directory.convertedFormat == (isOld ? 4 : nil))
      directory.close()
      let host = try DataHost(path)
      await host.queue.waitUntilIdle()
      let contents = try host.contents().filter { $0.key != "watch" }.mapValues { Value.map($0) }
      #expect(.map(Value.Map(contents)) == expected)
      host.close()
    }
    let reader = try LogReader(path: path)
    #expect(try verified(reader).seq == last)
    #expect(try damages(in: path).isEmpty)
    let blocks = try reader.source.blocks(after: 0, through: .max, bytes: .max)
    #expect(blocks.allSatisfy { $0.chain != 0 && $0.epoch == 0 })
  }

  /// What a log of before had is one chain with what comes after it.
  @Test func aMigratedLogGoesOnWithItsChain() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-4").path, toPath: path)
    let host = try DataHost(path)
    try await host.send(3001...3003)
    await host.queue.waitUntilIdle()
    host.close()
    let reader = try LogReader(path: path)
    let blocks = try reader.source.blocks(after: 298, through: .max, bytes: .max)
    #expect(blocks.count > 1 && blocks[0].epoch == 0 && blocks.dropFirst().allSatisfy { $0.epoch == 6 })
    #expect(blocks.last?.end == (try reader.source.end()))
    #expect(try damages(in: path).isEmpty)
    // A chain that begins after blocks without one, as in a log that was too long to be written anew.
    try Database(path: path + "/log.sqlite").run("UPDATE blocks SET chain = 0 WHERE epoch = 0")
    let found = try damages(in: path).map(\.description)
    #expect(found.count == 1 && found[0].hasPrefix("the block of seqs \(blocks[1].first) to "), "\(found)")
  }

  /// In a log that is too long to be gone through, blocks stay without a chain, and one begins after them.
  @Test func theChainOfALongLogBeginsAfterItsOldBlocks() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-4").path, toPath: path)
    let database = try Database(path: path + "/log.sqlite")
    try DataFormat.prepare(database, path: path, chainingUpTo: 1000)
    database.close()
    let host = try DataHost(path)
    for n in 3001...3003 {
      try await host.send(n...n)
      await host.queue.waitUntilIdle()
    }
    let source = try SQLiteLogSource(path: path)
    let blocks = try source.blocks(after: 0, through: .max, bytes: .max)
    let (old, new) = (blocks.filter { $0.epoch == 0 }, blocks.filter { $0.epoch == 6 })
    #expect(old.count > 2 && new.count > 2 && old.count + new.count == blocks.count)
    #expect(old.allSatisfy { $0.chain == 0 } && new.allSatisfy { $0.chain != 0 })
    #expect(try damages(in: path).isEmpty)
    #expect(try verified(LogReader(source)).seq == host.log.durable)
    // With each of them as the first that is kept.
    for block in [old[0], old[old.count - 1], new[0]] {
      try host.log.perform([.dropBlocks(through: block.last)])
      #expect(try source.cut() == block.end)
      try LogReader(source).visit { _ in }
    }
    host.close()
    // A new block may not lose its chain.
    try Database(path: path + "/log.sqlite").run(
      "UPDATE blocks SET chain = 0 WHERE first = ?", [.int(new[2].first)])
    #expect(throws: LogError.self) { try LogReader(path: path).visit { _ in } }
  }

  @Test func aReaderSaysWhatAnotherFormatNeeds() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-4").path, toPath: path)
    let old = #expect(throws: StorageError.self) { try LogReader(path: path) }
    #expect(
      old?.description
        == "\(path) has format 4, this version reads format \(DataDirectory.format): start a host on it, which brings it up (trigger-host run --data \(path))"
    )
    try Database(path: path + "/log.sqlite").run("UPDATE meta SET value = 3 WHERE name = 'format'")
    for open in [{ _ = try LogReader(path: path) }, { _ = try DataDirectory(path: path) }] {
      let unreleased = #expect(throws: StorageError.self) { try open() }
      #expect(
        unreleased?.description.hasPrefix("\(path) has format 3, which no release has written; ") == true)
    }
    try Database(path: path + "/log.sqlite").run("UPDATE meta SET value = 99 WHERE name = 'format'")
    for open in [{ _ = try LogReader(path: path) }, { _ = try DataDirectory(path: path) }] {
      let new = #expect(throws: StorageError.self) { try open() }
      #expect(
        new?.description
          == "\(path) has format 99, this version reads up to \(DataDirectory.format): use a newer trigger-host"
      )
    }
  }
}
