import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerStorage

/// A log that each released format wrote is read by today's version, with the same result.
@Suite struct FormatTests {
  private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  /// Format 2 was written in two runs, with a checkpoint, keys, accepted events, retries, a schedule and two
  /// script trees. Format 3 is that log, brought up and gone on with: a store whose contents are kept apart, in
  /// records and in checkpoints. Format 4 is that one, brought up and gone on with.
  @Test(arguments: [("format-1", 56), ("format-2", 242), ("format-3", 286), ("format-4", 299)])
  func anOlderFormatIsMigrated(name: String, last: Int64) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(atPath: Self.fixtures.appendingPathComponent(name).path, toPath: path)
    let expected = try JSON.parse(String(contentsOfFile: path + "/state.json", encoding: .utf8))
    for _ in 0..<2 {  // migrated, and then opened once more
      let host = try DataHost(path)
      await host.queue.waitUntilIdle()
      let contents = try host.contents().filter { $0.key != "watch" }.mapValues { Value.map($0) }
      #expect(.map(Value.Map(contents)) == expected)
      host.close()
    }
    let reader = try LogReader(path: path)
    #expect(try verified(reader).seq == last)
    #expect(try LogVerification(reader).damages.isEmpty)
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
    #expect(try LogVerification(reader).damages.isEmpty)
    // A chain that begins after blocks without one, as in a log that was too long to be written anew.
    try Database(path: path + "/log.sqlite").run("UPDATE blocks SET chain = 0 WHERE epoch = 0")
    let found = try LogVerification(LogReader(path: path)).damages.map(\.description)
    #expect(found.count == 1 && found[0].hasPrefix("the block of seqs \(blocks[1].first) to "), "\(found)")
  }

  /// They were in a checkpoint, all of them; now they are rows.
  @Test func keysOfAnOlderFormatAreKnown() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-2").path, toPath: path)
    // Before they are a day old.
    let clock = ManualClock(now: 1_795_577_300_000_000_000)
    for life in 0..<3 {
      let host = try DataHost(path, clock: clock)
      if life > 0 {
        try Checkpointer(host.log, host.coordinator, recovery: host.recovery).checkpoint()
        #expect(
          try LogReader(of: host.log.directory).keptKeys().parts.reduce(0) { $0 + $1.entries.count } / 16 >= 9
        )
      }
      let (stream, results) = AsyncStream.makeStream(of: (EventID, [OperationResult]).self)
      _ = try host.queue.offer(Event("n", ["n": 3]), scope: "n", key: "k3") { results.yield(($0, $1)) }
      let answer = try #require(await stream.first { _ in true })
      #expect(answer.0 == EventID(epoch: 1, number: 3), "life \(life)")
      #expect(answer.1.map(\.seq) == [3] && answer.1.map(\.outcome) == [.committed])
      await host.queue.waitUntilIdle()
      host.close()
    }
  }

  @Test func aDamagedOldLogIsNotTouched() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-1").path, toPath: path)
    try Database(path: path + "/log.sqlite")
      .run("UPDATE blocks SET checksum = 1 WHERE first = (SELECT max(first) FROM blocks)")
    let error = #expect(throws: StorageError.self) { try DataDirectory(path: path) }
    #expect(
      error?.description.contains("cannot be brought to format \(DataDirectory.format)") == true, "\(error!)")
    let columns = try Database(path: path + "/log.sqlite")
    var format: Int64 = 0
    try columns.run("SELECT value FROM meta WHERE name = 'format'") { format = $0.int(0) }
    #expect(format == 1)
  }

  @Test func aReaderSaysWhatAnotherFormatNeeds() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.copyItem(
      atPath: Self.fixtures.appendingPathComponent("format-2").path, toPath: path)
    let old = #expect(throws: StorageError.self) { try LogReader(path: path) }
    #expect(
      old?.description
        == "\(path) has format 2, this version reads format \(DataDirectory.format): start a host on it, which brings it up (trigger-host run --data \(path))"
    )
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
