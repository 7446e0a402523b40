import Foundation
import Testing

/// A process that is stopped and goes on: clocks have gone on meanwhile, and nobody was at work.
@Suite struct PausedProcessTests {
  /// Each script takes a few milliseconds of CPU time of the 100 it has, so the backstop is a second.
  @Test(.timeLimit(.minutes(5))) func aPauseCountsAgainstNoScript() async throws {
    let directory = try TemporaryDirectory()
    try directory.write(
      "triggers/busy.lua",
      """
      return { on = { event = "go" }, timeout = "100ms", execute = function(event, ctx)
        local sum = 0
        for i = 1, 1000000 do sum = sum + i end
        ctx:log("info", "round")
        return { ctx:store("done"):add("count", 1), ctx:emit("go", {}) }
      end }
      """)
    try directory.write("host.yaml", "limits: { hops: 250, hold: 5s }\n")
    let events = (0..<20).map { #"{"event": "go", "id": \#($0)}"# + "\n" }.joined()
    try directory.write("events.jsonl", events)
    let host = try RunningCommand(
      [
        "run", "--config", directory("host.yaml"), "--scripts", directory("triggers"), "--stdin", "--workers",
        "1",
        "--exit-when-idle",
      ], input: directory("events.jsonl"))
    _ = try await host.line(containing: #""outcome":"committed""#)
    for _ in 0..<3 {
      await host.pause()
      // What is tested is that this time passes for everybody but the process: more than the backstop of a second, which
      // goes by the system's clocks. No clock set by hand can stand for it in another process.
      try await Task.sleep(for: .milliseconds(1300))
      let rounds = try await host.lines(1, containing: "round").count
      host.signal(SIGCONT)
      // It goes on.
      try await host.lines(rounds + 10, containing: "round")
    }
    host.signal(SIGKILL)
    let ended = try await host.end()
    #expect(!ended.errors.contains("timeout"), "\(ended)")
  }
}
