import Foundation
import Testing
import TriggerCore
import TriggerHost

@testable import TriggerSQLite

/// A disk that refuses stops intake with a clear error, and what was acknowledged is there.
@Suite(.serialized) struct FailureTests {
  @Test func aFullDiskStopsIntake() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let host = try DataHost(path)
    try host.log.directory.database.run("PRAGMA max_page_count = 40")
    var acknowledged: [Int64] = []
    var refusal: (any Error)?
    for n in 1...5000 where n % 7 != 0 {
      do {
        let filler = String(repeating: "x", count: 2000)
        let results = try await host.queue.perform(
          Event("n", ["n": .int(Int64(n)), "filler": .string(filler)]))
        acknowledged += results.map(\.seq)
      } catch {
        refusal = error
        break
      }
    }
    // Whoever waited for an outcome when the disk refused is told as well as those who come later.
    #expect(refusal is QueueFailed, "\(String(describing: refusal))")
    guard case .refused(let reason)? = host.queue.failure, reason.contains("full") else {
      Issue.record("\(String(describing: host.queue.failure))")
      return
    }
    await #expect(throws: QueueFailed.self) { try await host.queue.enqueue(Event("n", ["n": 1])) }
    #expect(acknowledged.count > 10)
    host.close()
    let again = try DataHost(path)
    #expect(again.recovery.lastSeq >= acknowledged.last!)
    again.close()
  }

  @Test func deadLettersAreListedAndPutBack() async throws {
    let path = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let broken = [
      "t.lua": """
      return { on = { event = "e" }, execute = function(event) error("no " .. event.n) end }
      """
    ]
    let host = try DataHost(path, scripts: broken)
    for n in 1...3 { _ = try await host.queue.perform(Event("e", ["n": .int(Int64(n))])) }
    host.close()
    let letters = DeadLetters(try LogReader(path: path))
    #expect(try letters.seqs() == [1, 2, 3])
    let records = try letters.seqs().compactMap { try letters.record($0) }
    #expect(records[0].error?.contains("no 1") == true)
    do {
      let directory = try DataDirectory(path: path)
      // All or none.
      #expect(throws: NotDead.self) { try directory.settle(.seqs([1, 4]), as: .dropped) }
      #expect(try directory.settle(.seqs([1]), as: .dropped).map(\.seq) == [1])
      #expect(try directory.settle(.seqs([2]), as: .requeued).map(\.seq) == [2])
    }
    #expect(try letters.seqs() == [3])
    let mended = [
      "t.lua": """
      return { on = { event = "e" }, execute = function(event, ctx)
        return { ctx:store("s"):put("n", event.n) }
      end }
      """
    ]
    for _ in 0..<2 {  // put back once, not at each start
      let again = try DataHost(path, scripts: mended)
      await again.queue.waitUntilIdle()
      #expect(try again.contents()["s"] == ["n": 2])
      #expect(again.coordinator.stats.currentSeq == 4)
      again.close()
    }
  }
}
