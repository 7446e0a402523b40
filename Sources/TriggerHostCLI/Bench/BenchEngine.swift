import Foundation
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// A fresh engine with one store and the scripts of one measurement. Stop it when done.
struct BenchEngine: Sendable {
  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  private let host: RunningHost
  fileprivate static let store = "bench"
  private let firstError = FirstError()
  let disk: BenchDisk?

  /// The scripts, with an identity when they are kept.
  let tree: ScriptTree

  /// - Parameter scripts: file name to Lua source.
  init(_ settings: BenchSettings, scripts: [String: String]) throws {
    var configuration = EngineConfiguration(workers: settings.workers)
    configuration.lockMeter = CLOCK_MONOTONIC
    disk = settings.durability == .memory ? nil : try BenchDisk(settings.durability)
    let opened = OpenedHost(configuration, log: disk?.log)
    if settings.keepsTable, let disk {
      try opened.register(VersionedStore(Self.store, backend: try disk.table(Self.store)))
    } else {
      try opened.register(VersionedStore(Self.store, backend: MemoryStoreBackend()))
    }
    var tree = ScriptTree(files: scripts.mapValues { Array($0.utf8) })
    if let problem = tree.problems.first { throw problem }
    tree.identity = try disk?.keep(tree.files)
    self.tree = tree
    host = try opened.recover().start(scripts: tree) { [firstError] result, _ in
      firstError.keep(result.error)
    }
    (coordinator, queue) = (host.coordinator, host.queue)
  }

  func stop() {
    host.stopAndWait(within: .zero)
    disk?.remove()
  }

  /// Puts the initial record at each key, a thousand a commit, so that nothing else holds them.
  func fill(_ operation: StandardOperation, keys: Int) async throws {
    for first in stride(from: 0, to: keys, by: 1000) {
      let part = Fill(operation: operation, keys: first..<min(keys, first + 1000))
      let result = try await queue.perform(part, priority: .low)
      if result.outcome != .committed {
        throw BenchFailure(error: "loading keys \(result.outcome): \(result.error ?? "no message")")
      }
    }
  }

  /// Runs some operations that no figure counts: under a priority of their own, since the engine keeps its
  /// latencies by priority.
  func warmUp(_ producer: Producer, _ count: Int, priority: Priority = .low) async throws {
    _ = try await producer.send(count, to: queue, priority: priority)
    try await waitUntilIdle()
  }

  /// Returns when everything is decided; throws when for 30 s nothing was.
  func waitUntilIdle() async throws {
    let guarding = Task {
      var last = decided
      while true {
        do { try await Task.sleep(for: .seconds(30)) } catch { return false }
        let now = decided
        if now == last {
          await queue.stop()  // lets `waitUntilIdle` return
          return true
        }
        last = now
      }
    }
    await queue.waitUntilIdle()
    guarding.cancel()
    if await guarding.value { throw BenchFailure(error: "no operation ended for 30 s") }
  }

  private var decided: Int64 { coordinator.stats.currentSeq }

  /// Returns when the store's table has all commits; throws when it does not in 30 s.
  func waitForTable() async throws {
    let seq = decided
    for _ in 0..<30_000 {
      if let table = coordinator.stats.backends[Self.store], table.seq >= seq { return }
      try await Task.sleep(for: .milliseconds(1))
    }
    throw BenchFailure(error: "the table is 30 s behind")
  }

  /// - Throws: when not exactly `operations` committed between `before` and `stats`, or any failed.
  func check(_ operations: Int, from before: EngineStats, to stats: EngineStats) throws {
    try checkNoneFailed(from: before, to: stats)
    let committed = stats.committed - before.committed
    if committed != operations {
      throw BenchFailure(error: "\(committed) of \(operations) operations committed, none failed")
    }
  }

  /// - Throws: with the first error when anything failed between `before` and `stats`.
  func checkNoneFailed(from before: EngineStats, to stats: EngineStats) throws {
    let failed = stats.failed - before.failed
    if failed > 0 {
      throw BenchFailure(error: "\(failed) operations failed, the first: \(firstError.text ?? "no message")")
    }
  }
}

/// First line of the first error that an operation ended with. Any thread.
private final class FirstError: Sendable {
  private let kept = Mutex<String?>(nil)

  var text: String? { kept.withLock { $0 } }

  func keep(_ error: String?) {
    guard let line = error?.split(separator: "\n").first else { return }
    kept.withLock { if $0 == nil { $0 = String(line) } }
  }
}

private struct Fill: Trigger {
  let operation: StandardOperation
  let keys: Range<Int>

  func execute() async throws -> [CommitIntent] {
    // Not the registered store: the engine keeps its triggers, and that store keeps its engine.
    let store = VersionedStore(BenchEngine.store, backend: MemoryStoreBackend())
    return keys.map { store.put("k\($0)", operation.initial($0)) }
  }
}
