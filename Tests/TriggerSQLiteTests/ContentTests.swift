import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// What is likely to come again is on disk once, however many records and checkpoints have it; and all of them read as if
/// each had its own.
@Suite struct ContentTests {
  private static let scripts = [
    "put.lua": """
    return { on = { event = "put" }, execute = function(event, ctx)
      local files, intents = ctx:store("files"), {}
      for i, key in ipairs(event.keys) do intents[i] = files:put(key, event.text) end
      return intents
    end }
    """,
    "all.lua": """
    return { on = { event = "all" }, execute = function(event, ctx)
      local files = ctx:store("files")
      local seq, data = files:read_snapshot()
      data[event.key] = { event.text, "short", n = nil }
      return { files:prepare_commit(seq, data), ctx:store("others"):put("k", event.text) }
    end }
    """,
  ]

  private struct Copy: Trigger {
    let intents: [CommitIntent]
    func execute() -> [CommitIntent] { intents }
  }

  private func host(_ path: String, threshold: Int = 64) throws -> DataHost {
    try DataHost(path, scripts: Self.scripts) {
      try $0.register(VersionedStore("files", backend: MemoryStoreBackend(deduplicationThreshold: threshold)))
    }
  }

  private func text(_ n: Int, _ count: Int = 500) -> String {
    String(String(repeating: "content \(n) ", count: count / 8 + 1).prefix(count))
  }

  private func put(_ host: DataHost, _ keys: [String], _ text: String) async throws {
    let event = Event("put", ["keys": .array(keys.map { .string($0) }), "text": .string(text)])
    #expect(try await host.queue.perform(event).map(\.outcome) == [.committed])
  }

  private func count(_ path: String, _ sql: String) throws -> Int64 {
    try Database(path: path + "/log.sqlite").integer(sql)!
  }

