import Glibc
import Synchronization
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

/// Nobody holds the engine lock for long, whatever scripts, events and bindings are like: by the CPU time of whoever
/// holds it.
@Suite struct LockBoundsTests {
  /// What a debug build may take, in nanoseconds: the faults that these tests are for take seconds.
  private static let bound: Int64 = 1_500_000_000

  private func host(
    _ scripts: [String: String], _ change: (inout EngineConfiguration) -> Void = { _ in }
  ) throws -> (CommitCoordinator, TriggerQueue) {
    var configuration = EngineConfiguration(workers: 2)
    configuration.lockMeter = CLOCK_THREAD_CPUTIME_ID
    change(&configuration)
    let coordinator = CommitCoordinator(configuration)
    let queue = TriggerQueue(coordinator)
    var scripts = scripts
    scripts["healthy.lua"] = """
      return { on = { event = "go" }, timeout = "100s", execute = function(event, ctx)
        return { ctx:store("healthy"):add("n", 1) }
      end }
      """
    let tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    #expect(tree.problems.filter { $0.severity == .error }.isEmpty)
    queue.bind([], scripts: tree)
    queue.start()
    return (coordinator, queue)
  }

  private func script(_ body: String, on: String = "event = \"bad\"") -> String {
    """
    return { on = { \(on) }, timeout = "100s", memory = "512mb", execute = function(event, ctx)
      \(body)
    end }
    """
  }

