import TestSupport
import Testing
import TriggerCore

import TriggerHost

/// What becomes of later operations of an order key while one that failed is to be tried again.
@Suite struct RetryOrderTests {
  /// One life of a host: threads do not matter here, the order does.
  private final class Life {
    let clock: ManualClock
    let coordinator: CommitCoordinator
    let queue: TriggerQueue
    let engine: SteppedEngine

    init(
      _ options: String, _ log: MemoryCommitLog, at now: Int64 = 1_767_225_600_000_000_000,
      _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
      clock = ManualClock(now: now)
      // So that what is there is taken together.
      var configuration = EngineConfiguration(workers: 1)
      configuration.batchNanoseconds = 1_000_000_000
      change(&configuration)
      coordinator = CommitCoordinator(configuration, clock: clock, log: log)
      try coordinator.recover { recovery in for record in log.all { try recovery.apply(record) } }
      queue = TriggerQueue(coordinator)
      let scripts = [
        "t.lua": """
        return { on = { event = "go" }, \(options), execute = function(event, ctx)
          local state = ctx:store("state")
          if event.fails and not state:get("mended") then error("broken") end
          return { state:append("all", event.n) }
        end }
        """,
        "mend.lua": """
        return { on = { event = "mend" }, execute = function(event, ctx) return { ctx:store("state"):put("mended", true) } end }
        """,
      ]
      let tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
      precondition(tree.problems.isEmpty, "\(tree.problems)")
      queue.bind([], scripts: tree)
      engine = SteppedEngine(queue)
    }

    func send(_ n: Int64, fails: Bool = false, key: String = "a", source: UInt64 = 0) {
      let payload: Value = ["n": .int(n), "fails": .bool(fails), "k": .string(key)]
      #expect((try? queue.offer(Event("go", payload, source: source))) == 1)
    }
    func mend() { #expect((try? queue.offer(Event("mend", source: 99))) == 1) }

    /// Moves everything that can move without the clock.
    func run() {
      for _ in 0..<20 {
        _ = engine.watch()
        for worker in engine.generalWorkers where engine.exchange(worker) > 0 {
          while engine.begin(worker) { engine.end(worker) }
        }
      }
    }

    /// Lets time pass, from one due moment to the next.
    func advance(_ span: Duration) {
      let end = clock.monotonic() + span.nanoseconds
      while let due = engine.watch().gateDue, due <= end {
        clock.advance(by: .nanoseconds(max(0, due - clock.monotonic())))
        run()
      }
      clock.advance(by: .nanoseconds(end - clock.monotonic()))
      run()
    }

    var seen: [Int64] {
      let all = try? coordinator.store("state").get("all")
      return all?.arrayValue?.compactMap(\.intValue) ?? []
    }
  }

  private static let retry = #"retry = { attempts = 3, backoff = "1s" }"#

