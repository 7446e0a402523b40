import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

@Suite(.serialized) struct DurableLogTests {
  @Test(arguments: [1, 2, 8], [Durability.group, .async])
  func whatWasCommittedIsThereAgain(workers: Int, durability: Durability) async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    var before: [String: Value.Map] = [:]
    for run in 0..<3 {
      let host = try DataHost(path, workers: workers, durability: durability)
      #expect(try host.contents() == before)
      try await host.send(run * 100 + 1...run * 100 + 100)
      await host.queue.waitUntilIdle()
      before = try host.contents()
      #expect(before["counts"]?["total"] == .int(Int64((1...run * 100 + 100).count { $0 % 7 != 0 })))
      #expect(before["echoes"]?.count == (1...run * 100 + 100).count { $0 % 7 != 0 })
      host.close()
    }
    // The log alone gives the same, by applying it and by executing it.
    let replay = try verified(try LogReader(path: path))
    for (name, content) in before { #expect(try replay.content(of: name) == content) }
  }

  /// As `Backup.md` says it: SQLite copies one moment while the host runs, and a host goes on from there.
  @Test func aCopyOfARunningHostIsABackup() async throws {
    let (path, backup) = (temporaryDirectory(), temporaryDirectory())
    defer { for path in [path, backup] { try? FileManager.default.removeItem(atPath: path) } }
    let host = try DataHost(path)
    try await host.send(1...100)
    await host.queue.waitUntilIdle()
    let contents = try host.contents()
    try FileManager.default.createDirectory(atPath: backup, withIntermediateDirectories: true)
    try Database(path: path + "/log.sqlite").run("VACUUM INTO '\(backup)/log.sqlite'")
    try await host.send(101...200)
    host.close()
    #expect(try damages(in: backup).isEmpty)
    let restored = try DataHost(backup)
    #expect(try restored.contents() == contents)
    try await restored.send(201...300)
    restored.close()
    #expect(try damages(in: backup).isEmpty)
  }

  /// Events and values may be secrets: nobody but the owner reads what a host makes for itself.
  @Test func whatTheHostMakesIsPrivate() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    func mode(_ file: String) throws -> Int? {
      try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    }
    let host = try DataHost(path)
    try await host.send(1...10)
    #expect(try mode(path) == 0o700)
    let files = try FileManager.default.contentsOfDirectory(atPath: path)
    #expect(files.contains("log.sqlite") && files.contains("log.sqlite-wal") && files.contains("newest"))
    for file in files { #expect(try mode(path + "/" + file) == 0o600, "\(file)") }
    host.close()
    // What an administrator has chosen since stays.
    for file in ["", "/log.sqlite"] {
      try FileManager.default.setAttributes(
        [.posixPermissions: file.isEmpty ? 0o750 : 0o640], ofItemAtPath: path + file)
    }
    try DataHost(path).close()
    #expect(try mode(path) == 0o750 && mode(path + "/log.sqlite") == 0o640)
  }

  /// The host goes down with events that commits have emitted still in the queue: they run exactly once,
  /// all the same. (A second run of one fails.)
  @Test func whatWasEmittedRunsExactlyOnce() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    for run in 0..<10 {
      let host = try DataHost(path)
      try await host.send(run * 50 + 1...run * 50 + 50)
      try await wait(for: "commits") { [coordinator = host.coordinator] in
        await coordinator.waitUntil { $0.currentSeq >= 10 + run }
      }
      host.close()
    }
    let host = try DataHost(path)
    await host.queue.waitUntilIdle()
    let contents = try host.contents()
    host.close()
    guard case .int(let total)? = contents["counts"]?["total"] else { return #expect(Bool(false)) }
    #expect(contents["echoes"]?.count == Int(total))
    #expect(contents["watch"]?["commits"] == .int(total))
    var twice: [String] = []
    try LogReader(path: path).visit { record in
      if record.trigger == "echo", let error = record.error { twice.append(error) }
    }
    #expect(twice.isEmpty)
  }

