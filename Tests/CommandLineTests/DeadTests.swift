import Foundation
import Testing

/// `dead requeue` and `drop`: what was put back runs once, for the trigger that failed, and history says why.
@Suite struct DeadTests {
  private static let scripts: KeyValuePairs = [
    "triggers/pay.lua": """
    return { on = { event = "order" }, execute = function(event, ctx)
      if not ctx:store("bank"):get("open") then error("the bank is closed") end
      return { ctx:store("paid"):put(event.item, true), ctx:emit("paid", { item = event.item }) }
    end }
    """,
    "triggers/count.lua": """
    return { on = { event = "order" }, execute = function(event, ctx) return { ctx:store("orders"):add("n", 1) } end }
    """,
    "triggers/ship.lua": """
    return { on = { event = "paid" }, execute = function(event, ctx)
      return { ctx:store("shipped"):put(event.item, true) }
    end }
    """,
    "triggers/bank.lua": """
    return { on = { event = "open" }, execute = function(event, ctx) return { ctx:store("bank"):put("open", true) } end }
    """,
    "order.jsonl": #"{"event": "order", "payload": {"item": "cake"}, "key": "cake"}"# + "\n",
    "open.jsonl": #"{"event": "open"}"# + "\n",
    "none.jsonl": "",
  ]

  /// Feeds events, and ends when all is decided. The answers.
  private func run(_ directory: TemporaryDirectory, _ input: String) async throws -> [[String: Any]] {
    let ended = try await RunningCommand(
      [
        "run", "--scripts", directory("triggers"), "--data", directory("data"), "--stdin", "--exit-when-idle",
      ], input: directory(input)
    ).end()
    #expect(ended.status == 0, "\(ended.errors)")
    return try ended.lines.filter { $0.hasPrefix("{") }.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private func dead(_ directory: TemporaryDirectory, _ arguments: String...) async throws -> EndedCommand {
    try await RunningCommand(["dead"] + arguments + ["--data", directory("data")]).end()
  }

  private func results(_ answers: [[String: Any]]) throws -> [String: String] {
    let results = try #require(answers.first?["results"] as? [[String: Any]])
    return Dictionary(uniqueKeysWithValues: results.map { ("\($0["trigger"]!)", "\($0["outcome"]!)") })
  }

  @Test func whatIsPutBackRunsOnceAndItsKeyKnows() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let first = try await run(directory, "order.jsonl")
    #expect(try results(first) == ["pay": "failed", "count": "committed"])
    let list = try await dead(directory, "list", "--json").jsonLines()
    let seq = try #require(list.first?["seq"] as? Int)
    #expect(list.count == 1 && list[0]["trigger"] as? String == "pay")
    #expect(try await dead(directory, "list").output.contains("  pay  failed (error)  pay.lua:2: the bank"))
    #expect(
      try await dead(directory, "show", "\(seq)").lines.first?.contains("  pay  failed (error)  ") == true)
    // The same answer for the same key.
    #expect(try results(try await run(directory, "order.jsonl")) == ["pay": "failed", "count": "committed"])
    _ = try await run(directory, "open.jsonl")
    // Named twice, it is put back once; and once more it is not on the list.
    let requeued = try await dead(directory, "requeue", "\(seq)", "\(seq)")
    #expect(requeued.output == "1 operation requeued.\n")
    let again = try await dead(directory, "requeue", "\(seq)")
    #expect(again.status == 1)
    #expect(again.errors.contains("seq \(seq) is not among those that failed for good"))
    for _ in 0..<2 {
      let last = try await run(directory, "order.jsonl")
      #expect(last[0]["event_id"] as? String == first[0]["event_id"] as? String)
      // The first start answers while it runs, perhaps.
      _ = try await run(directory, "none.jsonl")
      #expect(
        try results(try await run(directory, "order.jsonl")) == ["pay": "committed", "count": "committed"])
    }
    let why = try await RunningCommand(
      ["why", "shipped", "cake", "--json", "--data", directory("data")]
    ).end().jsonLines()
    let causes = try #require(why.first?["because_of"] as? [[String: Any]])
    #expect(causes.map { $0["trigger"] as? String } == ["pay", "pay"])
    #expect(causes.map { $0["outcome"] as? String } == ["committed", "failed"])
    #expect(causes[0]["retry_of"] as? Int == seq)
    let said = try await RunningCommand(["why", "shipped", "cake", "--data", directory("data")]).end()
    #expect(said.output.contains("  failed (error)  "), "\(said)")
    // One order, and nothing of it differs when it is run again, with the same scripts as others too.
    let orders = try await RunningCommand(["why", "orders", "n", "--json", "--data", directory("data")]).end()
    #expect(try orders.jsonLines().first?["value"] as? Int == 1)
    let verified = try await RunningCommand(["replay", "--verify", "--data", directory("data")]).end()
    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
    let same = try await RunningCommand(
      ["replay", "--with", directory("triggers"), "--data", directory("data"), "--json"]
    ).end()
    #expect(same.status == 0, "\(same.output)\(same.errors)")
    #expect((try same.jsonLines().first?["differences"] as? [Any])?.isEmpty == true, "\(same.output)")
  }

  /// What was put back and finds no trigger is skipped, and on the list again.
  @Test func aTriggerThatIsGone() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    _ = try await run(directory, "order.jsonl")
    _ = try await run(directory, "open.jsonl")
    let pay = try String(contentsOfFile: directory("triggers/pay.lua"), encoding: .utf8)
    try FileManager.default.removeItem(atPath: directory("triggers/pay.lua"))
    _ = try await run(directory, "none.jsonl")
    let requeued = try await dead(directory, "requeue", "--all")
    #expect(requeued.status == 0)
    #expect(requeued.errors.contains("no script of the newest tree is named 'pay'"), "\(requeued.errors)")
    _ = try await run(directory, "none.jsonl")
    let list = try await dead(directory, "list")
    #expect(list.lines.count == 1 && list.output.contains("skipped: its trigger was gone"), "\(list.output)")
    try pay.write(toFile: directory("triggers/pay.lua"), atomically: true, encoding: .utf8)
    #expect(try await dead(directory, "requeue", "--all").output == "1 operation requeued.\n")
    _ = try await run(directory, "none.jsonl")
    #expect(try await dead(directory, "list").output == "Nothing failed for good.\n")
    #expect(
      try results(try await run(directory, "order.jsonl")) == ["pay": "committed", "count": "committed"])
  }

  @Test func whatIsDroppedCannotBePutBack() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    _ = try await run(directory, "order.jsonl")
    #expect(try await dead(directory, "drop", "--all").output == "1 operation dropped.\n")
    let list = try await dead(directory, "list", "--json").jsonLines()
    #expect(list.isEmpty)
    let requeued = try await dead(directory, "requeue", "1", "2")
    #expect(requeued.status == 1)
    #expect(requeued.errors.contains("is not among those that failed for good"))
    _ = try await run(directory, "open.jsonl")
    #expect(try results(try await run(directory, "order.jsonl")) == ["pay": "failed", "count": "committed"])
  }
}
