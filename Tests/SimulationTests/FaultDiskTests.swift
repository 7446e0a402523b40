import CFaultVFS
import CSQLite
import Testing
import TriggerCore

/// SQLite on the faulting disk: what it promises holds when the process dies or the power fails in any change,
/// when syncs fail and when the disk is full. So a loss in the simulator is ours.
@Suite struct FaultDiskTests {
  /// Commits transactions of two rows that go together until the disk has had enough: a counter, and as many
  /// entries. Returns the newest number whose commit SQLite has confirmed.
  private static func work(
    _ file: TestFile, from start: Int, count: Int, checkpointing: Bool = true
  ) -> (confirmed: Int, error: String?) {
    var confirmed = start
    do {
      let database = try file.open()
      try database.run("PRAGMA journal_mode = WAL")
      try database.run("PRAGMA synchronous = FULL")
      try database.run("PRAGMA wal_autocheckpoint = \(checkpointing ? 6 : 0)")
      try database.run("CREATE TABLE IF NOT EXISTS counter (value INTEGER)")
      try database.run("CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, text TEXT)")
      if try database.numbers("SELECT value FROM counter").isEmpty {
        try database.run("INSERT INTO counter VALUES (0)")
      }
      for number in start + 1..<start + 1 + count {
        try database.run("BEGIN IMMEDIATE")
        try database.run("UPDATE counter SET value = \(number)")
        try database.run("INSERT INTO entries VALUES (\(number), '\(String(repeating: "x", count: 3000))')")
        try database.run("COMMIT")
        confirmed = number
      }
      return (confirmed, nil)
    } catch { return (confirmed, "\(error)") }
  }

  /// The counter as it is on the disk, when everything that must hold of the tables does.
  private static func check(_ file: TestFile) throws -> Int {
    let database = try file.open()
    let result = try database.texts("PRAGMA integrity_check")
    if result != ["ok"] { throw SQLiteFailure(description: result.joined(separator: "; ")) }
    guard let counter = (try? database.numbers("SELECT value FROM counter"))?.first else { return 0 }
    let entries = try database.numbers("SELECT number FROM entries ORDER BY number")
    guard entries == Array(0..<counter).map({ $0 + 1 }) else {
      throw SQLiteFailure(description: "the counter is \(counter), entries are \(entries)")
    }
    return counter
  }

  @Test(arguments: [true, false])
  func aCommitSurvivesACrashInAnyChange(powerFails: Bool) throws {
    let whole = TestFile(seed: 1)
    #expect(Self.work(whole, from: 0, count: 8).error == nil)
    let changes = fv_disk_changes(whole.disk)
    #expect(changes > 50)
    for change in 1...changes {
      let file = TestFile(seed: change)
      fv_disk_die_in(file.disk, change)
      let first = Self.work(file, from: 0, count: 8)
      // (Closing the connection writes too: a death there goes unseen.)
      #expect(fv_disk_is_dead(file.disk) != 0)
      fv_disk_restart(file.disk, powerFails ? 1 : 0)
      let found = try Self.check(file)
      #expect(found == first.confirmed || found == first.confirmed + 1, "change \(change)")
      // And again, from there on: what the first crash has left is no worse than any other file.
      fv_disk_die_in(file.disk, change / 2 + 1)
      let second = Self.work(file, from: found, count: 8)
      fv_disk_restart(file.disk, powerFails ? 1 : 0)
      let last = try Self.check(file)
      #expect(last == second.confirmed || last == second.confirmed + 1, "change \(change), second crash")
    }
  }

  @Test func manyCrashes() throws {
    let seed = UInt64.random(in: .min ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<60 {
      let file = TestFile(seed: random.next())
      var found = 0
      for crash in 0..<6 {
        fv_disk_die_in(file.disk, UInt64.random(in: 1...80, using: &random))
        let (confirmed, _) = Self.work(file, from: found, count: 10, checkpointing: round % 2 == 0)
        fv_disk_restart(file.disk, Bool.random(using: &random) ? 1 : 0)
        found = try Self.check(file)
        #expect(
          found == confirmed || found == confirmed + 1, "seed \(seed), round \(round), crash \(crash)")
      }
    }
  }

