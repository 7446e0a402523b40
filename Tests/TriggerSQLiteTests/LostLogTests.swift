import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// A log without its end is a good log of an earlier time: what else is in the directory knows better.
@Suite(.serialized) struct LostLogTests {
  /// A copy of a directory as `kill -9` would leave it, with its write-ahead log.
  private func killed(_ path: String, commits: Int = 20) async throws -> String {
    let host = try DataHost(path)
    try await host.send(1...commits)
    await host.queue.waitUntilIdle()
    host.log.flush()
    let copy = path + "-killed"
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    host.close()
    return copy
  }

  private func refusal(_ path: String) -> String {
    (#expect(throws: StorageError.self) { try DataDirectory(path: path) })?.description ?? ""
  }

  private func cut(_ file: String, to bytes: Int) throws {
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
    try handle.truncate(atOffset: UInt64(bytes))
    try handle.close()
  }

  private func size(_ file: String) throws -> Int {
    try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
  }

  private enum Damage: CaseIterable {
    case noWriteAheadLog, cutWriteAheadLog, flippedBit, noLog, emptyLog, nothing
  }

  @Test func whatIsMissingIsNamed() async throws {
    let path = temporaryDirectory()
    let copy = try await killed(path)
    defer { for path in [path, copy] { try? FileManager.default.removeItem(atPath: path) } }
    let last = try LogReader(path: copy).lastSeq()
    for damage in Damage.allCases {
      let damaged = copy + "-\(damage)"
      try FileManager.default.copyItem(atPath: copy, toPath: damaged)
      defer { try? FileManager.default.removeItem(atPath: damaged) }
      let (log, ahead) = (damaged + "/log.sqlite", damaged + "/log.sqlite-wal")
      switch damage {
      case .noWriteAheadLog: try FileManager.default.removeItem(atPath: ahead)
      case .cutWriteAheadLog: try cut(ahead, to: size(ahead) * 2 / 3)
      case .flippedBit:
        var bytes = try Data(contentsOf: URL(fileURLWithPath: ahead))
        bytes[bytes.count * 2 / 3] ^= 1
        try bytes.write(to: URL(fileURLWithPath: ahead))
      case .noLog:
        try FileManager.default.removeItem(atPath: log)
        try FileManager.default.removeItem(atPath: ahead)
      case .emptyLog: try cut(log, to: 0)
      case .nothing: break
      }
      if damage == .nothing {
        try DataDirectory(path: damaged).close()
        continue
      }
      let text = refusal(damaged)
      if damage == .emptyLog {
        #expect(text.contains("log.sqlite is empty beside log.sqlite-wal"), "\(text)")
      } else {
        #expect(
          text.contains(" \(last) are missing") || text.contains("seq \(last) is missing"),
          "\(damage): \(text)")
        #expect(
          text.contains("--accept-loss"), "\(damage): \(text)")
      }
      // Nothing was changed by the refusal.
      #expect(refusal(damaged) == text)
      // Going on without gives no id out twice.
      let directory = try DataDirectory(path: damaged, acceptsLoss: true)
      #expect(directory.loss?.lostSeq == last || damage == .emptyLog)
      #expect(try directory.beginEpoch(now: 1, seed: 0, versions: "test") == 2)
      directory.close()
      // And is asked for once.
      try DataDirectory(path: damaged).close()
    }
  }

  /// A table that follows the log tells of it when nothing else does.
  @Test func aTableTellsOfALostLog() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    try FileManager.default.createDirectory(atPath: path + "/stores", withIntermediateDirectories: true)
    try Database(path: path + "/stores/a.sqlite").run(
      "CREATE TABLE trigger_host AS SELECT 1 AS log, 7 AS applied")
    host.close()
    // Of another log: it will be brought to this one.
    try FileManager.default.removeItem(atPath: path + "/newest")
    try DataDirectory(path: path).close()
    for name in ["newest", "log.sqlite"] { try FileManager.default.removeItem(atPath: path + "/" + name) }
    let text = refusal(path)
    #expect(
      text.contains("there is no log, and \(path)/stores/a.sqlite says that it went to seq 7"), "\(text)")
  }

  /// What a start leaves that was cut off before anything was kept: nothing is lost.
  @Test func aStartThatWasCutOffIsBegunAgain() throws {
    for step in 0..<3 {
      let path = temporaryDirectory()
      defer { try? FileManager.default.removeItem(atPath: path) }
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Data().write(to: URL(fileURLWithPath: path + "/lock"))
      if step > 0 { try Data().write(to: URL(fileURLWithPath: path + "/log.sqlite")) }
      if step > 1 { try Database(path: path + "/log.sqlite").run("PRAGMA journal_mode = WAL") }
      if step > 0 {
        let error = #expect(throws: StorageError.self) { try LogReader(path: path) }
        #expect(error?.description.contains("a first start was cut off") == true, "\(error!)")
      }
      let directory = try DataDirectory(path: path)
      #expect(try directory.beginEpoch(now: 1, seed: 0, versions: "test") == 1)
      directory.close()
    }
  }

  /// A first start that was killed while SQLite had a rollback journal: whoever only reads cannot undo it.
  @Test func aJournalThatIsLeftIsUndone() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let making = path + "-making"
    defer { for end in ["", "-journal"] { try? FileManager.default.removeItem(atPath: making + end) } }
    let database = try Database(path: making)
    try database.run("CREATE TABLE early (x)")
    try database.run("PRAGMA cache_size = 1")
    try database.run("BEGIN IMMEDIATE")
    for _ in 0..<200 { try database.run("INSERT INTO early VALUES (zeroblob(2000))") }
    for end in ["", "-journal"] {
      try FileManager.default.copyItem(atPath: making + end, toPath: path + "/log.sqlite" + end)
    }
    try database.run("ROLLBACK")
    let directory = try DataDirectory(path: path)
    #expect(try directory.database.integer("SELECT count(*) FROM early") == 0)
    directory.close()
  }

  @Test func aTornMarkLeavesTheOneBefore() throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    #expect(NewestFile.read(in: path) == nil)
    var file = try NewestFile(directory: path)
    for seq in Int64(1)...9 { file.write(NewestMark(log: -5, epoch: 3, seq: seq)) }
    #expect(NewestFile.read(in: path) == NewestMark(log: -5, epoch: 3, seq: 9))
    let good = try Data(contentsOf: URL(fileURLWithPath: NewestFile.path(in: path)))
    for bit in 0..<good.count * 8 {
      var bytes = good
      bytes[bit / 8] ^= 1 << (bit % 8)
      try bytes.write(to: URL(fileURLWithPath: NewestFile.path(in: path)))
      let seq = NewestFile.read(in: path)?.seq
      #expect(seq == 9 || seq == 8, "bit \(bit)")
    }
    // It goes on from what is left.
    file = try NewestFile(directory: path)
    file.replace(NewestMark(log: -5, epoch: 4, seq: 2))
    #expect(NewestFile.read(in: path) == NewestMark(log: -5, epoch: 4, seq: 2))
  }
}
