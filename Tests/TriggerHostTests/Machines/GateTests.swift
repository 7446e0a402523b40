import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct GateTests {
  private final class Item: GatedRun {
    let retryOf: Int64?
    init(retryOf: Int64? = nil) { self.retryOf = retryOf }
  }
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
      let (verdict, absorbed) = gates.arrive(
        item, key: 1, options: options, at: moment(Int64(index) * 5 * ms))
      guard case .hold = verdict else { return #expect(Bool(false)) }
      #expect(absorbed?.older === (index == 0 ? nil : items[index - 1]))
      #expect(absorbed?.newer === (index == 0 ? nil : item))
    }
    #expect(gates.nextDue?.nanoseconds == 20 * ms)
    #expect(gates.advance(to: moment(19 * ms)).isEmpty)
    let passed = gates.advance(to: moment(20 * ms))
    #expect(passed.count == 1 && passed[0].run === items[2])
    #expect(gates.nextDue?.nanoseconds == nil)
  }

  @Test func throttleLetsOnePassPerSpan() {
    var (gates, options) = gates { $0.throttle = .milliseconds(10) }
    let items = (0..<4).map { _ in Item() }
    guard case .pass = gates.arrive(items[0], key: 1, options: options, at: moment(0)).verdict else {
      return #expect(Bool(false))
    }
    guard case .hold = gates.arrive(items[1], key: 1, options: options, at: moment(3 * ms)).verdict else {
      return #expect(Bool(false))
    }
    let (_, absorbed) = gates.arrive(items[2], key: 1, options: options, at: moment(5 * ms))
    #expect(absorbed?.older === items[1] && absorbed?.newer === items[2])
    let passed = gates.advance(to: moment(10 * ms))
    #expect(passed.count == 1 && passed[0].run === items[2])
    // Another key has a gate of its own.
    guard case .pass = gates.arrive(items[3], key: 2, options: options, at: moment(11 * ms)).verdict else {
      return #expect(Bool(false))
    }
  }

  @Test func modesBoundTheRuns() {
    var (single, options) = gates { $0.mode = .single }
    let (a, b, c) = (Item(), Item(), Item())
    guard case .pass = single.arrive(a, key: 1, options: options, at: moment(0)).verdict,
      case .drop = single.arrive(b, key: 1, options: options, at: moment(1)).verdict
    else { return #expect(Bool(false)) }
    #expect(single.end(a, key: 1, at: moment(2)) == nil)
    #expect(single.isEmpty, "a gate without runs is forgotten")
    options.mode = .queued
    var queued = Gates<Item>()
    guard case .pass = queued.arrive(a, key: 1, options: options, at: moment(0)).verdict,
      case .hold = queued.arrive(b, key: 1, options: options, at: moment(0)).verdict,
      case .hold = queued.arrive(c, key: 1, options: options, at: moment(0)).verdict
    else { return #expect(Bool(false)) }
    #expect(queued.end(a, key: 1, at: moment(0)) === b)
    #expect(queued.end(b, key: 1, at: moment(0)) === c)
    options.mode = .restart
    var restart = Gates<Item>()
    guard case .pass = restart.arrive(a, key: 1, options: options, at: moment(0)).verdict,
      case .replace(let old) = restart.arrive(b, key: 1, options: options, at: moment(0)).verdict
    else { return #expect(Bool(false)) }
    #expect(old === a)
    #expect(restart.end(a, key: 1, at: moment(0)) == nil)
  }

  /// A retry is as old as the run that it tries again.
  @Test func aRetryTakesNoNewerOnesPlace() {
    var (restart, options) = gates { $0.mode = .restart }
    let (old, newer, newest, event) = (Item(retryOf: 3), Item(retryOf: 4), Item(retryOf: 5), Item())
    guard case .pass = restart.arrive(newer, key: 1, options: options, at: moment(0)).verdict,
      case .drop = restart.arrive(old, key: 1, options: options, at: moment(0)).verdict,
      case .replace(let first) = restart.arrive(newest, key: 1, options: options, at: moment(0)).verdict,
      case .replace(let second) = restart.arrive(event, key: 1, options: options, at: moment(0)).verdict,
      case .drop = restart.arrive(Item(retryOf: 6), key: 1, options: options, at: moment(0)).verdict
    else { return #expect(Bool(false)) }
    #expect(first === newer && second === newest)
    options = TriggerOptions()
    options.debounce = .milliseconds(10)
    var debounce = Gates<Item>()
    _ = debounce.arrive(event, key: 1, options: options, at: moment(0))
    let (verdict, absorbed) = debounce.arrive(old, key: 1, options: options, at: moment(5 * ms))
    guard case .hold = verdict else { return #expect(Bool(false)) }
    #expect(absorbed?.older === old && absorbed?.newer === event)
    // It is no event that broke the silence.
    #expect(
      debounce.advance(to: moment(10 * ms)).map { ObjectIdentifier($0.run) } == [ObjectIdentifier(event)])
  }

  @Test func whatIsDueTogetherPassesInTheOrderOfArrival() {
    let (_, options) = gates { $0.debounce = .milliseconds(10) }
    var gates = Gates<Item>()
    let items = (0..<20).map { _ in Item() }
    for (index, item) in items.enumerated() {
      _ = gates.arrive(item, key: UInt64(index) &* 0x9e37_79b9_7f4a_7c15, options: options, at: moment(0))
    }
    let passed = gates.advance(to: moment(10 * ms)).map { ObjectIdentifier($0.run) }
    #expect(passed == items.map { ObjectIdentifier($0) })
  }

  /// A newer version of a script has other options: they hold for what comes, and what waits keeps its turn.
  @Test func optionsMayChange() {
    var (gates, options) = gates { $0.mode = .queued }
    let items = (0..<4).map { _ in Item() }
    for item in items[0..<2] { _ = gates.arrive(item, key: 1, options: options, at: moment(0)) }
    options.maxInstances = 3
    guard case .hold = gates.arrive(items[2], key: 1, options: options, at: moment(0)).verdict else {
      return #expect(Bool(false), "it overtakes one that waits")
    }
    #expect(gates.end(items[0], key: 1, at: moment(0)) === items[1])
    options.throttle = .milliseconds(5)
    guard case .hold = gates.arrive(items[3], key: 1, options: options, at: moment(1)).verdict else {
      return #expect(Bool(false))
    }
    #expect(gates.nextDue?.nanoseconds == 5 * ms)
  }

  /// A run that had passed before a restart counts, and is not judged again.
  @Test func aResumedRunCounts() {
    let (_, options) = gates { $0.mode = .single }
    var gates = Gates<Item>()
    let (first, second) = (Item(), Item())
    gates.resume(first, key: 1, options: options)
    guard case .drop = gates.arrive(second, key: 1, options: options, at: moment(0)).verdict else {
      return #expect(Bool(false))
    }
    #expect(gates.end(first, key: 1, at: moment(0)) == nil)
    guard case .pass = gates.arrive(second, key: 1, options: options, at: moment(0)).verdict else {
      return #expect(Bool(false))
    }
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
    for n in 1...5 { _ = try queue.offer(Event("n", ["n": .int(Int64(n))])) { told.continuation.yield($0) } }
    try await wait(for: "the burst") { await coordinator.waitUntil { $0.coalesced >= 4 } }
    #expect(coordinator.stats.currentSeq == 0)
    clock.advance(by: .milliseconds(50))
    await queue.waitUntilIdle()
    #expect(try coordinator.store("seen").get("all") == [5])
    var count = 0
    for await result in told.stream {
      #expect(result.seq == 1 && result.outcome == (count == 0 ? .committed : .superseded))
      count += 1
      if count == 5 { break }
    }
  }

  /// What was held until now passes before what has just come, though both are seen at once.
  @Test func nothingOvertakesWhatIsDue() async throws {
    let clock = ManualClock()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), clock: clock)
    let queue = TriggerQueue(coordinator)
    let script = """
      return { on = { event = "n" }, throttle = "50ms", execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    let engine = SteppedEngine(queue)
    func run() {
      for _ in 0..<3 {
        if engine.exchange(0) > 0 { while engine.begin(0) { engine.end(0) } }
      }
    }
    func send(_ n: Int64) { _ = try? queue.offer(Event("n", ["n": .int(n)])) }
    send(1)
    run()
    send(2)
    run()
    clock.advance(by: .milliseconds(51))
    send(3)
    run()
    clock.advance(by: .milliseconds(51))
    run()
    #expect(try coordinator.store("seen").get("all") == [1, 2, 3])
    engine.end()
  }

  /// The one that is queued takes the newest event and, in the gate, the newest one's place.
  @Test func restartFindsWhatHasTakenANewerEvent() throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 2), clock: ManualClock())
    let queue = TriggerQueue(coordinator)
    let script = """
      return { on = { event = "n" }, mode = "restart", coalesce = true, execute = function(event, ctx)
        return { ctx:store("seen"):append("all", event.n) }
      end }
      """
    queue.bind([], scripts: ScriptTree(files: ["s.lua": Array(script.utf8)]))
    let engine = SteppedEngine(queue)
    func send(_ n: Int64) { _ = try? queue.offer(Event("n", ["n": .int(n)])) }
    func take(_ worker: Int) { #expect(engine.exchange(worker) == 1 && engine.begin(worker)) }
    send(1)
    take(0)
    send(2)
    send(3)
    take(1)
    send(4)
    engine.end(0)
    #expect(!engine.begin(0))
    take(0)
    engine.end(1)
    engine.end(0)
    for worker in 0...1 where engine.holdsBatch(worker) { #expect(!engine.begin(worker)) }
    for worker in 0...1 { _ = engine.exchange(worker) }
    #expect(try coordinator.store("seen").get("all") == [4])
    #expect(coordinator.stats.skipped == 2 && engine.unfinished == 0)
    engine.end()
  }

  /// What restarts is the trigger's own: others keep the event that they got together with it.
  @Test func restartTakesNothingFromOthers() async throws {
    func script(_ mode: String) -> String {
      """
      return { on = { event = "n" }, \(mode) execute = function(event, ctx)
        return { ctx:store("seen"):append(ctx.trigger, event.n) }
      end }
      """
    }
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    let files = ["plain.lua": script(""), "restart.lua": script("mode = 'restart',")]
    queue.bind([], scripts: ScriptTree(files: files.mapValues { Array($0.utf8) }))
    let senders = (1...3).map { n in (n, Cancellation()) }
    for (n, sender) in senders {
      #expect(try queue.offer(Event("n", ["n": .int(Int64(n))]), cancellation: sender) == 2)
    }
    senders[1].1.cancel()
    queue.start()
    defer { queue.stop() }
    await queue.waitUntilIdle()
    let seen = try coordinator.store("seen")
    #expect(try seen.get("plain") == [1, 3] && seen.get("restart") == [3])
    #expect(!senders[0].1.isCancelled)
  }

  /// A commit emitted them: the log says how each ended, or a restart would run those again that were dropped or
  /// joined another.
  @Test func theLogTellsOfWhatAGateHasTaken() async throws {
    let scripts = [
      "emit.lua": """
      return { on = { event = "go" }, execute = function(event, ctx)
        local intents = {}
        for n = 1, 4 do
          intents[#intents + 1] = ctx:emit("single", { n = n })
          intents[#intents + 1] = ctx:emit("merged", { n = n })
        end
        return intents
      end }
      """,
      "single.lua": """
      return { on = { event = "single" }, mode = "single", execute = function(event, ctx)
        return { ctx:store("seen"):append("single", event.n) }
      end }
      """,
      "merged.lua": """
      return { on = { event = "merged" }, coalesce = true, execute = function(event, ctx)
        return { ctx:store("seen"):append("merged", event.n) }
      end }
      """,
    ]
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1), clock: ManualClock(), log: log)
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: ScriptTree(files: scripts.mapValues { Array($0.utf8) }))
    queue.start()
    defer { queue.stop() }
    try await queue.enqueue(Event("go"))
    await queue.waitUntilIdle()
    let single = log.all.filter { $0.trigger == "single" && $0.outcome != .deferred }
    #expect(single.count == 4 && Set(single.map(\.cause)).count == 4)
    #expect(single.count { $0.outcome == .skipped && $0.error?.hasPrefix("dropped: ") == true } > 0)
    let merged = log.all.filter { $0.trigger == "merged" && $0.outcome == .committed }
    let told = merged.reduce(0) { $0 + 1 + $1.absorbed.count }
    #expect(told == 4, "\(merged)")
    #expect(try coordinator.store("seen").get("merged")?.arrayValue?.last == 4)
    var fold = LogFold()
    for record in log.all { fold.apply(record) }
    #expect(fold.unfinished.isEmpty, "\(fold.unfinished)")
  }
}
