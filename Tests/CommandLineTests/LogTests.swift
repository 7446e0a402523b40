import Foundation
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite

/// `log cat|export|verify` and `why`.
@Suite struct LogTests {
  private func seqs(_ ended: EndedCommand) throws -> [Int] {
    try ended.jsonLines().map { try seq($0) }
  }

  private func seq(_ record: [String: Any]) throws -> Int { try #require(record["seq"] as? Int) }

  /// Every tool says what is wrong with the directory, and what to do.
  @Test func aDirectoryWithoutALogOrWithARuinedOne() async throws {
    let directory = try TemporaryDirectory([
      "ruined/log.sqlite": String(repeating: "no database ", count: 100)
    ])
    let tools = [
      ["log", "verify"], ["replay"], ["why", "store", "key"], ["scripts", "log"], ["dead", "list"],
    ]
    for tool in tools {
      let missing = try await RunningCommand(tool + ["--data", directory("missing")]).end()
      #expect(missing.status == 1)
      #expect(missing.errors.contains("missing: no log is there"), "\(tool): \(missing.errors)")
      let ruined = try await RunningCommand(tool + ["--data", directory("ruined")]).end()
      #expect(ruined.status == 1)
      let text = tool[0] == "log" ? ruined.output + ruined.errors : ruined.errors
      #expect(text.contains("it is a file of another kind, or damaged"), "\(tool): \(text)")
    }
  }

  @Test func filters() async throws {
    let till = try await KeptHost.till()
    let all = try await till("log", "export").jsonLines()
    #expect(all.count == 8)
    func expect(_ arguments: String..., where isWanted: ([String: Any]) throws -> Bool) async throws {
      let ended = try await RunningCommand(["log", "export", "--data", till.data] + arguments).end()
      #expect(try seqs(ended) == all.filter(isWanted).map { try seq($0) }, "\(arguments)")
    }
    func changes(_ record: [String: Any], _ store: String, _ key: String? = nil) -> Bool {
      (record["intents"] as? [[String: Any]])?.contains {
        $0["store"] as? String == store && (key == nil || $0["key"] as? String == key)
      } ?? false
    }
    try await expect("--trigger", "report") { $0["trigger"] as? String == "report" }
    try await expect("--outcome", "failed") { $0["outcome"] as? String == "failed" }
    try await expect("--event", "lar*") { $0["event"] as? String == "large" }
    try await expect("--store", "sums", "--key", "cake") { changes($0, "sums", "cake") }
    try await expect("--store", "reports") { changes($0, "reports") }
    try await expect("--from", "3", "--to", "5") { (3...5).contains(try seq($0)) }
    try await expect("--since", "1h") { _ in true }
    try await expect("--until", "1h") { _ in false }
    try await expect("--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00+02:00") { _ in false }
    try await expect("--limit", "2") { try seq($0) <= 2 }
    let cat = try await till("log", "cat", "--json", "--trigger", "sale")
    #expect(try seqs(cat) == all.filter { $0["trigger"] as? String == "sale" }.map { try seq($0) })
  }

  @Test(arguments: [
    (
      ["--outcome", "commited"],
      "--outcome is one of committed, failed, deferred, skipped, got 'commited'; did you mean 'committed'?"
    ),
    (
      ["--since", "yesterday"],
      "--since is a time like 2026-01-31T08:00:00Z or a span before now like 2h or 30m, got 'yesterday'"
    ),
    (
      ["--until", "2h30"],
      "--until is a time like 2026-01-31T08:00:00Z or a span before now like 2h or 30m, got '2h30'"
    ),
    (
      ["--since", "2026-02-30T08:00:00Z"],
      "--since is a time like 2026-01-31T08:00:00Z or a span before now like 2h or 30m, got '2026-02-30T08:00:00Z': the time \"2026-02-30T08:00:00Z\" names a day that does not exist"
    ),
    (["--limit", "0"], "--limit counts from 1, got 0"),
    (["--from", "0"], "seqs count from 1, got 0"),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String) async throws {
    let ended = try await RunningCommand(["log", "cat", "--data", "x"] + arguments).end()
    #expect(ended.status == 2 && ended.errorLines.first == "Error: \(message)", "\(ended)")
  }

  @Test func recordsForPeople() async throws {
    let till = try await KeptHost.till()
    let ended = try await till("log", "cat", "--outcome", "failed")
    #expect(ended.lines.count == 2 && !ended.output.contains("\u{1b}"))
    #expect(
      ended.lines[0].contains(
        "  report  event large {\"item\":\"piano\",\"price\":9000}  failed (error)  tree 1"))
    #expect(ended.lines[1] == "    report.lua:4: too large: piano")
    let colours = try await RunningCommand(
      ["log", "cat", "--data", till.data, "--outcome", "failed"], output: .terminal,
      environment: ["TERM": "xterm", "NO_COLOR": ""]
    ).end()
    #expect(colours.output.contains("\u{1b}[31mfailed\u{1b}[0m"), "\(colours)")
  }

  @Test func aLogIsVerified() async throws {
    let till = try await KeptHost.till()
    let good = try await till("log", "verify", "--json").jsonObject()
    #expect(good["intact"] as? Bool == true && good["records"] as? Int == 8 && good["last"] as? Int == 8)
    try Database(path: till.directory("data/log.sqlite")).run(
      "UPDATE blocks SET records = CAST(replace(hex(records), '7069616E6F', '5069616E6F') AS BLOB)")
    let bad = try await till("log", "verify", "--json")
    #expect(bad.status == 1, "\(bad)")
    let verdict = try bad.jsonObject()
    #expect(verdict["intact"] as? Bool == false)
    #expect(
      (verdict["error"] as? String)?.contains("is damaged: its checksum does not fit") == true, "\(bad)")
    let text = try await till("log", "verify")
    #expect(text.status == 1 && text.errors.contains("damaged"))
  }

