import Foundation
import Synchronization
import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost
@testable import TriggerReplay

/// Nothing is deferred: seqs are those of the events, however busy the machine is.
private let inOrder = {
  var configuration = EngineConfiguration(workers: 2)
  configuration.strictOrder = true
  return configuration
}()

/// Backends learn of commits in order, exactly once, when they are durable, and each at its own pace.
@Suite struct BackendFeedTests {
  /// Remembers what it was told; waits in `apply` while its gate is closed.
  private final class Recorder: StoreBackend {
    struct State {
      var calls: [(seq: Int64, changes: [StoreChange])] = []
      var replacements: [Int64] = []
      var content: Value.Map = [:]
    }
    let state = Mutex(State())
    private let gate = NSCondition()
    private nonisolated(unsafe) var isClosed = false  // guarded by `gate`
    private nonisolated(unsafe) var isInside = false  // guarded by `gate`
    private let initial: Value.Map

    init(_ initial: Value.Map = [:]) { self.initial = initial }

    func load() -> Value.Map {
      state.withLock { $0.content = initial }
      return initial
    }
    func apply(seq: Int64, _ changes: [StoreChange]) {
      gate.lock()
      isInside = true
      gate.broadcast()
      while isClosed { gate.wait() }
      isInside = false
      gate.unlock()
      state.withLock { state in
        state.calls.append((seq, changes))
        for change in changes { state.content[change.key] = change.value }
      }
    }
    func replace(seq: Int64, with content: Value.Map) {
      state.withLock { state in
        state.replacements.append(seq)
        state.content = content
      }
    }
    func content(of values: Value.Map) -> Value.Map { values }
    func values(of content: Value.Map) -> Value.Map { content }

    func close() { gate.withLock { isClosed = true } }
    func open() {
      gate.withLock {
        isClosed = false
        gate.broadcast()
      }
    }
    func waitUntilInside() {
      gate.withLock { while !isInside { gate.wait() } }
    }
  }

  private struct Put: Trigger {
    var store: String
    var changes: KeyValuePairs<String, Value?>
    func execute() async throws -> [CommitIntent] {
      let store = VersionedStore(self.store, backend: MemoryStoreBackend())
      return changes.map { store.put($0.key, $0.value) }
    }
  }

  /// A log that says what is durable when it is told to.
  private final class SlowLog: CommitLog {
    let wantsReads = false
    private let seq = Atomic<Int64>(0)
    private let listener = Mutex<(@Sendable (Int64) -> Void)?>(nil)
    func append(
      seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
    ) -> Int { .max }
    var durable: Int64 { seq.load(ordering: .acquiring) }
    func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { listener.withLock { $0 = body } }
    func flush() {}
    func sync(to seq: Int64) {
      self.seq.store(seq, ordering: .releasing)
      listener.withLock { $0 }?(seq)
    }
  }

  private func coordinator(
    _ backends: KeyValuePairs<String, Recorder>, log: (any CommitLog)? = nil
  ) throws -> CommitCoordinator {
    let coordinator = CommitCoordinator(inOrder, log: log)
    for (name, backend) in backends { try coordinator.register(VersionedStore(name, backend: backend)) }
    return coordinator
  }

  @Test func everyCommitOnceInOrder() async throws {
    let backend = Recorder(["old": 1])
    let coordinator = try coordinator(["a": backend])
    let queue = TriggerQueue(coordinator)
    queue.start()
    for n in 1...200 {
      try await queue.enqueue(
        Put(store: n % 3 == 0 ? "b" : "a", changes: ["z": .int(Int64(n)), "k\(n % 7)": nil, "z": "last"]))
    }
    await queue.waitUntilIdle()
    await queue.stop()
    let state = backend.state.withLock { $0 }
    #expect(state.calls.map(\.seq) == (1...200).filter { $0 % 3 != 0 }.map(Int64.init))
    for call in state.calls {
      #expect(call.changes.map(\.key) == ["k\(call.seq % 7)", "z"], "one change per key, in byte order")
      #expect(call.changes.map(\.value) == [nil, "last"])
    }
    #expect(state.content == ["old": 1, "z": "last"])
    #expect(state.replacements == [])
  }

  @Test func aStoreRegisteredWhenTheEngineRuns() async throws {
    let coordinator = try coordinator([:])
    let queue = TriggerQueue(coordinator)
    queue.start()
    let backend = Recorder()
    try coordinator.register(VersionedStore("a", backend: backend))
    for n in 1...5 { _ = try await queue.perform(Put(store: "a", changes: ["k": .int(Int64(n))])) }
    await queue.stop()
    #expect(backend.state.withLock { $0.calls.map(\.seq) } == [1, 2, 3, 4, 5])
  }

