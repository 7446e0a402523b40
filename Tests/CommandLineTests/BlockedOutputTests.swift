import Foundation
import Testing

/// Nobody who listens stops who commits: pipes that are not read, and terminals that are paused.
@Suite struct BlockedOutputTests {
  /// Counts and says much; its log says when it is at 300.
  private static let talker = """
    return { on = { every = "2ms" }, execute = function(event, ctx)
      local n = (ctx:store("s"):get("n") or 0) + 1
      ctx:log("info", n .. string.rep("x", 20000))
      ctx:log("error", "also here")
      local intents = { ctx:store("s"):put("n", n) }
      if n == 300 then intents[2] = ctx:store("s"):put("milestone", n) end
      return intents
    end }
    """
  /// Fails each time.
  private static let failing = """
    return { on = { every = "1ms" }, execute = function() error(string.rep("y", 20000)) end }
    """

  private func start(_ directory: TemporaryDirectory) throws -> RunningCommand {
    try RunningCommand(["run", ".", "--data", "data"], in: directory.path, hasStalledErrors: true)
  }

  private func milestone(of host: RunningCommand, in directory: TemporaryDirectory) async throws {
    while host.isRunning {
      let seen = try await triggerHost("why", "s", "milestone", "--data", "data", in: directory.path)
      if seen.status == 0 { break }
    }
  }

  /// Every commit of the host waited once 64 kB had not been read, and two signals did nothing. It ends though nobody
  /// reads, and what it did is on disk.
  @Test(arguments: [["talker.lua": talker], ["talker.lua": talker, "failing.lua": failing]])
  func aLogThatNobodyReadsStopsNoCommit(_ scripts: [String: String]) async throws {
    let directory = try TemporaryDirectory()
    for (name, text) in scripts { try directory.write("triggers/\(name)", text) }
    let host = try start(directory)
    try await milestone(of: host, in: directory)
    host.signal(SIGTERM)
    await host.exited()
    host.readOn()
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended.errors.suffix(1000))")
    // What was read are whole lines, from the first on.
    #expect(ended.errors.contains("[talker ") && ended.errors.contains("] info: 1x"))
    #expect(ended.errors.utf8.count < 4 << 20)
    #expect(ended.output.isEmpty)
    let verified = try await triggerHost("log", "verify", "--data", "data", in: directory.path)
    #expect(verified.status == 0, "\(verified)")
  }

  /// When the reader comes back it learns how much is missing.
  @Test func whatIsLeftOutIsCounted() async throws {
    let directory = try TemporaryDirectory(["triggers/talker.lua": Self.talker])
    let host = try start(directory)
    try await milestone(of: host, in: directory)
    host.readOn()
    try await host.line(containing: " left out here: nobody read them in time)")
    host.signal(SIGINT)
    let ended = try await host.end()
    #expect(
      ended.errorLines.contains { $0.hasSuffix(" left out, as nobody read them in time") },
      "\(ended.errorLines.suffix(9))")
  }

  /// Acknowledgements are never left out: their reader holds up what is read from standard input, and nothing else.
  @Test func answersHoldUpTheirOwnSource() async throws {
    let directory = try TemporaryDirectory([
      "triggers/visit.lua": """
      return { on = { event = "visit" }, execute = function(event, ctx)
        return { ctx:store("s"):add("visits", 1) }
      end }
      """,
      // Says when no visit has come for a while.
      "triggers/watch.lua": """
      return { on = { every = "5ms" }, execute = function(event, ctx)
        local s = ctx:store("s")
        local visits, seen = s:get("visits") or 0, s:get("seen") or { visits = 0, times = 0 }
        local times = visits > 0 and visits == seen.visits and seen.times + 1 or 0
        if times == 100 then error("no visit after " .. visits) end
        return { s:put("seen", { visits = visits, times = times }) }
      end }
      """,
      "host.yaml": "workers: 2\n",
    ])
    let long = String(repeating: "i", count: 300)
    let lines = (1...30_000).map { "{\"event\":\"visit\",\"id\":\"\($0) \(long)\"}\n" }.joined()
    try Data(lines.utf8).write(to: URL(fileURLWithPath: directory("in.jsonl")))
    let host = try RunningCommand(
      ["run", "--stdin", "--exit-when-idle"], in: directory.path, output: .stalledPipe,
      input: directory("in.jsonl"))
    let rest = try await host.line(containing: "no visit after ")
    let visits = try #require(Int(rest.split(separator: " ").last ?? ""))
    #expect(visits < 30_000)
    host.readOn()
    let ended = try await host.end()
    #expect(ended.status == 0)
    let answered = ended.lines.filter { $0.contains("\"event_id\"") }
    #expect(answered.count == 30_000)
    #expect(Set(answered).count == 30_000)
  }
}