  @Test(
    arguments: [
      (#"order_by = "k""#, [4, 1, 2, 3, 5]), (#"order_by = "k", coalesce = "n""#, [4, 1, 2, 3, 5]),
      (#"mode = "queued", order_by = "k""#, [4, 1, 2, 3, 5]),
      (#"mode = "parallel", max_instances = 5, order_by = "k""#, [4, 1, 2, 3, 5]),
      // Without order_by all of one source keep their order.
      (#"priority = "high""#, [1, 2, 3, 4, 5]),
    ] as [(String, [Int64])]) func theOrderIsKept(options: String, expected: [Int64]) throws
  {
    let life = try Life("\(options), \(Self.retry)", MemoryCommitLog())
    life.send(1, fails: true)
    life.run()
    for n in 2...3 { life.send(Int64(n)) }
    life.send(4, key: "b")
    life.run()
    #expect(life.seen == (options.contains("order_by") ? [4] : []))
    life.mend()
    life.run()
    life.advance(.seconds(2))
    life.send(5)
    life.run()
    #expect(life.seen == expected)
    #expect(life.engine.unfinished == 0)
    life.engine.end()
  }

  /// They may have run already when the first of them fails: nothing of that counts.
  @Test(arguments: [false, true]) func whatRunsAlreadyIsPutOff(strict: Bool) throws {
    let log = MemoryCommitLog()
    let life = try Life(#"order_by = "k", \#(Self.retry)"#, log) { $0.strictOrder = strict }
    life.send(1, fails: true)
    for n in 2...4 { life.send(Int64(n)) }
    life.send(5, key: "b")
    life.run()
    #expect(life.seen == [5])
    #expect(log.all.map(\.outcome).filter { $0 == .deferred }.count == 3)
    // Nobody's snapshot is held meanwhile.
    #expect(!life.engine.watch().isActive)
    life.mend()
    life.run()
    life.advance(.seconds(2))
    #expect(life.seen == [5, 1, 2, 3, 4])
    life.engine.end()
  }

  /// When it fails for good the next goes on, and may fail as well.
  @Test func whatFailsForGoodMakesWay() throws {
    let log = MemoryCommitLog()
    let life = try Life(#"order_by = "k", \#(Self.retry)"#, log)
    for n in 1...3 { life.send(Int64(n), fails: n < 3) }
    life.run()
    life.advance(.seconds(4))
    #expect(life.seen == [])
    life.advance(.seconds(20))
    #expect(life.seen == [3])
    let failed = log.all.filter { $0.outcome == .failed }
    #expect(failed.count == 6 && failed.map(\.tries) == [0, 1, 2, 0, 1, 2])
    // Each was put off once, and not again for every failure before it.
    #expect(log.all.filter { $0.outcome == .deferred }.count == 2)
    life.engine.end()
  }

  @Test func orderFreeLetsOthersGoOn() throws {
    let life = try Life(
      #"order_by = "k", retry = { attempts = 3, backoff = "1s", order = "free" }"#, MemoryCommitLog())
    life.send(1, fails: true)
    for n in 2...3 { life.send(Int64(n)) }
    life.run()
    #expect(life.seen == [2, 3])
    life.mend()
    life.run()
    life.advance(.seconds(2))
    #expect(life.seen == [2, 3, 1])
    life.engine.end()
  }

  /// An operation goes on until its last try has ended: `single` drops what comes meanwhile, `restart` takes it back.
  @Test func modesCountWhatIsToBeTriedAgain() throws {
    for (mode, expected) in [("single", [1, 3]), ("restart", [2, 3])] as [(String, [Int64])] {
      let life = try Life("mode = '\(mode)', \(Self.retry)", MemoryCommitLog())
      life.send(1, fails: true)
      life.run()
      life.send(2)
      life.run()
      #expect(life.seen == (mode == "restart" ? [2] : []), "\(mode)")
      life.mend()
      life.run()
      life.advance(.seconds(2))
      life.send(3)
      life.run()
      #expect(life.seen == expected, "\(mode)")
      #expect(life.engine.unfinished == 0)
      life.engine.end()
    }
  }

  /// What has passed a debounce or a throttle has passed: others come behind it.
  @Test(arguments: ["debounce", "throttle"]) func spansOfGatesDoNotTurnTheOrderAround(gate: String) throws {
    let life = try Life("\(gate) = '100ms', \(Self.retry)", MemoryCommitLog())
    life.send(1, fails: true)
    life.advance(.milliseconds(110))
    life.send(2)
    life.advance(.milliseconds(110))
    life.mend()
    life.run()
    life.advance(.milliseconds(300))
    life.send(3)
    life.advance(.milliseconds(110))
    #expect(life.seen == [])
    life.advance(.seconds(2))
    #expect(life.seen == [1, 2, 3])
    life.engine.end()
  }

  /// A free retry that finds a newer event in the queue ends with it, and does not put its own in the place.
  @Test func aFreeRetryTakesNoNewerEventsPlace() throws {
    let life = try Life(
      #"coalesce = true, retry = { attempts = 3, backoff = "1s", order = "free" }"#, MemoryCommitLog())
    life.send(1, fails: true)
    life.run()
    life.mend()
    life.run()
    life.send(2, source: 5)
    _ = life.engine.watch()
    life.clock.advance(by: .seconds(2))
    life.run()
    #expect(life.seen == [2])
    life.engine.end()
  }

  /// The host stops at any moment: the order is kept, what waits waits on.
  @Test func theOrderOutlivesTheHost() throws {
    for stop in 0..<6 {
      let log = MemoryCommitLog()
      let options = #"order_by = "k", \#(Self.retry)"#
      let first = try Life(options, log)
      first.send(1, fails: true)
      for n in 2...4 { first.send(Int64(n)) }
      first.run()
      if stop > 0 { first.advance(.milliseconds(Int64(stop) * 400)) }
      first.engine.end()
      let second = try Life(options, log, at: first.clock.now())
      second.run()
      #expect(second.seen == [])
      second.mend()
      second.run()
      second.advance(.seconds(3))
      #expect(second.seen == [1, 2, 3, 4], "stopped after \(stop)")
      #expect(second.engine.unfinished == 0)
      second.engine.end()
    }
  }
}