  /// The worst commit of each kind, and others commit beside it.
  @Test(arguments: [
    (
      "appends",
      "local s, t = ctx:store('s'), {} for i = 1, 10000 do t[i] = s:append('k', 'element ' .. i) end return t"
    ),
    (
      "texts",
      "local s, t = ctx:store('s'), {} for i = 1, 10000 do t[i] = s:append_text('k', 'element ' .. i) end return t"
    ),
    (
      "adds", "local s, t = ctx:store('s'), {} for i = 1, 10000 do t[i] = s:add('k' .. i % 7, 1) end return t"
    ),
    (
      "mixes",
      "local s, t = ctx:store('s'), {} for i = 1, 10000, 2 do t[i], t[i + 1] = s:put('k', array{}), s:append('k', i) end return t"
    ),
    (
      "long keys",
      "local s, t, p = ctx:store('s'), {}, ('a'):rep(1000) for i = 1, 10000 do t[i] = s:put(p .. i, 1) end return t"
    ),
    ("emits", "local t = {} for i = 1, 1000 do t[i] = ctx:emit('e' .. i, ('x'):rep(1000)) end return t"),
    ("stores", "local t = {} for i = 1, 900 do t[i] = ctx:store('s' .. i):put('k', 1) end return t"),
    ("reads", "local s = ctx:store('s') for i = 1, 100000 do s:get('k' .. i) end return { s:put('a', 1) }"),
  ])
  func theWorstOf(_ kind: String, _ body: String) async throws {
    let (coordinator, queue) = try host(["bad.lua": script(body)])
    defer { queue.stop() }
    for _ in 1...2 {
      let bad = Task { try await queue.perform(Event("bad")) }
      for _ in 1...10 { #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed]) }
      #expect(try await bad.value.map(\.outcome) == [.committed])
    }
    await queue.waitUntilIdle()
    #expect(coordinator.takeLongestHold() < Self.bound, "\(kind)")
  }

  /// Every key of a commit was compared with every binding, byte by star: here, and on the worker now.
  @Test func bindingsWithManyStars() async throws {
    let stars = String(repeating: "*a", count: 120) + "b"
    let bad =
      "local s, t, p = ctx:store('s'), {}, ('a'):rep(1000) for i = 1, 3000 do t[i] = s:put(p .. i, 1) end return t"
    let (coordinator, queue) = try host([
      "bad.lua": script(bad),
      "bound.lua": script("return {}", on: "commit = \"s/\(stars)\""),
      "all.lua": script("return {}", on: "commit = \"s/**\""),
    ])
    defer { queue.stop() }
    #expect(try await queue.perform(Event("bad")).map(\.outcome) == [.committed])
    await queue.waitUntilIdle()
    #expect(coordinator.stats.triggers["all"]?.committed == 1)
    #expect(coordinator.stats.triggers["bound"]?.committed ?? 0 == 0)
    #expect(coordinator.takeLongestHold() < Self.bound)
  }

  /// A script that only names stores leaves nothing behind, and others can make their own.
  @Test func namesOfStores() async throws {
    let (coordinator, queue) = try host(
      [
        "bad.lua": script("for i = 1, 500 do ctx:store('x' .. event.n .. '-' .. i):get('k') end return {}"),
        "failing.lua": script(
          "return { ctx:store('y' .. event.n):put('k', 1), ctx:store('y' .. event.n):add('k', 'x') }"),
        "many.lua": script("for i = 1, 1001 do ctx:store('x' .. i) end return {}", on: "event = \"many\""),
      ]
    ) { $0.maximumStores = 3 }
    defer { queue.stop() }
    for n in 1...20 {
      let outcomes = try await queue.perform(Event("bad", ["n": .int(Int64(n))])).map(\.outcome)
      #expect(outcomes.map(\.rawValue).sorted() == [0, 1])
    }
    #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed])
    #expect(coordinator.storeNames == ["healthy"])
    #expect(try await queue.perform(Event("many"))[0].error?.contains("at most 1000 stores") == true)
  }

  @Test func tooManyStores() async throws {
    let (coordinator, queue) = try host([
      "bad.lua": script(
        "return { ctx:store('a'):put('k', 1), ctx:store('b'):put('k', 1), ctx:store('c'):put('k', 1) }")
    ]) { $0.maximumStores = 3 }
    defer { queue.stop() }
    #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed])
    let result = try await queue.perform(Event("bad"))
    #expect(result[0].outcome == .failed && result[0].error?.contains("more than 3 stores") == true)
    #expect(coordinator.storeNames == ["healthy"])
  }

  /// Two executions name a store that is not there; the first makes it, and the second has not seen that.
  @Test func aStoreThatComesMeanwhileIsAConflict() async throws {
    let engine = Engine(configuration: EngineConfiguration(), clock: SystemClock(), log: nil)
    let (first, second) = (Attempt(), Attempt())
    let one = try first.open("s", in: engine.stores)
    let other = try second.open("s", in: engine.stores)
    #expect(one.isStandIn && one !== other)
    Array("k".utf8).withUnsafeBufferPointer { key in
      second.reads.add(absent: key.baseAddress!, 1, hash: KeyHash.of(key.baseAddress!, count: 1), in: other)
      CanonicalEncoding.encode(.int(1)).withUnsafeBytes {
        first.writes.add(.change(.put, .passUnretained(one)), key: key, value: $0)
      }
    }
    try engine.withState { _ = try $0.committer.apply(first.writes, seq: 1, isNew: true) }
    second.findStores(in: engine.stores)
    let (before, after) = (second.reads.holds(since: 0), second.reads.holds(since: 1))
    #expect(!before && after)
    #expect(engine.stores.existing.map(\.name) == ["s"])
  }

  /// What was looked through is not looked through again while everybody waits.
  @Test func prefixesOfManyKeys() {
    let engine = Engine(configuration: EngineConfiguration(), clock: SystemClock(), log: nil)
    let table = engine.stores.declare("s")
    func put(_ key: String, _ seq: Int64) {
      Array(key.utf8).withUnsafeBufferPointer { key in
        CanonicalEncoding.encode(.int(1)).withUnsafeBytes { value in
          engine.withState { table.restore(key, value, seq: seq, reclaim: $0.reclaimer) }
        }
      }
    }
    for number in 0..<70_000 { put("a\(number)", 1) }
    put("b", 2)
    var reads = ReadSet()
    for prefix in ["a", "a1"] {
      Array(prefix.utf8).withUnsafeBufferPointer { reads.add(prefix: $0, in: table) }
    }
    var steps = ReadSet.most
    let (exact, bounded) = (reads.holds(since: 1), reads.holds(since: 1, steps: &steps))
    #expect(exact && bounded == nil)
    reads.coarsen()
    let (before, after) = (reads.holds(since: 1), reads.holds(since: 2))
    #expect(!before && after)
    // And reads beyond counting are of all of their store.
    var many = ReadSet()
    for number in 0...ReadSet.most {
      let key = Array("x\(number)".utf8)
      many.add(absent: key, key.count, hash: KeyHash.of(key, count: key.count), in: table)
    }
    let (count, texts) = (many.count, many.descriptions)
    #expect(count == 1 && texts == ["s/*"])
    let (manyBefore, manyAfter) = (many.holds(since: 1), many.holds(since: 2))
    #expect(!manyBefore && manyAfter)
  }

  /// Each of them looked at all the others.
  @Test func gatesOfManyKeys() async throws {
    let gates = """
      return { on = { event = "e" }, debounce = "1h", order_by = "key", execute = function() return {} end }
      """
    let (coordinator, queue) = try host(["gated.lua": gates])
    defer { queue.stop() }
    for number in 0..<20_000 { #expect(try queue.offer(Event("e", ["key": .int(Int64(number))])) == 1) }
    for _ in 1...200 { #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed]) }
    #expect(coordinator.takeLongestHold() < Self.bound)
    #expect(queue.waiting.count == 20_000)
  }

  /// Freeing what a long look had kept takes turns with commits.
  @Test func whatWasKeptIsFreedInParts() {
    let engine = Engine(configuration: EngineConfiguration(), clock: SystemClock(), log: nil)
    let table = engine.stores.declare("s")
    engine.withState { state in
      for seq in 1...50_000 as ClosedRange<Int64> {
        Array("k".utf8).withUnsafeBufferPointer { key in
          CanonicalEncoding.encode(.int(seq)).withUnsafeBytes {
            table.restore(key, $0, seq: seq, reclaim: state.reclaimer)
          }
        }
      }
      #expect(!state.reclaimer.reclaim(horizon: .max, frontier: 50_000, most: 1000))
      #expect((40_000...49_000).contains(state.reclaimer.waiting))
      while !state.reclaimer.reclaim(horizon: .max, frontier: 50_000, most: 1000) {}
      #expect(state.reclaimer.waiting == 0)
    }
  }

  /// A commit whose events reach many triggers lets others in between.
  @Test func eventsOfACommitAreAdmittedInParts() async throws {
    var scripts = ["bad.lua": script("local t = {} for i = 1, 1000 do t[i] = ctx:emit('e', i) end return t")]
    for number in 1...20 { scripts["t\(number).lua"] = script("return {}", on: "event = \"e\"") }
    let (coordinator, queue) = try host(scripts)
    defer { queue.stop() }
    let bad = Task { try await queue.perform(Event("bad")) }
    for _ in 1...10 { #expect(try await queue.perform(Event("go")).map(\.outcome) == [.committed]) }
    #expect(try await bad.value.map(\.outcome) == [.committed])
    await queue.waitUntilIdle()
    #expect(coordinator.stats.committed == 20_011)
    #expect(coordinator.takeLongestHold() < Self.bound)
  }
}
