import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct GateTests {
  private final class Item {}
  private let ms: Int64 = 1_000_000

  private func gates(_ change: (inout TriggerOptions) -> Void) -> (Gates<Item>, TriggerOptions) {
    var options = TriggerOptions()
    change(&options)
    return (Gates(), options)
  }

  @Test func debounceWaitsForSilence() {
    var (gates, options) = gates { $0.debounce = .milliseconds(10) }
    let items = (0..<3).map { _ in Item() }
    for (index, item) in items.enumerated() {
      let (verdict, absorbed) = gates.arrive(item, key: 1, options: options, at: Int64(index) * 5 * ms)
      guard case .hold = verdict else { return #expect(Bool(false)) }
      #expect(absorbed === (index == 0 ? nil : items[index - 1]))
    }
    #expect(gates.nextDue == 20 * ms)
    #expect(gates.advance(to: 19 * ms).isEmpty)
    let passed = gates.advance(to: 20 * ms)
    #expect(passed.count == 1 && passed[0].run === items[2])
    #expect(gates.nextDue == nil)
  }

  @Test func throttleLetsOnePassPerSpan() {
    var (gates, options) = gates { $0.throttle = .milliseconds(10) }
    let items = (0..<4).map { _ in Item() }
    guard case .pass = gates.arrive(items[0], key: 1, options: options, at: 0).verdict else {
      return #expect(Bool(false))
    }
    guard case .hold = gates.arrive(items[1], key: 1, options: options, at: 3 * ms).verdict else {
      return #expect(Bool(false))
    }
    let (_, absorbed) = gates.arrive(items[2], key: 1, options: options, at: 5 * ms)
    #expect(absorbed === items[1])
    let passed = gates.advance(to: 10 * ms)
    #expect(passed.count == 1 && passed[0].run === items[2])
    // Another key has a gate of its own.
    guard case .pass = gates.arrive(items[3], key: 2, options: options, at: 11 * ms).verdict else {
      return #expect(Bool(false))
    }
  }

  @Test func modesBoundTheRuns() {
    var (single, options) = gates { $0.mode = .single }
    let (a, b, c) = (Item(), Item(), Item())
    guard case .pass = single.arrive(a, key: 1, options: options, at: 0).verdict,
      case .drop = single.arrive(b, key: 1, options: options, at: 1).verdict
    else { return #expect(Bool(false)) }
    #expect(single.end(a, key: 1, at: 2) == nil)
    #expect(single.isEmpty, "a gate without runs is forgotten")
    options.mode = .queued
    var queued = Gates<Item>()
    guard case .pass = queued.arrive(a, key: 1, options: options, at: 0).verdict,
      case .hold = queued.arrive(b, key: 1, options: options, at: 0).verdict,
      case .hold = queued.arrive(c, key: 1, options: options, at: 0).verdict
    else { return #expect(Bool(false)) }
    #expect(queued.end(a, key: 1, at: 0) === b)
    #expect(queued.end(b, key: 1, at: 0) === c)
    options.mode = .restart
    var restart = Gates<Item>()
    guard case .pass = restart.arrive(a, key: 1, options: options, at: 0).verdict,
      case .replace(let old) = restart.arrive(b, key: 1, options: options, at: 0).verdict
    else { return #expect(Bool(false)) }
    #expect(old === a)
    #expect(restart.end(a, key: 1, at: 0) == nil)
  }

  /// The whole way: of a burst, one operation runs with the newest event, and every sender learns of it.
  @Test func aDebouncedTriggerRunsOnceForABurst() async throws {
    let clock = ManualClock()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2), clock: clock)
    let queue = TriggerQueue(coordinator)
    let script = """
      return { on = { event = "n" }, debounce = "50ms", execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    queue.start()
    defer { queue.stop() }
    let told = AsyncStream.makeStream(of: OperationResult.self)
    for n in 1...5 { _ = queue.offer(Event("n", ["n": .int(Int64(n))])) { told.continuation.yield($0) } }
    while coordinator.stats.coalesced < 4 { await Task.yield() }
    #expect(coordinator.stats.currentSeq == 0)
    clock.advance(by: .milliseconds(50))
    await queue.waitUntilIdle()
    #expect(try coordinator.store("seen").get("all") == [5])
    var count = 0
    for await result in told.stream {
      #expect(result.seq == 1 && result.outcome == .committed)
      count += 1
      if count == 5 { break }
    }
  }
}
