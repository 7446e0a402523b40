import Foundation
import Synchronization
import TestSupport
import Testing
import TriggerCore

import TriggerHost
import TriggerSQLite

/// Keys of senders with a log: a key that comes again within a day gets the first one's results, and runs nothing,
/// whatever lies between.
@Suite struct KeyTests {
  private static let scripts = [
    "n.lua": """
    return { on = { event = "n" }, execute = function(event, ctx)
      if event.fails and not ctx:store("s"):get("mended") then error("not yet") end
      return { ctx:store("s"):add("runs", 1) }
    end }
    """,
    "also.lua": """
    return { on = { event = "two" }, execute = function(event, ctx) return { ctx:store("s"):add("two", 1) } end }
    """,
    "too.lua": """
    -- As also.lua.
    return { on = { event = "two" }, execute = function(event, ctx) return { ctx:store("s"):add("two", 1) } end }
    """,
    "mend.lua": """
    return { on = { event = "mend" }, execute = function(event, ctx) return { ctx:store("s"):put("mended", true) } end }
    """,
  ]

  /// A host that takes checkpoints, on a clock set by hand.
  private final class KeyHost {
    let host: DataHost
    let checkpointer: Checkpointer

    init(_ path: String, clock: ManualClock, scripts: [String: String] = KeyTests.scripts, keys: Int? = nil)
      throws
    {
      host = try DataHost(
        path, scripts: scripts, clock: clock, configure: { if let keys { $0.keys = keys } })
      checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    }

    func send(
      _ key: String, _ name: String = "n", _ fields: Value.Map = [:]
    ) async throws -> (id: EventID, results: [OperationResult]) {
      let (stream, results) = AsyncStream.makeStream(of: (EventID, [OperationResult]).self)
      _ = try host.queue.offer(Event(name, .map(fields)), scope: "s", key: key) { results.yield(($0, $1)) }
      return try #require(await stream.first { _ in true })
    }

    /// Many at once, each with a key of its own.
    func send(_ keys: Range<Int>) async throws {
      let left = Atomic<Int>(keys.count)
      let (stream, done) = AsyncStream.makeStream(of: Void.self)
      for n in keys {
        while try host.queue.offer(
          Event("n"), scope: "s", key: "many \(n)",
          results: { _, _ in
            if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done.finish() }
          }) == nil
        { await host.queue.waitForRoom() }
      }
      for await _ in stream {}
    }

