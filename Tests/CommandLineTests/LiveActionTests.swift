import Foundation
import Testing

/// Commands that act on a data directory while a host has it: the host does it, and says so in the same words.
@Suite(.timeLimit(.minutes(10))) struct LiveActionTests {
  private static let scripts: KeyValuePairs = [
    "triggers/pay.lua": """
    return { on = { event = "order" }, execute = function(event, ctx)
      if not ctx:store("bank"):get("open") then error("the bank is closed") end
      return { ctx:store("paid"):add(event.item, 1) }
    end }
    """,
    "triggers/bank.lua": """
    return { on = { event = "open" }, execute = function(event, ctx) return { ctx:store("bank"):put("open", true) } end }
    """,
    "events.jsonl": """
    {"event": "order", "payload": {"item": "cake"}}
    {"event": "order", "payload": {"item": "tea"}}
    {"event": "order", "payload": {"item": "pie"}}
    {"event": "open"}

    """,
  ]

  /// A host without an address that has decided the events, and stays.
  private func host(_ directory: TemporaryDirectory, input: String? = nil) async throws -> RunningCommand {
    let host = try RunningCommand(
      [
        "run", "--scripts", directory("triggers"), "--data", directory("data"), "--stdin", "--serve",
        "--workers",
        "1",
      ], input: input.map { directory($0) })
    try await host.line(containing: "Serving; press Ctrl-C to end.")
    return host
  }

  private func dead(_ directory: TemporaryDirectory, _ arguments: String...) async throws -> EndedCommand {
    try await RunningCommand(["dead"] + arguments + ["--data", directory("data")]).end()
  }

  private func paid(_ directory: TemporaryDirectory, _ item: String) async throws -> Any? {
    let why = try await triggerHost("why", "paid", item, "--json", "--data", directory("data"))
    return try why.jsonLines().first?["value"]
  }

  @Test func whatFailedIsPutBackInARunningHost() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let host = try await host(directory, input: "events.jsonl")
    #expect(try await dead(directory, "list").lines.count == 3)
    #expect(try await dead(directory, "requeue", "1", "2").output == "2 operations requeued.\n")
    try await host.line(containing: "commits 3")
    #expect(try await paid(directory, "tea") as? Int == 1)
    let again = try await dead(directory, "requeue", "1")
    #expect(again.status == 1 && again.errors.contains("seq 1 is not among those that failed for good"))
    let dropped = try await dead(directory, "drop", "--all", "--json").jsonObject()
    #expect(dropped["action"] as? String == "dropped" && dropped["seqs"] as? [Int] == [3])
    #expect(try await dead(directory, "list").output == "Nothing failed for good.\n")
    // Of one that is killed nothing is left in the way: the command does the work itself.
    host.signal(SIGKILL)
    await host.exited()
    let none = try await dead(directory, "requeue", "3")
    #expect(none.status == 1 && none.errors.contains("seq 3 is not among those"), "\(none)")
    let next = try await self.host(directory)
    #expect(try await dead(directory, "requeue", "--all").output == "0 operations requeued.\n")
    next.signal(SIGTERM)
    let ended = try await next.end()
    #expect(ended.status == 0, "\(ended)")
    #expect(try await paid(directory, "cake") as? Int == 1)
    let verified = try await triggerHost("replay", "--verify", "--data", directory("data"))
    #expect(verified.status == 0, "\(verified)")
  }

  @Test func scriptsGoBackInARunningHost() async throws {
    let directory = try TemporaryDirectory(Self.scripts)
    let host = try await host(directory, input: "events.jsonl")
    let old = try String(contentsOfFile: directory("triggers/pay.lua"), encoding: .utf8)
    try directory.write("triggers/pay.lua", old.replacing("is closed", with: "sleeps"))
    try await host.line(containing: "scripts: tree 2 in force")
    func rollback(_ more: String...) async throws -> EndedCommand {
      // Nothing there says where the scripts are.
      try await RunningCommand(
        ["scripts", "rollback", "--data", directory("data"), "--to"] + more, in: directory("data")
      ).end()
    }
    let back = try await rollback("tree:1")
    #expect(
      back.output == "1 file written, 0 removed: \(directory("triggers")) is tree 1 again.\n", "\(back)")
    try await host.line(containing: "scripts: tree 3 in force")
    #expect(try String(contentsOfFile: directory("triggers/pay.lua"), encoding: .utf8) == old)
    // What does not load never runs.
    try directory.write("triggers/pay.lua", "return {")
    let refused = try await rollback("tree:2")
    #expect(
      refused.status == 1 && refused.errors.contains("triggers/pay.lua: edited, and in no tree"), "\(refused)"
    )
    #expect(refused.errors.contains("Nothing was changed."), "\(refused)")
    let absent = try await rollback("tree:9")
    #expect(absent.status == 1 && absent.errors.contains("no such script tree"), "\(absent)")
    let forced = try await rollback("tree:2", "--force")
    #expect(forced.output.hasPrefix("1 file written, 0 removed: "), "\(forced)")
    _ = try await host.insist(SIGTERM)
  }
}
