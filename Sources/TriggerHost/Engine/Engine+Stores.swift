import Glibc
import TriggerCore

extension EngineConfiguration {
  /// One worker per core.
  public init() { self.init(workers: max(1, min(64, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))) }

  var orderLimits: CommitOrder<Operation>.Limits {
    CommitOrder<Operation>.Limits(
      grace: grace.nanoseconds, hold: hold.nanoseconds, defers: !strictOrder)
  }
}

extension Engine {
  /// Runs `body` as of the execution's snapshot, or of the newest commit outside of one.
  ///
  /// - Parameter body: gets the attempt whose read set grows, nil outside of one.
  func reading<Result>(
    _ body: (_ snapshot: Int64, _ attempt: Attempt?) throws -> Result
  ) throws -> Result {
    if let context = ExecutionContext.current { return try context.read { try body($0.snapshot, $0) } }
    guard let slot = registry.takeSlot() else {
      throw StoreError("too many readers at once: close some")
    }
    defer { registry.giveBack(slot) }
    return try body(registry.hold(slot), nil)
  }
}

extension Engine {
  /// What every store holds, in 64 bits each, as of the frontier; the host's own stores among them. Any thread;
  /// O(stores), under the engine's lock.
  func allDigests() -> StateDigests {
    withState { StateDigests(seq: $0.order.frontier, stores: stores.digests()) }
  }

  /// For a backend that reads its store when it is asked, in an execution or outside.
  func newestContent(of table: StoreTable) -> NewestContent {
    NewestContent { [self] known in
      guard let slot = registry.takeSlot() else { return nil }
      defer { registry.giveBack(slot) }
      let snapshot = registry.hold(slot)
      let seq = table.version(at: snapshot)
      return seq == known ? nil : (seq, table.content(at: snapshot))
    }
  }

  /// Brings the commits to the backend of a store.
  func attach(_ backend: any StoreBackend, to table: StoreTable) throws {
    let line = try backends.add(backend, of: table)
    guard hasStarted else { return }
    let seq = withState { state in
      line.attach()
      return state.order.frontier
    }
    line.start(after: seq)
  }

  /// Puts a backend's content into a table, as of seq 0. Before the first commit.
  func fill(_ table: StoreTable, with values: Value.Map) {
    withState { state in
      for (key, value) in values.sorted(by: { $0.key < $1.key }) where !key.isEmpty {
        var key = key
        key.withUTF8 { key in
          CanonicalEncoding.encode(value).withUnsafeBytes {
            table.restore(key, $0, seq: 0, reclaim: state.reclaimer)
          }
        }
      }
    }
  }
}

extension StoreTable {
  /// All keys and values as of a seq. O(keys).
  func content(at seq: Int64) -> Value.Map {
    var values: Value.Map = [:]
    scan(prefix: UnsafeBufferPointer(start: nil, count: 0), at: seq) { entry, version in
      let key = Self.key(entry)
      values[key] = Self.value(version)
      return true
    }
    return values
  }

  static func key(_ entry: UnsafeMutablePointer<Entry>) -> String {
    String(
      decoding: UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength)),
      as: UTF8.self)
  }

  static func value(_ version: UnsafeMutablePointer<Version>) -> Value {
    let bytes = UnsafeRawBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length))
    guard let value = try? CanonicalEncoding.decode(bytes) else {
      preconditionFailure("a stored value is not in canonical encoding")
    }
    return value
  }
}
