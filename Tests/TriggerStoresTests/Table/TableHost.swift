import Foundation
import Synchronization
import Testing
import TriggerCore
import TriggerHost

import TriggerSQLite
import TriggerStores

/// Something that grows, and those who wait for it to be far enough. Any thread.
final class Signal<State: Sendable>: Sendable {
  private struct Waiter {
    var isEnough: @Sendable (State) -> Bool
    var continuation: CheckedContinuation<Void, Never>
  }
  private let inner: Mutex<(state: State, waiting: [Waiter])>

  init(_ state: State) { inner = Mutex((state, [])) }

  var state: State { inner.withLock { $0.state } }

  func change(_ body: (inout State) -> Void) {
    let ready = inner.withLock { inner in
      body(&inner.state)
      let ready = inner.waiting.filter { $0.isEnough(inner.state) }
      inner.waiting.removeAll { $0.isEnough(inner.state) }
      return ready
    }
    for waiter in ready { waiter.continuation.resume() }
  }

  func wait(until isEnough: @escaping @Sendable (State) -> Bool) async {
    await withCheckedContinuation { continuation in
      let isThere = inner.withLock { inner in
        if isEnough(inner.state) { return true }
        inner.waiting.append(Waiter(isEnough: isEnough, continuation: continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }
}

/// What a table's backend has told. Any thread.
final class Notices: Sendable {
  private let all = Signal<[String]>([])
  func add(_ notice: DatabaseStoreBackend.Notice) {
    all.change { $0.append("\(notice.level): \(notice.description)") }
  }
  var texts: [String] { all.state }
  func count(_ part: String) -> Int { texts.count { $0.contains(part) } }
  func wait(for part: String) async { await all.wait { $0.contains { $0.contains(part) } } }
}

/// A database store whose progress can be waited for.
final class WatchedBackend: FollowingStoreBackend {
  let database: DatabaseStoreBackend
  /// The seq that was followed last, and how often something was in the way.
  let progress = Signal<(seq: Int64, obstacles: Int)>((-1, 0))

  init(_ database: DatabaseStoreBackend) { self.database = database }

  func follow(_ view: StoreView) -> FollowStep {
    let step = database.follow(view)
    progress.change { if step.obstacle == nil { $0.seq = view.seq } else { $0.obstacles += 1 } }
    return step
  }
  func load() -> Value.Map { database.load() }
  func content(of values: Value.Map) -> Value.Map { values }
  func values(of content: Value.Map) -> Value.Map { content }
}

/// A host on a data directory, with database stores; a Swift trigger writes what it is told.
final class TableHost {
  struct Write: Trigger {
    var store: String
    var changes: [String: Value?]
    func execute() async throws -> [CommitIntent] {
      let store = VersionedStore(self.store, backend: MemoryStoreBackend())
      return changes.sorted { $0.key < $1.key }.map { store.put($0.key, $0.value) }
    }
  }

  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  let log: DurableLog
  let notices = Notices()
  private var watched: [String: WatchedBackend] = [:]
  var backends: [String: DatabaseStoreBackend] { watched.mapValues(\.database) }
  private var isClosed = false

  init(
    _ path: String, _ tables: [DatabaseTable], durability: Durability = .group, starts: Bool = true
  ) throws {
    let directory = try DataDirectory(path: path)
    let history = try directory.history()
    for table in tables {
      watched[table.name] = WatchedBackend(
        try DatabaseStoreBackend(
          path: Self.file(path, table), store: table.name, table: table, history: history,
          notice: { [notices] in notices.add($0) }))
    }
    let reader = try LogReader(path: path)
    log = try DurableLog(directory, durability: durability, lastSeq: try reader.lastSeq())
    coordinator = CommitCoordinator(EngineConfiguration(workers: 2), log: log)
    for (name, backend) in watched { try coordinator.register(VersionedStore(name, backend: backend)) }
    try coordinator.recover { recovery in try reader.visit { try recovery.apply($0) } }
    queue = TriggerQueue(coordinator)
    if starts { queue.start() }
  }

  deinit { close() }

  static func file(_ path: String, _ table: DatabaseTable) -> String { "\(path)/stores/\(table.name).sqlite" }

  @discardableResult
  func write(_ store: String, _ changes: [String: Value?]) async throws -> Int64 {
    let result = try await queue.perform(Write(store: store, changes: changes))
    #expect(result.outcome == .committed, "\(result.error ?? "")")
    return result.seq
  }

  /// Returns when the table is at `seq` or later.
  func wait(_ store: String, for seq: Int64) async {
    await watched[store]!.progress.wait { $0.seq >= seq }
  }

  /// Returns when something keeps the table from following.
  func waitForObstacle(_ store: String) async { await watched[store]!.progress.wait { $0.obstacles > 0 } }

  func content(_ store: String) throws -> Value.Map {
    try coordinator.store(store).readSnapshot().value
  }

  func close() {
    if isClosed { return }
    isClosed = true
    queue.stop()
    log.close()
  }
}

extension DataDirectory {
  /// Opens an epoch.
  func history() throws -> LogHistory {
    LogHistory(log: logID, epoch: try beginEpoch(now: 0, seed: 0, versions: ""))
  }
}

/// A directory that goes with the value.
final class TemporaryDirectory: Sendable {
  let path = NSTemporaryDirectory() + "trigger-host-\(UUID().uuidString)"
  deinit { try? FileManager.default.removeItem(atPath: path) }
  /// The table's file.
  func file(_ table: DatabaseTable) -> String { TableHost.file(path, table) }
}