  /// How often a text lies in the database's files.
  private func copies(_ path: String, of text: String) throws -> Int {
    try DataDirectory(path: path).emptyWriteAheadLog()
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "/log.sqlite"))
    var (found, place) = (0, bytes.startIndex)
    while let range = bytes.range(of: Data(text.utf8), in: place..<bytes.endIndex) {
      found += 1
      place = range.upperBound
    }
    return found
  }

  @Test func aContentOfManyRecordsAndCheckpointsIsOnDiskOnce() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try host(path)
    let checkpointer = try Checkpointer(first.log, first.coordinator, recovery: first.recovery)
    for round in 0..<6 {
      try await put(first, ["a", "b\(round)"], text(round % 2))
      if round % 2 == 1 { try checkpointer.checkpoint() }
    }
    try await put(first, ["short"], "less than 64 bytes")
    let before = try first.contents()
    first.close()
    #expect(try count(path, "SELECT count(*) FROM contents WHERE length(bytes) = 500") == 2)
    // The event that brought it has it too: that is no content of a store.
    #expect(try count(path, "SELECT count(*) FROM block_cuts") == 12)
    #expect(try count(path, "SELECT count(*) FROM chunk_cuts") > 0)
    let second = try host(path)
    #expect(try second.contents() == before)
    second.close()
    try verified(try LogReader(path: path)) { record in
      if record.trigger == "put", record.seq < 7 {
        #expect(record.intents.allSatisfy { $0.value.count > 500 }, "a content is missing in \(record)")
      }
    }
  }

  /// A script's text that a trigger also writes as a file is there once: nothing else has it.
  @Test func scriptsAndFilesShareContents() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try host(path)
    try first.log.withDirectory { directory in
      _ = try directory.keep(["x.txt": Array(text(7).utf8)], now: 2, seed: 2)
    }
    let store = try first.coordinator.store("files")
    let copy = Copy(intents: [store.put("x", .string(text(7))), store.put("y", .bytes(Array(text(7).utf8)))])
    #expect(try await first.queue.perform(copy).outcome == .committed)
    first.close()
    #expect(try copies(path, of: text(7)) == 1)
  }

  /// In whole-store commits, and inside of values; strings of other stores stay where they are.
  @Test func contentsAreFoundWhereverTheyAre() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try host(path)
    try await put(first, ["a", "b"], text(1))
    for key in ["c", "d"] {
      let event = Event("all", ["key": .string(key), "text": .string(text(1))])
      #expect(try await first.queue.perform(event).map(\.outcome) == [.committed])
    }
    let before = try first.contents()
    first.close()
    #expect(try count(path, "SELECT count(*) FROM contents WHERE length(bytes) = 500") == 1)
    // Twice put; a, b and c; a, b, c and d.
    #expect(try count(path, "SELECT count(*) FROM block_cuts") == 2 + 3 + 4)
    let second = try host(path)
    #expect(try second.contents() == before)
    second.close()
  }

  @Test func contentsGoWithTheLastThatHasThem() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try host(path)
    let checkpointer = try Checkpointer(
      host.log, host.coordinator, recovery: host.recovery, retention: LogRetention(bytes: 3_000))
    try await put(host, ["stays"], text(0))
    for n in 1...20 {
      try await put(host, ["changes"], text(n))
      try checkpointer.checkpoint()
    }
    let before = try host.contents()
    host.close()
    let left = try count(path, "SELECT count(*) FROM contents WHERE length(bytes) = 500")
    #expect(left >= 2 && left < 15, "\(left) contents are left")
    #expect(
      try count(
        path,
        """
        SELECT count(*) FROM contents WHERE id NOT IN (SELECT content FROM block_cuts)
        AND id NOT IN (SELECT content FROM chunk_cuts) AND id NOT IN (SELECT content FROM script_files)
        """) == 0)
    let again = try self.host(path)
    #expect(try again.contents() == before)
    again.close()
  }

  @Test func aDamagedContentIsSaidWithItsSeqs() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try host(path)
    try await put(first, ["a"], text(1))
    try await put(first, ["a"], text(2))
    first.close()
    for (damage, what) in [
      (
        "UPDATE contents SET bytes = zeroblob(500) WHERE id = (SELECT max(id) FROM contents)",
        "its checksum does not fit"
      ),
      ("DELETE FROM contents WHERE id = (SELECT max(id) FROM contents)", "a content of it is not there"),
    ] {
      try Database(path: path + "/log.sqlite").run(damage)
      let error = #expect(throws: LogError.self) { try LogReader(path: path).visit { _ in } }
      #expect(
        error?.description.hasSuffix(
          "the block of seqs 2 to 2 is damaged: \(what); everything before seq 2 is intact") == true,
        "\(error!)")
    }
  }

  /// Whatever threshold somebody asks for: strings side by side, and empty ones.
  @Test(arguments: [Int.min, 0, 1]) func anyThresholdWill(_ threshold: Int) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try host(path, threshold: threshold)
    let store = try first.coordinator.store("files")
    let value: Value = ["", "", "a", "a", ["": "", "k": "b"]]
    for key in ["", "x"] {
      try await put(first, ["a"], key)
      #expect(
        try await first.queue.perform(Copy(intents: [store.put("v\(key)", value)])).outcome == .committed)
    }
    let before = try first.contents()
    first.close()
    let second = try host(path, threshold: threshold)
    #expect(try second.contents() == before)
    second.close()
  }

  @Test func anyCutsJoinAgain() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let directory = try DataDirectory(path: path)
    let contents = Contents(database: directory.database)
    for block in 1...200 {
      let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
        UInt8.random(in: 0...1, using: &random)
      }
      var (ranges, place) = ([Range<Int>](), 0)
      while place < bytes.count {
        let start = Int.random(in: place..<bytes.count, using: &random)
        let end = Int.random(in: start + 1...bytes.count, using: &random)
        ranges.append(start..<end)
        place = end
      }
      let (rest, cuts) = try bytes.withUnsafeBytes { try contents.cut($0, ranges) }
      for cut in cuts {
        try directory.database.run(
          "INSERT INTO block_cuts VALUES (?, ?, ?)",
          [.int(Int64(block)), .int(Int64(cut.offset)), .int(cut.content)])
      }
      let whole = try rest.withUnsafeBytes {
        try contents.block(Int64(block), rest: $0, cuts: Int64(cuts.count))
      }
      #expect(whole == bytes, "seed \(seed), block \(block)")
    }
    #expect(
      try directory.database.integer("SELECT count(*) FROM contents")
        == directory.database.integer("SELECT count(DISTINCT bytes) FROM contents"))
  }
}
