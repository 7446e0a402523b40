import Foundation
import Testing

import TriggerSQLite

/// `replay`: states, verification, other scripts.
@Suite struct ReplayTests {
  @Test func theStateOfAnySeq() async throws {
    let till = try await KeptHost.till()
    let first = try await till("replay", "--to", "1")
    #expect(first.output == "seq 1\nstore sums, 2 keys\n  count = 1\n  tea = 3\n")
    let last = try await till("replay", "--json").jsonObject()
    let sums = try #require(last["sums"] as? [String: Int])
    #expect(sums == ["count": 5, "tea": 8, "cake": 90, "piano": 9000])
    #expect((last["reports"] as? [String: Any])?.keys.sorted() == ["cake"])
    let beyond = try await till("replay", "--to", "99")
    #expect(beyond.status == 1 && beyond.errors == "seq 99 is not there: the log ends at seq 8\n")
  }

  @Test func theStateIsExportedWithVersions() async throws {
    let till = try await KeptHost.till()
    let file = till.directory("state.jsonl")
    let ended = try await till("replay", "--to", "3", "--export", file)
    #expect(ended.status == 0 && ended.output == "")
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
    let printed = try await till("replay", "--to", "3", "--export", "-")
    #expect(printed.lines == lines.map(String.init))
    let items = try printed.jsonLines()
    let sums = items.filter { $0["store"] as? String == "sums" }
    #expect(sums.map { $0["key"] as? String } == ["cake", "count", "tea"])
    let log = try await till("log", "export", "--to", "3", "--store", "sums").jsonLines()
    #expect(sums[1]["version"] as? Int == log.last?["seq"] as? Int && sums[1]["value"] as? Int == log.count)
    let nowhere = try await till("replay", "--export", "/nonexistent/state")
    #expect(nowhere.status == 1 && nowhere.errors == "/nonexistent/state: No such file or directory\n")
  }