  /// Deferred, stopped, and started with other scripts: the operation goes on with those it began with.
  @Test func aDeferredOperationKeepsItsScripts() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    func scripts(_ version: Int) -> [String: String] {
      [
        "slow.lua": """
        return { on = { event = "slow" }, priority = "low", timeout = "100s", execute = function(event, ctx)
          if not ctx:store("s"):get("fast") then while true do end end
          return { ctx:store("s"):put("slow", \(version)) }
        end }
        """,
        "quick.lua": """
        return { on = { event = "quick" }, priority = "high", execute = function(event, ctx)
          return { ctx:store("s"):put("fast", true), ctx:store("s"):put("quick", \(version)) }
        end }
        """,
      ]
    }
    let first = try DataHost(path, scripts: scripts(1))
    try await first.queue.enqueue(Event("slow"))
    try await wait(for: "the slow one") { [coordinator = first.coordinator] in
      await coordinator.waitUntil { $0.undecided > 0 }
    }
    _ = try await first.queue.perform(Event("quick"))
    #expect(first.coordinator.executionRecord(for: 1)?.state == .decided(.deferred))
    first.close()
    let second = try DataHost(path, scripts: scripts(2))
    await second.queue.waitUntilIdle()
    let content = try second.contents()["s"]
    #expect(content == ["fast": true, "quick": 1, "slow": 1])
    _ = try await second.queue.perform(Event("slow"))
    #expect(try second.contents()["s"]?["slow"] == 2)
    second.close()
    try verified(try LogReader(path: path))
  }

  @Test func nothingIsSeenBeforeItIsDurable() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    for n in 1...50 where n % 7 != 0 {
      let results = try await host.queue.perform(Event("n", ["n": .int(Int64(n))]))
      let seq = try #require(results.first?.seq)
      #expect(try LogReader(path: path).lastSeq() >= seq, "an outcome was told before its seq was on disk")
    }
    host.close()
  }

  @Test func aWrongByteIsFoundAndLocated() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    for run in 0..<3 {
      let host = try DataHost(path)
      try await host.send(run * 10 + 1...run * 10 + 10)
      await host.queue.waitUntilIdle()
      host.close()
    }
    let database = try Database(path: path + "/log.sqlite")
    var last: Int64 = 0
    try database.run("SELECT max(first) FROM blocks") { last = $0.int(0) }
    try database.run(
      "UPDATE blocks SET records = CAST(replace(hex(records), '6E', '6F') AS BLOB) WHERE first = ?",
      [.int(last)])
    var read: Int64 = 0
    let error = #expect(throws: LogError.self) {
      try LogReader(path: path).visit { read = $0.seq }
    }
    #expect(error?.description.contains("the block of seqs \(last) to") == true, "\(error!)")
    #expect(read == last - 1)
    try database.run("DELETE FROM blocks WHERE first = (SELECT min(first) FROM blocks WHERE first > 1)")
    let gap = #expect(throws: LogError.self) { try LogReader(path: path).visit { _ in } }
    #expect(gap?.description.contains("missing from the log") == true)
  }

  @Test func oneHostAtATime() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try DataDirectory(path: path)
    let error = #expect(throws: StorageError.self) { try DataDirectory(path: path) }
    #expect(error?.description.contains("in use by another host (process \(getpid()))") == true, "\(error!)")
    withExtendedLifetime(first) {}
  }

  @Test func aNewerFormatIsRefused() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try DataDirectory(path: path).close()
    try Database(path: path + "/log.sqlite").run("UPDATE meta SET value = 99 WHERE name = 'format'")
    let error = #expect(throws: StorageError.self) { try DataDirectory(path: path) }
    #expect(error?.description.contains("has format 99") == true, "\(error!)")
  }

  @Test func equalTreesKeepTheirNumber() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let directory = try DataDirectory(path: path)
    let first = try directory.keep(["a.lua": [1]], now: 5, seed: 6)
    #expect(try directory.keep(["a.lua": [1]], now: 7, seed: 8) == first)
    #expect(try directory.keep(["a.lua": [2]], now: 7, seed: 8).number == 2)
    #expect(try LogReader(path: path).tree(1)?.files == ["a.lua": [1]])
    #expect(try LogReader(path: path).tree(3) == nil)
  }

  /// Two processes write the same tree alike, though dictionaries have an order of their own in each.
  @Test func filesOfATreeAreWrittenInTheirOrder() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let files = Dictionary(uniqueKeysWithValues: (10..<40).map { ("\($0).lua", [UInt8($0)]) })
    _ = try DataDirectory(path: path).keep(files, now: 5, seed: 6)
    var contents: [Int64] = []
    try Database(path: path + "/log.sqlite").run("SELECT content FROM script_files ORDER BY path") {
      contents.append($0.int(0))
    }
    #expect(contents.count == 30 && contents == contents.sorted())
  }

  /// No bytes crash the reader.
  @Test func damagedRecordsAreRefused() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let log = MemoryCommitLog(wantsReads: true)
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), log: log)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: DataHost.scripts.mapValues { Array($0.utf8) }))
    queue.start()
    for n in 1...10 { try await queue.enqueue(Event("n", ["n": .int(Int64(n))])) }
    await queue.waitUntilIdle()
    await queue.stop()
    for record in log.encoded {
      let whole = try record.withUnsafeBytes { try LogRecord(decoding: $0) }
      #expect(whole.seq > 0)
      for _ in 0..<200 {
        var bytes = record
        if Bool.random(using: &random) {
          bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
        } else {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        _ = try? bytes.withUnsafeBytes { try LogRecord(decoding: $0) }
      }
    }
  }

  /// A disk that does not move: who appends is told, and does not wait.
  @Test func anAppendNeverWaitsForTheDisk() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let log = try DurableLog(try DataDirectory(path: path), durability: .async, lastSeq: 0)
    let (isHeld, goOn) = (Watched(false), DispatchSemaphore(value: 0))
    let event = AcceptedEvent(
      id: EventID(epoch: 1, number: 1), kind: .event, name: "e", payload: [], admitted: 1, triggers: [])
    log.accept(event) {
      isHeld.update { $0 = true }
      goOn.wait()
    }
    try await isHeld.wait(for: "the writer to be held") { $0 }
    let record = [UInt8](repeating: 0, count: 1 << 20)
    var room: [Int] = []
    for seq in Int64(1)...40 {
      room.append(record.withUnsafeBytes { log.append(seq: seq, $0, settling: [], contents: []) })
    }
    #expect(room == (1...40).map { (32 - $0) << 20 })
    #expect(log.room == -8 << 20)
    #expect(log.durable == 0)
    goOn.signal()
    log.flush()
    #expect(log.durable == 40 && log.room == 32 << 20)
    log.close()
  }
}
