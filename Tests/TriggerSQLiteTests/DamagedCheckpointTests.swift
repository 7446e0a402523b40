import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

/// A checkpoint is a copy of what the log says: damage of one costs time, and nothing else.
@Suite(.serialized) struct DamagedCheckpointTests {
  private typealias Contents = [String: Value.Map]

  /// A directory with two checkpoints and records after each. Returns what its stores hold.
  private func fill(_ path: String) async throws -> Contents {
    let host = try DataHost(path)
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    for run in 0..<3 {
      try await host.send(run * 50 + 1...run * 50 + 50)
      await host.queue.waitUntilIdle()
      if run < 2 { try checkpointer.checkpoint() }
    }
    defer { host.close() }
    return try host.contents()
  }

  private static let newest = "(SELECT max(id) FROM checkpoints)"

  /// Every value of a checkpoint that can be damaged, and its name in what is said.
  @Test(arguments: [
    ("UPDATE chunks SET data = zeroblob(length(data)) WHERE checkpoint = \(newest) AND number = 1", "part 1"),
    ("UPDATE chunks SET data = x'' WHERE checkpoint = \(newest) AND number = 0", "part 0"),
    ("UPDATE chunks SET checksum = checksum + 1 WHERE checkpoint = \(newest) AND number = 0", "part 0"),
    ("DELETE FROM chunks WHERE checkpoint = \(newest) AND number = 0", "part 0 is missing"),
    (
      "DELETE FROM chunks WHERE checkpoint = \(newest) AND number = (SELECT max(number) FROM chunks WHERE checkpoint = \(newest))",
      "parts are there"
    ),
    ("UPDATE checkpoints SET fold = zeroblob(length(fold)) WHERE id = \(newest)", "beside the stores"),
    ("UPDATE checkpoints SET since = since + 3 WHERE id = \(newest)", "its row"),
    ("UPDATE checkpoints SET last = last + 3 WHERE id = \(newest)", "its row"),
    ("UPDATE checkpoints SET since = -9223372036854775807 WHERE id = \(newest)", "its row"),
    ("UPDATE checkpoints SET parts = 'many', bytes = x'00', time = NULL WHERE id = \(newest)", "parts"),
  ])
  func theOneBeforeServes(damage: String, place: String) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let before = try await fill(path)
    let file = try Database(path: path + "/log.sqlite")
    // No constraint stands in the way of damage.
    try file.run("PRAGMA writable_schema = ON")
    try file.run(
      "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name IN ('checkpoints', 'chunks')")
    let damaged = try #require(try file.integer("SELECT max(id) FROM checkpoints"))
    try Database(path: path + "/log.sqlite").run(damage)

    let reader = try LogReader(path: path)
    #expect(try CommitCoordinator().recover { try reader.recover($0) }.lastSeq == reader.lastSeq())
    #expect(reader.damaged.map(\.checkpoint) == [damaged])
    #expect("\(reader.damaged)".contains(place), "\(reader.damaged)")
    // The fold, too, which lists of what failed and schedules ask for alone.
    #expect(try LogReader(path: path).fold() == (try wholeFold(path)))

    let host = try DataHost(path)
    #expect(try host.contents() == before)
    // The next one takes its place.
    let checkpointer = try Checkpointer(
      host.log, host.coordinator, recovery: host.recovery, damaged: reader.damaged)
    try checkpointer.checkpoint()
    host.close()
    let after = try LogReader(path: path)
    let kept = try after.checkpoints()
    let last = try after.lastSeq()
    #expect(kept.count == 2 && kept[0].last == last)
    for checkpoint in kept { _ = try after.check(checkpoint) }
  }

  private func wholeFold(_ path: String) throws -> LogFold {
    var fold = LogFold()
    try LogReader(path: path).visitViews { try fold.apply($0) }
    return fold
  }

  /// All of them: the log alone serves, while it goes back to the first seq.
  @Test func theLogServesWithoutAny() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let before = try await fill(path)
    try Database(path: path + "/log.sqlite").run("UPDATE chunks SET data = x'83'")
    let host = try DataHost(path)
    #expect(try host.contents() == before)
    #expect(host.recovery.begin == 0)
    host.close()
    // And where it does not, what is said names the reason.
    try Database(path: path + "/log.sqlite").run("DELETE FROM blocks WHERE first = 1")
    let reader = try LogReader(path: path)
    let error = #expect(throws: LogError.self) { try CommitCoordinator().recover { try reader.recover($0) } }
    #expect(error?.description.contains("is damaged: part 0") == true, "\(error!)")
    #expect(throws: LogError.self) { try LogReader(path: path).fold() }
  }

  /// What a new version has never written: the seal of a checkpoint of an older format.
  @Test func thoseWithoutASealServe() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let before = try await fill(path)
    try Database(path: path + "/log.sqlite").run("UPDATE checkpoints SET seal = 0, parts = 0, bytes = 0")
    let host = try DataHost(path)
    #expect(try host.contents() == before && host.recovery.begin > 0)
    host.close()
  }
}