  /// Checksums fit, and it is not the state that was committed.
  @Test func aCheckpointThatLacksKeysIsNotGoneOnWith() async throws {
    let till = try await KeptHost.till()
    let good = try await till("log", "verify")
    #expect(good.lines.first == "8 records are intact." && good.lines.dropFirst().first == "As of seq 8:")
    let digests = try #require(
      try await till("log", "verify", "--json").jsonObject()["digests"] as? [String: String])
    #expect(
      digests.keys.sorted() == ["reports", "sums"] && digests.values.allSatisfy { $0.utf8.count == 16 })
    for (store, digest) in digests { #expect(good.output.contains("  \(digest)  \(store)\n"), "\(good)") }
    try takeCheckpoint(of: till.data)
    #expect(try await till("log", "verify").output == good.output)
    let database = try Database(path: till.directory("data/log.sqlite"))
    try database.run("SELECT rowid, data FROM chunks") { row in
      guard case .array(var part) = try CanonicalEncoding.decode(row.blob(1)), part[0] == "sums",
        case .array(let items) = part[3]
      else { return }
      part[3] = .array(Array(items.dropLast(3)))
      try CanonicalEncoding.encode(.array(part)).withUnsafeBytes {
        try database.run(
          "UPDATE chunks SET data = ?, checksum = ? WHERE rowid = ?",
          [.blob($0), .int(LogBlock.checksum($0)), .int(row.int(0))])
      }
    }
    // As a fault of ours would: it seals what it writes.
    try database.run("UPDATE checkpoints SET seal = 0")
    let bad = try await till("log", "verify")
    #expect(bad.status == 1 && bad.errors.contains("store 'sums' as of seq 8 is not what was"), "\(bad)")
    let again = try await till("replay", "--to", "8")
    #expect(again.status == 0 && again.output.contains("count = 5"), "\(again)")
    #expect(again.errors.contains("checkpoint 1 of seq 8 is damaged: store 'sums'"), "\(again)")
  }

  /// As a host does.
  private func takeCheckpoint(of path: String) throws {
    let directory = try DataDirectory(path: path)
    let reader = try LogReader(path: path)
    let log = try DurableLog(directory, durability: .group, lastSeq: try reader.lastSeq())
    let coordinator = CommitCoordinator(log: log)
    let recovery = try coordinator.recover { try reader.recover($0) }
    try Checkpointer(log, coordinator, recovery: recovery).checkpoint()
    log.close()
  }

  /// Follows while a host runs; ends when the reader goes, on Ctrl-C, and at a limit.
  @Test func newRecordsAreFollowed() async throws {
    let till = try await KeptHost.till()
    let follower = try RunningCommand(["log", "export", "--data", till.data, "--follow", "--from", "8"])
    try await follower.line(containing: "\"seq\":8")
    let limited = try RunningCommand([
      "log", "cat", "--data", till.data, "--follow", "--from", "8", "--limit", "3",
    ])
    try await limited.line(containing: "seq 8  ")
    try await till.run([#"{"event": "sale", "payload": {"item": "milk", "price": 1}}"#])
    try await follower.line(containing: "\"seq\":9")
    try await till.run([#"{"event": "sale", "payload": {"item": "milk", "price": 2}}"#])
    try await follower.line(containing: "\"seq\":10")
    follower.signal(SIGINT)
    let ended = try await follower.end()
    #expect(ended.status == -SIGINT && ended.lines.count == 3, "\(ended)")
    let three = try await limited.end()
    #expect(three.status == 0 && three.lines.count { $0.hasPrefix("seq ") } == 3, "\(three)")
    // Nobody reads: it ends though there is nothing to write.
    let unread = try RunningCommand(["log", "cat", "--data", till.data, "--follow"], output: .closedPipe)
    #expect(try await unread.end().status == 0)
  }

  /// Another history in the place of the log that is followed: what is printed is of one history, and that is said.
  @Test(arguments: ["overwritten", "replaced", "removed"])
  func aLogThatIsReplacedIsNotFollowedOn(way: String) async throws {
    func sale(_ price: Int) -> String {
      #"{"event": "sale", "payload": {"item": "milk", "price": \#(price)}}"#
    }
    let till = try await KeptHost.till()
    let (files, kept, other) = (FileManager.default, till.directory("kept"), till.directory("other"))
    try files.copyItem(atPath: till.data, toPath: kept)
    try await till.run([sale(2), sale(3), sale(4)])
    try files.moveItem(atPath: till.data, toPath: other)
    try files.moveItem(atPath: kept, toPath: till.data)
    let follower = try RunningCommand(["log", "export", "--data", till.data, "--follow", "--from", "8"])
    try await follower.line(containing: "\"seq\":8")
    try await till.run([sale(1)])
    try await follower.line(containing: "\"seq\":9")
    if way == "overwritten" {
      for name in ["log.sqlite", "newest"] {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(till.data)/\(name)"))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(contentsOf: URL(fileURLWithPath: "\(other)/\(name)")))
        try file.close()
      }
      try await till.run([sale(5)])
    } else {
      try files.moveItem(atPath: till.data, toPath: kept)
      if way == "replaced" { try files.moveItem(atPath: other, toPath: till.data) }
    }
    let ended = try await follower.end()
    #expect(ended.status == 1 && ended.lines.count == 2, "\(ended)")
    let what =
      way == "overwritten"
      ? "what was followed up to seq 9 is not what the log has"
      : "the log was removed, moved or replaced while it was read, up to seq 9"
    #expect(ended.errors.contains(what), "\(ended)")
  }

  // MARK: Why

  @Test func whyTellsWriterScriptAndCause() async throws {
    let till = try await KeptHost.till()
    let ended = try await till("why", "reports", "cake")
    let lines = ended.lines
    #expect(ended.status == 0 && lines[0].hasPrefix("reports/cake = {\"dice\":"), "\(ended)")
    #expect(lines[1].hasPrefix("was {\"dice\":"))
    #expect(lines[2].contains("  report  event large {\"item\":\"cake\",\"price\":50}  committed"))
    #expect(lines[3].hasPrefix("    put reports/cake = "))
    #expect(
      lines[4].hasPrefix("    by report.lua (XXH64 ")
        && lines[4].contains(" of script tree 1, in force since "))
    #expect(
      lines[5].hasPrefix("  because of seq ")
        && lines[5].contains("  sale  event sale {\"item\":\"cake\",\"price\":50}"))
    #expect(lines.count == 6)
  }

  @Test func whyKnowsValuesThatOnlyAddUp() async throws {
    let till = try await KeptHost.till()
    let sales = try seqs(try await till("log", "export", "--trigger", "sale"))
    let object = try await till("why", "sums", "count", "--json", "--history", "2").jsonObject()
    #expect(object["value"] as? Int == 5 && object["value_before"] as? Int == 4)
    #expect((object["written_by"] as? [String: Any])?["seq"] as? Int == sales[4])
    #expect((object["script"] as? [String: Any])?["path"] as? String == "sale.lua")
    #expect((object["because_of"] as? [Any])?.isEmpty == true)
    let history = try #require(object["history"] as? [[String: Any]])
    #expect(
      history.map { $0["value"] as? Int } == [4, 3] && history.map { $0["value_before"] as? Int } == [3, 2])
    let past = try await till("why", "sums", "count", "--at", "\(sales[1])", "--json").jsonObject()
    #expect(past["value"] as? Int == 2)
    let first = try await till("why", "sums", "count", "--at", "1", "--json", "--history", "5").jsonObject()
    #expect(first["value"] as? Int == 1 && first["value_before"] == nil)
    #expect((first["history"] as? [Any])?.isEmpty == true)
    let nothing = try await till("why", "sums", "coffee")
    #expect(nothing.status == 1 && nothing.errors == "nothing has written sums/coffee\n")
    let beyond = try await till("why", "sums", "count", "--at", "100")
    #expect(beyond.status == 1 && beyond.errors == "seq 100 is not there: the log ends at seq 8\n")
  }

  /// A replacement of the whole store is the keys that differ: it has not written the others.
  @Test func whoLeavesAKeyAsItIsHasNotWrittenIt() async throws {
    let script = """
      return { on = { event = "n" }, execute = function(event, ctx)
        local seq, data = ctx:store("s"):read_snapshot()
        data.count = (data.count or 0) + 1
        if event.set then data.rare = event.set end
        return { ctx:store("s"):prepare_commit(seq, data) }
      end }
      """
    let events = [1, 2].map { #"{"event": "n", "payload": {"set": \#($0)}, "source": "s"}"# }
    let others = Array(repeating: #"{"event": "n", "payload": {}, "source": "s"}"#, count: 6)
    let host = try await KeptHost(["n.lua": script], events: events + others)
    let seqs = try seqs(try await host("log", "export", "--outcome", "committed"))
    let object = try await host("why", "s", "rare", "--json", "--history", "1").jsonObject()
    #expect(object["value"] as? Int == 2 && object["value_before"] as? Int == 1)
    #expect((object["written_by"] as? [String: Any])?["seq"] as? Int == seqs[1])
    #expect((object["history"] as? [[String: Any]])?.map { $0["value"] as? Int } == [1])
    let count = try await host("why", "s", "count", "--json").jsonObject()
    #expect((count["written_by"] as? [String: Any])?["seq"] as? Int == seqs[7] && count["value"] as? Int == 8)
  }
}