  @Test func nothingBeforeItIsDurable() async throws {
    let (backend, log) = (Recorder(), SlowLog())
    let coordinator = try coordinator(["a": backend], log: log)
    let queue = TriggerQueue(coordinator)
    queue.start()
    for n in 1...10 { try await queue.enqueue(Put(store: "a", changes: ["k": .int(Int64(n))])) }
    try await wait(for: "ten commits") { await coordinator.waitUntil { $0.currentSeq == 10 } }
    #expect(coordinator.stats.backends["a"]?.seq == 0)
    log.sync(to: 4)
    try await poll(for: "the durable ones") { coordinator.stats.backends["a"]!.seq >= 4 }
    #expect(backend.state.withLock { $0.calls.map(\.seq) } == [1, 2, 3, 4])
    log.sync(to: 7)
    await queue.stop()
    #expect(backend.state.withLock { $0.calls.map(\.seq) } == [1, 2, 3, 4, 5, 6, 7])
  }

  @Test func aSlowBackendDelaysNobody() async throws {
    let (slow, quick) = (Recorder(), Recorder())
    let coordinator = try coordinator(["slow": slow, "quick": quick])
    let queue = TriggerQueue(coordinator)
    queue.start()
    slow.close()
    _ = try await queue.perform(Put(store: "slow", changes: ["k": 0]))
    slow.waitUntilInside()
    for n in 1...50 {
      _ = try await queue.perform(Put(store: n % 2 == 0 ? "slow" : "quick", changes: ["k": .int(Int64(n))]))
    }
    try await poll(for: "the quick one") { coordinator.stats.backends["quick"]!.seq >= 50 }
    #expect(slow.state.withLock { $0.calls.count } == 0)
    slow.open()
    await queue.stop()
    let expected: [Int64] = [1] + (1...25).map { $0 * 2 + 1 }
    #expect(slow.state.withLock { $0.calls.map(\.seq) } == expected)
  }

  /// Beyond the bounds: one change per key, then the whole store. What comes out is the same.
  @Test(arguments: [(bytes: 4096, commits: 600, replaced: 0), (bytes: 1 << 17, commits: 400, replaced: 1)])
  func whatWaitsIsBounded(bytes: Int, commits: Int, replaced: Int) async throws {
    let backend = Recorder(["gone": 1])
    let coordinator = try coordinator(["a": backend])
    let queue = TriggerQueue(coordinator)
    queue.start()
    backend.close()
    _ = try await queue.perform(Put(store: "a", changes: ["gone": nil]))
    backend.waitUntilInside()
    let filler = Value.string(String(repeating: "x", count: bytes))
    for n in 1...commits {
      try await queue.enqueue(Put(store: "a", changes: ["k\(n % 10)": ["n": .int(Int64(n)), "x": filler]]))
    }
    await queue.waitUntilIdle()
    backend.open()
    await queue.stop()
    let state = backend.state.withLock { $0 }
    #expect(state.replacements.count == replaced)
    #expect(state.calls.count < 10, "\(state.calls.count) calls")
    #expect(state.content == (try coordinator.store("a").readSnapshot().value))
    #expect(state.content.count == 10)
  }

  @Test func whatRecoveryFoundIsTold() async throws {
    let log = MemoryCommitLog()
    let first = try coordinator(["a": Recorder(["gone": 1, "stays": 2])], log: log)
    let queue = TriggerQueue(first)
    queue.start()
    _ = try await queue.perform(Put(store: "a", changes: ["gone": nil, "new": 3]))
    await queue.stop()

    struct Model: Codable, Sendable, Equatable { var gone, new: Int?, stays: Int }
    let backend = Recorder(["gone": 1, "stays": 2])
    let model = try CodableStoreBackend(Model(gone: 1, new: nil, stays: 2))
    for again in [true, false] {
      let second = CommitCoordinator(EngineConfiguration(workers: 1))
      if again {
        try second.register(VersionedStore("a", backend: backend))
      } else {
        try second.register(VersionedStore("a", backend: model))
      }
      try second.recover { recovery in for record in log.all { try recovery.apply(record) } }
      let queue = TriggerQueue(second)
      queue.start()
      await queue.stop()
    }
    #expect(backend.state.withLock { $0.content } == ["stays": 2, "new": 3])
    #expect(backend.state.withLock { $0.replacements } == [1])
    #expect(model.model == Model(gone: nil, new: 3, stays: 2))
  }

  /// The default tells as changes what differs from `load`.
  @Test func replaceByDefault() {
    struct Plain: StoreBackend {
      let told: @Sendable (Int64, [StoreChange]) -> Void
      func load() -> Value.Map { ["a": 1, "b": 2] }
      func apply(seq: Int64, _ changes: [StoreChange]) { told(seq, changes) }
      func content(of values: Value.Map) -> Value.Map { values }
      func values(of content: Value.Map) -> Value.Map { content }
    }
    let told = Mutex<[StoreChange]>([])
    Plain { _, changes in told.withLock { $0 = changes } }.replace(seq: 5, with: ["b": 3, "c": 4])
    let expected = [
      StoreChange(key: "a", value: nil), StoreChange(key: "b", value: 3), StoreChange(key: "c", value: 4),
    ]
    #expect(told.withLock { $0 } == expected)
  }
}

