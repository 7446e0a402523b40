import Synchronization
import TestSupport
import Testing
import TriggerTestKit

@testable import TriggerHost

/// Log lines have bounds in bytes, and what is left out is counted.
@Suite struct ScriptLinesTests {
  private static func line(_ bytes: Int) -> ExecutionLog {
    ExecutionLog(level: "info", message: String(repeating: "x", count: bytes), fields: nil, place: "a.lua:1")
  }

  @Test func anAttemptKeepsTheBeginning() {
    let memory = LineMemory()
    var lines: ScriptLines? = ScriptLines(memory)
    for _ in 0..<10 { lines!.add(10_000, memory: 10_000) { Self.line(10_000) } }
    // The line that reaches 64 KiB is the last; a small one after it does not come out of order.
    lines!.add(1, memory: 1) { Self.line(1) }
    #expect(lines!.lines.count == 7 && lines!.dropped == 4)
    #expect(memory.used == 70_000)
    lines = nil
    #expect(memory.used == 0)
  }

  @Test func aThousandLines() {
    let lines = ScriptLines(LineMemory())
    for _ in 0..<1234 { lines.add(1, memory: 1) { Self.line(1) } }
    #expect(lines.lines.count == 1000 && lines.dropped == 234)
  }

  /// What others hold changes what is kept, and not what counts as the attempt's memory.
  @Test func memoryForAllIsBounded() {
    let memory = LineMemory(most: 100_000)
    let all = (0..<10).map { _ in ScriptLines(memory) }
    for lines in all { for _ in 0..<8 { lines.add(5000, memory: 5000) { Self.line(5000) } } }
    #expect(memory.used == 100_000)
    #expect(all.map(\.bytes) == Array(repeating: 40_000, count: 10))
    #expect(all.map(\.dropped).reduce(0, +) == 60)
  }

  /// 60 events whose script prints took 1.6 GB.
  @Test func eventsThatPrintMuch() async throws {
    let host = try TestHost(scripts: [
      "talker.lua": """
      return { on = { event = "e" }, timeout = "1m", execute = function(event, ctx)
        local text = ("x"):rep(60000)
        for i = 1, 1000 do print(text) end
        return { ctx:store("s"):add("n", 1) }
      end }
      """
    ])
    defer { host.stop() }
    let seen = Mutex<[(lines: Int, bytes: Int, dropped: Int)]>([])
    host.queue.observe { result, lines in
      seen.withLock {
        $0.append((lines.count, lines.reduce(0) { $0 + $1.message.utf8.count }, result.logLinesDropped))
      }
    }
    for _ in 0..<60 { _ = try await host.send(Event("e")) }
    let all = seen.withLock { $0 }
    #expect(all.count == 60)
    #expect(all.allSatisfy { $0.lines == 2 && $0.bytes == 120_000 && $0.dropped == 998 }, "\(all)")
  }
}