    var runs: Value? { get throws { try host.coordinator.store("s").get("runs") } }
  }

  private func withDirectory(_ body: (String, ManualClock) async throws -> Void) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path, ManualClock(now: 1_767_225_600_000_000_000))
  }

  private func rowsOnDisk(_ path: String) throws -> Int64 {
    try #require(
      try Database(path: path + "/log.sqlite").integer("SELECT sum(length(entries)) / 16 FROM key_parts"))
  }

  /// Kept in parts, found there, in the same life and in the next ones, with a checkpoint or without.
  @Test(arguments: [false, true])
  func aKeyIsFoundOnDisk(isCheckpointed: Bool) async throws {
    try await withDirectory { path, clock in
      var first: [String: EventID] = [:]
      var host = try KeyHost(path, clock: clock)
      for key in ["a", "b"] { first[key] = try await host.send(key).id }
      first["two"] = try await host.send("two", "two").id
      try await host.send(0..<3000)
      for life in 0..<3 {
        if isCheckpointed {
          try host.checkpointer.checkpoint()
          #expect(try rowsOnDisk(path) == 3003)
          #expect(host.host.coordinator.recentKeys == 0)
        }
        for key in ["a", "b"] {
          let again = try await host.send(key)
          #expect(again.id == first[key] && again.results.map(\.outcome) == [.committed], "life \(life)")
        }
        let two = try await host.send("two", "two")
        #expect(two.id == first["two"] && Set(two.results.map(\.trigger)) == ["also", "too"], "life \(life)")
        #expect(throws: KeyReused.self) {
          try host.host.queue.offer(Event("n", ["other": 1]), scope: "s", key: "a") { _, _ in }
        }
        try await host.send(2990..<3000)
        #expect(try host.runs == 3002)
        host.host.close()
        host = try KeyHost(path, clock: clock)
      }
      host.host.close()
    }
  }

  /// Nobody is forgotten for their number, and checkpoints do not grow with it.
  @Test func checkpointsHaveNoKeys() async throws {
    try await withDirectory { path, clock in
      let host = try KeyHost(path, clock: clock)
      var sizes: [Int64] = []
      for round in 0..<4 {
        try await host.send(round * 1000..<(round + 1) * 1000)
        try host.checkpointer.checkpoint()
        sizes.append(
          try #require(
            try Database(path: path + "/log.sqlite").integer(
              "SELECT length(fold) FROM checkpoints ORDER BY id DESC LIMIT 1")))
      }
      #expect(Set(sizes.map { $0 / 16 }).count == 1, "\(sizes)")
      host.host.close()
    }
  }

  /// After a day and not before; in parts that are gone from the disk then.
  @Test func keysAreForgottenAfterADay() async throws {
    try await withDirectory { path, clock in
      var host = try KeyHost(path, clock: clock)
      let first = try await host.send("a").id
      try host.checkpointer.checkpoint()
      clock.advance(by: .seconds(24 * 3600))
      #expect(try await host.send("a").id == first)
      // Another part, so that the first can go.
      _ = try await host.send("b")
      try host.checkpointer.checkpoint()
      host.host.close()
      host = try KeyHost(path, clock: clock)
      #expect(try await host.send("a").id == first)
      clock.advance(by: .nanoseconds(1))
      #expect(try await host.send("a").id != first)
      #expect(try host.runs == 3)
      try host.checkpointer.checkpoint()
      #expect(try rowsOnDisk(path) == 2)
      host.host.close()
    }
  }

  /// Somebody sets the clock days ahead and back, or the other way round: no key grows older for that, and those that
  /// came meanwhile are known for a day.
  @Test(arguments: [2, -2, 3650])
  func aClockThatIsSetForAWhile(days: Int) async throws {
    try await withDirectory { path, clock in
      var host = try KeyHost(path, clock: clock)
      let before = try await host.send("before").id
      clock.step(by: .seconds(days * 24 * 3600))
      #expect(try await host.send("before").id == before)
      let meanwhile = try await host.send("meanwhile").id
      try host.checkpointer.checkpoint()
      clock.step(by: .seconds(-days * 24 * 3600))
      for life in 0..<2 {
        #expect(try await host.send("before").id == before, "life \(life)")
        #expect(try await host.send("meanwhile").id == meanwhile, "life \(life)")
        if life == 1 { break }
        host.host.close()
        host = try KeyHost(path, clock: clock)
      }
      clock.advance(by: .seconds(24 * 3600 + 1))
      for key in ["before", "meanwhile"] {
        #expect(try await host.send(key).id.epoch == 2, "\(key) is forgotten")
      }
      host.host.close()
    }
  }

  /// A host that ran while the clock was a year behind: what came then is not old when the clock is right again.
  @Test func aClockThatWasBehindForAWhile() async throws {
    try await withDirectory { path, clock in
      let year: Duration = .seconds(365 * 24 * 3600)
      var ids: [EventID] = []
      for (life, step) in [Duration.zero, .zero - year, year].enumerated() {
        clock.advance(by: step)
        let host = try KeyHost(path, clock: clock)
        for key in 0...life {
          let id = try await host.send("\(key)").id
          if key < ids.count { #expect(ids[key] == id) } else { ids.append(id) }
        }
        host.host.close()
      }
      clock.advance(by: .seconds(24 * 3600 + 1))
      let host = try KeyHost(path, clock: clock)
      try host.checkpointer.checkpoint()
      #expect(try await host.send("1").id != ids[1])
      host.host.close()
    }
  }

  /// What is full refuses new keys, says until when, and knows the old ones.
  @Test func aFullWindowRefuses() async throws {
    try await withDirectory { path, clock in
      let host = try KeyHost(path, clock: clock, keys: 3)
      let first = try await host.send("a").id
      clock.advance(by: .seconds(3600))
      for key in ["b", "c"] { _ = try await host.send(key) }
      for isCheckpointed in [false, true] {
        if isCheckpointed { try host.checkpointer.checkpoint() }
        let refusal = await #expect(throws: KeysFull.self) { try await host.send("d") }
        #expect(refusal?.limit == 3)
        let until = isCheckpointed ? "2026-01-02T01:00:00Z" : "2026-01-02T00:00:00Z"
        #expect("\(refusal!)".contains("taken from \(until) on"), "\(refusal!)")
        #expect(try await host.send("a").id == first)
      }
      #expect(try host.runs == 3)
      // A day after the newest of the part, and of one more that is not the newest.
      clock.advance(by: .seconds(24 * 3600 + 1))
      host.host.close()
      let next = try KeyHost(path, clock: clock, keys: 3)
      #expect(try await next.send("e").results.map(\.outcome) == [.committed])
      next.host.close()
    }
  }

  /// Part of a log whose end a crash has cut: what the records say and no part has yet.
  @Test func partsAndRecordsAreOne() async throws {
    try await withDirectory { path, clock in
      var host = try KeyHost(path, clock: clock)
      try await host.send(0..<1500)
      try host.checkpointer.checkpoint()
      try await host.send(1500..<2000)
      host.host.close()
      // Without the checkpoint all records are read, and the parts are there already.
      try Database(path: path + "/log.sqlite").run("DELETE FROM checkpoints")
      host = try KeyHost(path, clock: clock)
      try await host.send(0..<2000)
      #expect(try host.runs == 2000)
      try host.checkpointer.checkpoint()
      #expect(try rowsOnDisk(path) == 2000)
      host.host.close()
    }
  }

  /// A part that cannot be read: nothing runs twice, and who sends the key is told.
  @Test func aDamagedPartIsSaid() async throws {
    try await withDirectory { path, clock in
      let host = try KeyHost(path, clock: clock)
      _ = try await host.send("a")
      try host.checkpointer.checkpoint()
      try Database(path: path + "/log.sqlite").run("UPDATE key_parts SET rows = zeroblob(length(rows))")
      let error = await #expect(throws: LogError.self) { try await host.send("a") }
      #expect(error?.description.contains("part 1 of the keys of senders is damaged") == true, "\(error!)")
      #expect(try host.runs == 1)
      host.host.close()
    }
  }

  /// What memory holds of a part is made of its rows: damage to it is said, and loses nothing.
  @Test(arguments: ["entries = zeroblob(length(entries))", "entries = x''", "checksum = 1"])
  func whatIsApartFromTheRowsIsMadeAgain(damage: String) async throws {
    try await withDirectory { path, clock in
      var host = try KeyHost(path, clock: clock)
      try await host.send(0..<1500)
      try host.checkpointer.checkpoint()
      host.host.close()
      #expect(try damages(in: path).isEmpty)
      try Database(path: path + "/log.sqlite").run("UPDATE key_parts SET \(damage) WHERE number = 1")
      #expect(try damages(in: path).map(\.place) == ["part 1 of the keys of senders"])
      host = try KeyHost(path, clock: clock)
      try await host.send(0..<1500)
      #expect(try host.runs == 1500)
      host.host.close()
    }
  }

  /// Rows that fit their checksum and are not those that memory is told of.
  @Test func rowsOfAnotherPartAreFound() async throws {
    try await withDirectory { path, clock in
      let host = try KeyHost(path, clock: clock)
      try await host.send(0..<1500)
      try host.checkpointer.checkpoint()
      host.host.close()
      try Database(path: path + "/log.sqlite").run(
        "UPDATE key_parts SET (rows, rows_checksum) = (SELECT rows, rows_checksum FROM key_parts WHERE number = 2) WHERE number = 1"
      )
      #expect(
        try damages(in: path).map(\.description)
          == ["part 1 of the keys of senders: its rows are not those that it was written with"])
    }
  }

  // MARK: What failed and was tried again

  /// A key answers what came of its event: of a retry, and of what was put back.
  @Test(arguments: ["", "retry = { attempts = 2, backoff = \"1s\" },"])
  func aKeyAnswersWhatHappenedSince(retry: String) async throws {
    try await withDirectory { path, clock in
      var scripts = Self.scripts
      scripts["n.lua"]!.replace("execute", with: "\(retry) execute")
      var host = try KeyHost(path, clock: clock, scripts: scripts)
      let first = try await host.send("a", "n", ["fails": true])
      #expect(first.results.map(\.outcome) == [.failed])
      if !retry.isEmpty {
        #expect(first.results[0].retryAt != nil)
        // The last try fails, too.
        clock.advance(by: .seconds(5))
        await host.host.queue.waitUntilIdle()
        let again = try await host.send("a", "n", ["fails": true])
        #expect(again.id == first.id && again.results.map(\.seq) == [2] && again.results[0].retryAt == nil)
      }
      try host.checkpointer.checkpoint()
      _ = try await host.host.queue.perform(Event("mend"))
      host.host.close()
      let dead = try DeadLetters(LogReader(path: path))
      #expect(try dead.seqs() == [retry.isEmpty ? 1 : 2])
      do {
        let directory = try DataDirectory(path: path)
        _ = try directory.settle(.all(trigger: nil), as: .requeued)
        directory.close()
      }
      #expect(try dead.seqs() == [])
      host = try KeyHost(path, clock: clock, scripts: scripts)
      await host.host.queue.waitUntilIdle()
      let seq = host.host.coordinator.stats.currentSeq
      for isKept in [false, true] {
        if isKept { try host.checkpointer.checkpoint() }
        let last = try await host.send("a", "n", ["fails": true])
        #expect(last.id == first.id)
        #expect(last.results.map(\.seq) == [seq] && last.results.map(\.outcome) == [.committed])
      }
      #expect(try host.runs == 1)
      host.host.close()
      // And in the next life.
      host = try KeyHost(path, clock: clock, scripts: scripts)
      let last = try await host.send("a", "n", ["fails": true])
      #expect(last.results.map(\.seq) == [seq] && last.results.map(\.outcome) == [.committed])
      host.host.close()
      try verified(try LogReader(path: path))
    }
  }
}