/// A backend that keeps a copy sees one consistent state after another.
@Suite struct FollowingTests {
  private final class Copy: FollowingStoreBackend {
    struct State {
      var content: Value.Map = [:]
      var seq: Int64 = 0
      /// What it was at each seq it was at.
      var seen: [Int64: Value.Map] = [:]
      var isStuck = false
      var wholes = 0
      var calls = 0
      var faults: [String] = []
    }
    let state = Mutex(State())
    func load() -> Value.Map { [:] }
    func content(of values: Value.Map) -> Value.Map { values }
    func values(of content: Value.Map) -> Value.Map { content }

    func follow(_ view: StoreView) -> FollowStep {
      state.withLock { state in
        state.calls += 1
        if state.isStuck { return FollowStep(obstacle: "stuck") }
        if view.since != state.seq { state.faults.append("since \(view.since), was at \(state.seq)") }
        if let keys = view.changedKeys {
          for key in keys { state.content[String(decoding: key, as: UTF8.self)] = view.item(key)?.value }
        } else {
          state.wholes += 1
          state.content = [:]
          view.forEachKey { state.content[String(decoding: $0, as: UTF8.self)] = view.item($0)!.value }
        }
        state.seq = view.seq
        state.seen[view.seq] = state.content
        return FollowStep()
      }
    }
  }

  private struct Bump: Trigger {
    var n: Int
    func execute() async throws -> [CommitIntent] {
      let store = VersionedStore("a", backend: MemoryStoreBackend())
      return [
        store.put("k\(n % 50)", n % 7 == 0 ? nil : .int(Int64(n))), store.add("sum", .int(Int64(n))),
      ]
    }
  }

  /// At each seq that it reports, the copy is what the commits up to there make of an empty store.
  @Test func isConsistentAtEachStep() async throws {
    let (copy, log) = (Copy(), MemoryCommitLog())
    let coordinator = CommitCoordinator(inOrder, log: log)
    try coordinator.register(VersionedStore("a", backend: copy))
    let queue = TriggerQueue(coordinator)
    queue.start()
    for n in 1...2000 {
      try await queue.enqueue(Bump(n: n))
      if n % 500 == 200 {
        try await poll(for: "a step") { coordinator.stats.backends["a"]!.seq > n - 100 }
      }
      if n % 500 == 250 { copy.state.withLock { $0.isStuck = true } }
      if n % 500 == 400 {
        try await poll(for: "the obstacle") { coordinator.stats.backends["a"]!.stuckSince != nil }
        copy.state.withLock { $0.isStuck = false }
      }
    }
    await queue.waitUntilIdle()
    await queue.stop()
    let seen = copy.state.withLock { $0.seen }
    #expect(copy.state.withLock { $0.faults } == [])
    #expect(seen.keys.max() == 2000 && seen.count > 5, "\(seen.keys.sorted())")
    let replayer = Replayer()
    for record in log.all {
      try replayer.apply(record)
      if let content = seen[record.seq] {
        #expect(try replayer.content(of: "a") == content, "seq \(record.seq)")
      }
    }
  }

  /// More keys than may wait: the next view that succeeds is compared as a whole, and only that one.
  @Test func tooManyKeysMakeItCompareEverything() throws {
    let table = StoreTable(name: "a")
    let (registry, reclaimer, copy) = (SnapshotRegistry(capacity: 4), Reclaimer(), Copy())
    let slot = try #require(registry.takeSlot())
    let work = FollowingWork(copy, table, registry, slot, keyLimit: 20)
    table.follower = work.notes
    work.begin(after: 0)
    var seq: Int64 = 0
    func commit(_ keys: Range<Int>) {
      seq += 1
      for key in keys {
        let bytes = Array("k\(key)".utf8)
        bytes.withUnsafeBufferPointer { bytes in
          let hash = KeyHash.of(bytes.baseAddress!, count: bytes.count)
          let entry = table.makeEntry(bytes.baseAddress!, bytes.count, hash: hash, reclaim: reclaimer)
          let version = CanonicalEncoding.encode(.int(seq)).withUnsafeBytes {
            Version.make($0.baseAddress, count: $0.count)
          }
          table.put(
            version, content: Version.content(version, of: bytes), to: entry, seq: seq, reclaim: reclaimer)
        }
      }
    }
    commit(0..<10)
    registry.visible.store(seq, ordering: .releasing)
    #expect(work.step(isLast: false).obstacle == nil)
    #expect(copy.state.withLock { $0.content.count } == 10)
    copy.state.withLock { $0.isStuck = true }
    for first in stride(from: 10, to: 100, by: 10) {
      commit(first..<first + 10)
      registry.visible.store(seq, ordering: .releasing)
      #expect(work.step(isLast: false).obstacle == "stuck")
    }
    #expect(work.stats.waiting == nil)
    copy.state.withLock { $0.isStuck = false }
    #expect(work.step(isLast: false).obstacle == nil)
    #expect(copy.state.withLock { $0.content.count } == 100)
    #expect(work.stats == BackendStats(seq: seq, waiting: 0))
    commit(0..<1)
    registry.visible.store(seq, ordering: .releasing)
    #expect(work.step(isLast: false).obstacle == nil)
    #expect(copy.state.withLock { $0.content["k0"] } == .int(seq))
    #expect(copy.state.withLock { $0.wholes } == 1)
    #expect(copy.state.withLock { $0.faults } == [])
  }
}