  @Test(arguments: ["1", "2", "8"])
  func verificationIsClean(workers: String) async throws {
    let till = try await KeptHost.till()
    let ended = try await till("replay", "--verify", "--workers", workers)
    #expect(ended.status == 0 && ended.output.hasPrefix("8 seqs verified in "), "\(ended)")
    let part = try await till(
      "replay", "--verify", "--workers", workers, "--from", "3", "--to", "5", "--json")
    let verdict = try part.jsonObject()
    #expect(
      verdict["verified"] as? Int == 3 && verdict["same"] as? Bool == true && verdict["from"] as? Int == 3)
  }

  /// Limits are not in the log: with others a script cannot do what it did.
  @Test func aDifferenceIsNamedAndExplained() async throws {
    let script = """
      return { on = { event = "n" }, execute = function(event, ctx)
        return { ctx:store("s"):put("n", #string.rep("x", event.n)) }
      end }
      """
    let till = try await KeptHost(
      ["big.lua": script],
      events: [5, 3_000_000, 4_000_000].map { #"{"event": "n", "payload": {"n": \#($0)}, "source": "s"}"# })
    try till.directory.write("host.yaml", "scripts: triggers\nlimits: { memory: 1MiB }\n")
    let ended = try await till("replay", "--verify", "--config", "host.yaml")
    #expect(ended.status == 1)
    let reason = "committed then, fails now: big.lua:2: out of memory"
    #expect(ended.output.hasPrefix("differs: seq 2 big: \(reason)"), "\(ended)")
    let json = try await till("replay", "--verify", "--config", "host.yaml", "--from", "2", "--json")
    let object = try json.jsonObject()
    #expect(json.status == 1 && object["seq"] as? Int == 2 && object["trigger"] as? String == "big")
    #expect((object["reason"] as? String)?.hasPrefix(reason) == true)
    #expect(object["environment"] as? [String] == [] && object["same"] as? Bool == false)
    #expect(object["verified"] as? Int == 1)
    // Elsewhere it may be the machine: that is said.
    try Database(path: till.directory("data/log.sqlite")).run("UPDATE epochs SET versions = 'Lua 5.4.0'")
    let elsewhere = try await till("replay", "--verify", "--config", "host.yaml")
    #expect(
      elsewhere.lines.contains {
        $0.hasPrefix("note: epoch 1 (") && $0.contains(") ran with Lua 5.4.0, here it is Lua 5.4.")
      })
  }

  @Test func otherScripts() async throws {
    let till = try await KeptHost.till()
    let same = try await till("replay", "--with", till.triggers, "--fail-on-diff")
    #expect(same.status == 0, "\(same)")
    #expect(
      same.lines == [
        "seqs 1 to 8: 5 operations from outside; 8 the same, 0 changed, 0 gone, 0 new",
        "1 fail now as before", "every operation ends as recorded", "final state: the same",
      ])
    try till.directory.write("other/sale.lua", KeptHost.tillScripts["sale.lua"]!)
    try till.directory.write("other/report.lua", KeptHost.tillScripts["report.lua"]!)
    try till.directory.write("other/lib/large.lua", "return 45\n")
    let ended = try await till("replay", "--with", "other")
    #expect(ended.status == 0)
    #expect(
      ended.output.contains("  sale  changed  event sale {\"item\":\"cake\",\"price\":40}\n"), "\(ended)")
    #expect(ended.output.contains("    now  seq 2 does not emit it to 'report'\n"))
    #expect(ended.lines.contains("first difference at seq 2"))
    #expect(ended.lines.last == "final state: the same", "the second cake is reported all the same")

    let json = try await till("replay", "--with", "other", "--json", "--fail-on-diff")
    #expect(json.status == 1)
    let object = try json.jsonObject()
    let summary = try #require(object["summary"] as? [String: Any])
    #expect(
      summary["changed"] as? Int == 1 && summary["gone"] as? Int == 1
        && summary["first_difference"] as? Int == 2)
    let differences = try #require(object["differences"] as? [[String: Any]])
    #expect(differences.map { $0["kind"] as? String } == ["changed", "gone"])
    let was = try #require(differences[0]["was"] as? [String: Any])
    #expect((was["intents"] as? [Any])?.count == 3)
    let keys = try #require((object["state"] as? [String: Any])?["keys"] as? [[String: Any]])
    #expect(keys.map { "\($0["store"]!)/\($0["key"]!)" } == [])

    // From seq 3 on the first cake is history: nothing differs.
    let later = try await till("replay", "--with", "other", "--from", "4", "--fail-on-diff")
    #expect(later.status == 0 && later.output.contains("seqs 4 to 8:"), "\(later)")
  }

  @Test func errorsOfOtherScriptsCanBeOpened() async throws {
    let till = try await KeptHost.till()
    for (name, text) in KeptHost.tillScripts { try till.directory.write("other/\(name)", text) }
    try till.directory.write(
      "other/sale.lua", "return { on = { event = 'sale' }, execute = function() error('closed') end }\n")
    let ended = try await till("replay", "--with", "other")
    #expect(ended.lines.contains("    now  failed: other/sale.lua:1: closed"), "\(ended)")
    #expect(ended.lines.contains("5 fail now that did not"), "\(ended)")
    let json = try await till("replay", "--with", "other", "--json").jsonObject()
    let summary = try #require(json["summary"] as? [String: Any])
    #expect(summary["failed"] as? Int == 5 && summary["failed_anew"] as? Int == 5)
  }

  @Test func brokenScriptsAreNotTried() async throws {
    let till = try await KeptHost.till()
    try till.directory.write("other/sale.lua", "return {\n  on = = 1\n}\n")
    let ended = try await till("replay", "--with", "other")
    #expect(ended.status == 1 && ended.errors == "other/sale.lua:2: unexpected symbol near '='\n")
    let nowhere = try await till("replay", "--with", "nowhere")
    #expect(nowhere.status == 1 && nowhere.errors.contains("nowhere"), "\(nowhere)")
  }

  @Test(arguments: [
    (["--from", "2"], "--from goes with --verify or --with"),
    (["--verify", "--with", "x"], "--verify and --with exclude each other"),
    (["--workers", "2"], "--workers goes with --verify"),
    (["--verify", "--workers", "0"], "--workers is 1 to 64, got 0"),
    (["--verify", "--from", "3", "--to", "2"], "--from 3 comes after --to 2"),
    (["--fail-on-diff"], "--fail-on-diff goes with --with"),
    (["--to", "0"], "seqs count from 1, got 0"),
    (["--json", "--export", "x"], "--export goes with --data and --to alone"),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String) async throws {
    let ended = try await RunningCommand(["replay", "--data", "x"] + arguments).end()
    #expect(ended.status == 2 && ended.errorLines.first == "Error: \(message)", "\(ended)")
  }
}

