import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// What a directory takes follows what it is allowed to take.
@Suite(.serialized) struct DiskSizeTests {
  private static let script = [
    "fill.lua": """
    return { on = { event = "fill" }, execute = function(event, ctx)
      return { ctx:store("s"):put("k" .. event.n % 50, { n = event.n, text = string.rep("x", 500) }) }
    end }
    """
  ]

  private func fill(_ host: DataHost, _ numbers: ClosedRange<Int>) async throws {
    for n in numbers { try await host.queue.enqueue(Event("fill", ["n": .int(Int64(n))])) }
    await host.queue.waitUntilIdle()
  }

  private func size(_ path: String, _ file: String = "log.sqlite") -> Int {
    (try? FileManager.default.attributesOfItem(atPath: path + "/" + file)[.size] as? Int) ?? 0
  }

  /// A clean end leaves one file, as short as it can be.
  @Test func aCleanEndLeavesOneCompactFile() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path, scripts: Self.script)
    try await fill(host, 1...2000)
    let before = try host.contents()
    let other = try Database(path: path + "/log.sqlite")
    try other.run("DELETE FROM blocks WHERE first < 1500")
    try other.run("DELETE FROM checkpoints")
    other.close()
    let checkpointer = try Checkpointer(host.log, host.coordinator, recovery: host.recovery)
    checkpointer.close()
    host.close()
    let files = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    #expect(files == ["lock", "log.sqlite", "newest"], "\(files)")
    #expect(try Database(path: path + "/log.sqlite").integer("PRAGMA freelist_count") == 0)
    #expect(size(path) < 600_000, "\(size(path))")
    #expect(before["s"]?.count == 50)
  }

  /// Checkpoints far apart, or close together: neither keeps what the retention lets go.
  @Test(arguments: [200, 5000]) func theFileStaysNearItsLimit(between: Int) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let limit = 6 << 20
    let retention = LogRetention(bytes: limit)
    let host = try DataHost(path, scripts: Self.script, retention: retention)
    let checkpointer = try Checkpointer(
      host.log, host.coordinator, recovery: host.recovery, retention: retention)
    var (n, largest) = (0, 0)
    while n < 30_000 {
      try await fill(host, n + 1...n + between)
      n += between
      try checkpointer.checkpoint()
      largest = max(largest, size(path) + size(path, "log.sqlite-wal"))
    }
    // The records alone would be 18 MB. What comes between two looks, 3 MB, may be in both files for a moment.
    #expect(largest < limit + 6 << 20, "\(largest)")
    let (before, first) = (try host.contents(), try LogReader(path: path).firstSeq())
    #expect(first > 15_000 && first < 29_000)
    checkpointer.close()
    host.close()
    #expect(size(path) <= limit, "\(size(path))")
    // History begins with a state that is kept, or has one soon.
    let executable = try LogReader(path: path).firstExecutable()
    #expect(executable - first < 12_000, "\(first) \(executable)")

    // Less is allowed from now on, and nothing is committed: it follows, with checkpoints where they are in the way.
    let less = LogRetention(bytes: 2 << 20)
    let again = try DataHost(path, scripts: Self.script, retention: less)
    let trimmer = try Checkpointer(
      again.log, again.coordinator, recovery: again.recovery, retention: less)
    for _ in 0..<3 { try trimmer.checkpoint() }
    #expect(try again.contents() == before)
    trimmer.close()
    again.close()
    #expect(size(path) <= 2 << 20, "\(size(path))")
    let last = try DataHost(path, scripts: Self.script)
    #expect(try last.contents() == before)
    last.close()
  }

  /// By age: what is older goes, also without a checkpoint from that time.
  @Test func whatIsOldGoes() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let clock = ManualClock()
    var seqs: [Int64] = []
    func run(_ retention: LogRetention, hours: Double, _ numbers: ClosedRange<Int>) async throws {
      clock.advance(by: .seconds(hours * 3600))
      let host = try DataHost(path, scripts: Self.script, clock: clock, retention: retention)
      let checkpointer = try Checkpointer(
        host.log, host.coordinator, recovery: host.recovery, retention: retention)
      try await fill(host, numbers)
      seqs.append(host.log.durable)
      try checkpointer.checkpoint()
      checkpointer.close()
      host.close()
    }
    for day in 0..<4 { try await run(LogRetention(), hours: 24, day * 100 + 1...day * 100 + 100) }
    #expect(try LogReader(path: path).firstSeq() == 1)
    try await run(LogRetention(age: .seconds(50 * 3600)), hours: 1, 401...500)
    let first = try LogReader(path: path).firstSeq()
    #expect(first > seqs[0] && first <= seqs[1] + 1, "\(first) \(seqs)")
    try await run(LogRetention(age: .seconds(3600)), hours: 200, 501...501)
    try await run(LogRetention(age: .seconds(3600)), hours: 2, 502...502)
    #expect(try LogReader(path: path).firstSeq() > seqs[4], "\(seqs)")
  }

  /// A clock that somebody sets ten years ahead, and back some minutes later, costs no history.
  @Test func aGlitchOfTheClockRemovesNothing() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (clock, retention) = (ManualClock(now: 1 << 60), LogRetention(age: .seconds(3600)))
    let host = try DataHost(path, scripts: Self.script, clock: clock, retention: retention)
    let checkpointer = try Checkpointer(
      host.log, host.coordinator, recovery: host.recovery, retention: retention)
    for start in [1, 101, 201] {
      try await fill(host, start...start + 99)
      try checkpointer.checkpoint()
    }
    clock.step(by: .seconds(10 * 365 * 86400))
    for start in [301, 401, 501] {
      clock.advance(by: .seconds(120))
      try await fill(host, start...start + 99)
      try checkpointer.checkpoint()
      #expect(try LogReader(path: path).firstSeq() == 1)
    }
    clock.step(by: .seconds(-10 * 365 * 86400))
    clock.advance(by: .seconds(120))
    try checkpointer.checkpoint()
    #expect(try LogReader(path: path).firstSeq() == 1)
    checkpointer.close()
    host.close()
  }

  /// Commits one by one write a page each: pages are what counts.
  @Test func theWriteAheadLogIsBounded() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let retention = LogRetention(bytes: 16 << 20)
    let host = try DataHost(path, durability: .async, scripts: Self.script, retention: retention)
    #expect(host.log.writeAheadLimit == 2 << 20)
    var largest = 0
    for n in 1...4000 {
      _ = try await host.queue.perform(Event("fill", ["n": .int(Int64(n))]))
      if n % 100 == 0 { largest = max(largest, size(path, "log.sqlite-wal")) }
    }
    // They wrote sixteen.
    #expect(largest < 6 << 20, "\(largest)")
    host.close()
    #expect(size(path, "log.sqlite-wal") == 0)
  }

  /// A reader that stays on an old state keeps it from beginning anew: it is said, and over with the reader.
  @Test func aReaderInTheWayIsNamed() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(
      path, durability: .async, scripts: Self.script, retention: LogRetention(bytes: 16 << 20))
    let notices = Notices()
    host.log.whenNoticed { notices.add($0) }
    let reader = try Database(path: path + "/log.sqlite", creates: false, isReadOnly: true)
    try reader.run("BEGIN")
    _ = try reader.integer("SELECT count(*) FROM blocks")
    var n = 0
    while notices.all.isEmpty, n < 20_000 {
      n += 1
      _ = try await host.queue.perform(Event("fill", ["n": .int(Int64(n))]))
    }
    #expect(notices.all.count == 1 && notices.all[0].contains("the write-ahead log has grown to"), "\(n)")
    #expect(size(path, "log.sqlite-wal") > 8 << 20)
    try reader.run("COMMIT")
    reader.close()
    for _ in 0..<600 { _ = try await host.queue.perform(Event("fill", ["n": 1])) }
    #expect(size(path, "log.sqlite-wal") <= 4 << 20, "\(size(path, "log.sqlite-wal"))")
    host.close()
  }

  private final class Notices: @unchecked Sendable {
    private let lock = NSLock()
    private var texts: [String] = []
    func add(_ text: String) { lock.withLock { texts.append(text) } }
    var all: [String] { lock.withLock { texts } }
  }

  /// A look at one seq does not go through all blocks before it.
  @Test func aSeqIsFoundByItsPlace() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try DataDirectory(path: path).close()
    var plan: [String] = []
    try Database(path: path + "/log.sqlite").run(
      "EXPLAIN QUERY PLAN \(SQLiteLogSource.blocks)", [.int(1), .int(2)]
    ) {
      plan.append($0.text(3))
    }
    #expect(
      plan.contains { $0.contains("SEARCH blocks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)") },
      "\(plan)")
    #expect(!plan.contains { $0.hasPrefix("SCAN") }, "\(plan)")
  }
}