  /// Every call of each kind fails once: the statement fails, and what was confirmed is there, with and without
  /// a power failure afterwards.
  @Test(arguments: [FV_OPEN, FV_READ, FV_WRITE, FV_TRUNCATE, FV_SYNC, FV_DELETE])
  func aFailedCallIsAnErrorAndNothingIsLost(call: fv_call) throws {
    let whole = TestFile(seed: 1)
    _ = Self.work(whole, from: 0, count: 8)
    let calls = fv_disk_calls(whole.disk, call)
    var errors = 0
    for number in 1...max(calls, 1) {
      let file = TestFile(seed: number)
      fv_disk_fail(file.disk, call, number, 1)
      let (confirmed, error) = Self.work(file, from: 0, count: 8)
      if error != nil { errors += 1 }
      fv_disk_restart(file.disk, number % 2 == 0 ? 1 : 0)
      let found = try Self.check(file)
      #expect(found == confirmed || found == confirmed + 1, "call \(number)")
    }
    if call == FV_WRITE || call == FV_SYNC { #expect(errors > 5) }
  }

  @Test func aFullDiskIsAnErrorAndNothingIsLost() throws {
    for space in stride(from: Int64(0), to: 120_000, by: 3000) {
      let file = TestFile(seed: UInt64(space))
      fv_disk_set_space(file.disk, space)
      let (confirmed, error) = Self.work(file, from: 0, count: 20)
      #expect(fv_disk_used(file.disk) <= space)
      #expect(confirmed == 20 || error?.contains("full") == true, "\(error ?? "")")
      fv_disk_restart(file.disk, 1)
      let found = try Self.check(file)
      #expect(found == confirmed || found == confirmed + 1, "\(space) bytes")
    }
  }

  /// A disk that only says it syncs does lose commits: the tests above can fail.
  @Test func aDiskThatLiesLosesCommits() throws {
    var losses = 0
    for seed in 1...20 {
      let file = TestFile(seed: UInt64(seed))
      fv_disk_set_lying(file.disk, 1)
      fv_disk_die_in(file.disk, 60)
      let (confirmed, _) = Self.work(file, from: 0, count: 20)
      fv_disk_restart(file.disk, 1)
      let found = try? Self.check(file)
      if found != confirmed, found != confirmed + 1 { losses += 1 }
    }
    #expect(losses > 5)
  }

  /// The same seed, the same bytes, whatever fails. (But for the salts of the WAL, which other tests draw too.)
  @Test func oneSeedGivesOneDisk() throws {
    func bytes() throws -> (database: [UInt8], wal: Int) {
      let file = TestFile(seed: 42)
      fv_disk_die_in(file.disk, 47)
      _ = Self.work(file, from: 0, count: 10)
      fv_disk_restart(file.disk, 1)
      return (file.bytes("test.sqlite"), file.bytes("test.sqlite-wal").count)
    }
    let (first, second) = (try bytes(), try bytes())
    #expect(first.database.count + first.wal > 4096)
    #expect(first == second)
  }

  @Test func connectionsShareAFile() throws {
    let file = TestFile(seed: 3)
    #expect(Self.work(file, from: 0, count: 3).error == nil)
    let (writer, reader) = (try file.open(), try file.open())
    try reader.run("BEGIN")
    #expect(try reader.numbers("SELECT value FROM counter") == [3])
    try writer.run("UPDATE counter SET value = 9")
    #expect(try reader.numbers("SELECT value FROM counter") == [3], "a snapshot does not move")
    try reader.run("COMMIT")
    #expect(try reader.numbers("SELECT value FROM counter") == [9])
    try writer.run("BEGIN IMMEDIATE")
    #expect(throws: SQLiteFailure.self) { try reader.run("BEGIN IMMEDIATE") }
    try writer.run("COMMIT")
  }

  @Test func aBitTurnsRound() throws {
    let file = TestFile(seed: 3)
    #expect(Self.work(file, from: 0, count: 3).error == nil)
    let before = file.bytes("test.sqlite")
    #expect(fv_disk_flip(file.disk, "test.sqlite", 8001) == 1)
    let after = file.bytes("test.sqlite")
    #expect(zip(before, after).count { $0 != $1 } == 1 && after[1000] == before[1000] ^ 2)
    #expect(fv_disk_flip(file.disk, "nothing", 1) == 0)
  }
}