/// A year of market bars, run for real and then again.
@Suite struct MarketReplayTests {
  @Test func historyIsTheSameAndOtherStrategiesDifferAsExpected() async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.copy(example: "market")
    try directory.edit("market/host.yaml") { text in
      text.split(separator: "\n").filter { !$0.contains("rate:") }.joined(separator: "\n")
        + "\norder: strict\nlimits: { timeout: 1m }\n"
    }
    let data = directory("data")
    let run = try await triggerHost(
      "run", "--config", directory("market/host.yaml"), "--data", data, "--exit-when-idle")
    #expect(run.status == 0)
    for workers in ["1", "2", "8"] {
      let verified = try await triggerHost("replay", "--data", data, "--verify", "--workers", workers)
      #expect(verified.status == 0 && verified.output.contains(": all the same"), "\(verified)")
    }
    let same = try await triggerHost(
      "replay", "--config", directory("market/host.yaml"), "--data", data, "--with",
      directory("market/triggers"), "--fail-on-diff")
    #expect(same.status == 0 && same.output.contains(" 0 changed, 0 gone, 0 new"), "\(same)")
    #expect(same.lines.last == "final state: the same")

    // Twice the units: the same orders at the same times, every one of them and every book after the first.
    try directory.edit("market/triggers/strategy.lua") {
      $0.replacing("UNITS <const> = 10000", with: "UNITS <const> = 20000")
    }
    let orders = try await triggerHost(
      "log", "export", "--data", data, "--trigger", "strategy", "--store", "orders"
    )
    .jsonLines()
    let ended = try await triggerHost(
      "replay", "--config", directory("market/host.yaml"), "--data", data, "--with",
      directory("market/triggers"), "--json", "--all")
    let object = try ended.jsonObject()
    let differences = try #require(object["differences"] as? [[String: Any]])
    let strategy = differences.filter { $0["trigger"] as? String == "strategy" }
    #expect(strategy.count == orders.count && orders.count > 100)
    #expect(strategy.map { $0["seq"] as? Int } == orders.map { $0["seq"] as? Int })
    // A report may have been due.
    #expect(
      Set(differences.map { $0["trigger"] as? String }).subtracting(["report"]) == ["strategy", "portfolio"])
    #expect(differences.allSatisfy { $0["kind"] as? String == "changed" })
    let summary = try #require(object["summary"] as? [String: Any])
    #expect(summary["first_difference"] as? Int == orders.first?["seq"] as? Int)
    let keys = try #require((object["state"] as? [String: Any])?["keys"] as? [[String: Any]])
    let differing = Set(keys.map { "\($0["store"]!)/\($0["key"]!)" })
    #expect(differing.contains("orders/EURUSD") && differing.contains("portfolio/EURUSD"))
    #expect(differing.filter { $0.hasPrefix("orders/EURUSD/") }.count == orders.count)
    let books = try #require(keys.first { $0["store"] as? String == "portfolio" })
    let profit = ["was", "now"].compactMap { (books[$0] as? [String: Any])?["realised"] as? Double }
    #expect(profit.count == 2 && abs(profit[1] - 2 * profit[0]) < 1e-6)
  }
}
