import TriggerCore
import TriggerHost

/// The state that a log leaves, rebuilt one record after another. Executes recorded operations again, and
/// others, on the state before or after them. One thread: the one that made it.
///
/// Replay without execution spends its time on decoding records (`LogRecord`); applying one costs about
/// half of that.
public final class Replayer {
  /// A seq whose execution does not give what the log says.
  public struct Difference: Sendable, Hashable, CustomStringConvertible {
    /// The seq.
    public var seq: Int64
    /// Its trigger.
    public var trigger: String
    /// What differs: logged, and now.
    public var reason: String

    /// `seq 7 rsi: what differs`.
    public var description: String { "seq \(seq) \(trigger): \(reason)" }
  }

  let configuration: EngineConfiguration
  let state: ReplayState
  let scripts: RecordedScripts
  let guardian = AttemptGuard()
  private let batch = RecordBatch()
  private lazy var check = RecordCheck(
    stores: state.stores, configuration: configuration, guardian: guardian)

  /// - Parameters:
  ///   - stores: content before the first commit.
  ///   - configuration: limits and seed as they were.
  ///   - scripts: the tree of a number, nil when it is not known; asked again when many others came between.
  public init(
    stores: [String: Value.Map] = [:], configuration: EngineConfiguration = EngineConfiguration(),
    scripts: @escaping (_ tree: Int) throws -> ScriptTree? = { _ in nil }
  ) {
    self.configuration = configuration
    state = ReplayState(configuration: configuration)
    state.fill(stores)
    self.scripts = RecordedScripts(seed: configuration.seed, scripts)
  }

  /// On the state of a host that was recovered, and never starts.
  ///
  /// - Parameter configuration: the coordinator's.
  package init(
    _ coordinator: CommitCoordinator, _ recovery: Recovery, configuration: EngineConfiguration,
    scripts: @escaping (_ tree: Int) throws -> ScriptTree? = { _ in nil }
  ) {
    self.configuration = configuration
    state = ReplayState(coordinator, recovery)
    self.scripts = RecordedScripts(seed: configuration.seed, scripts)
  }

  /// For who brings the state to where a checkpoint ends.
  package var recovery: Recovery { state.recovery }

  /// The newest seq applied.
  public var seq: Int64 { state.seq }

  /// The stores that have ever been written, by name.
  public var storeNames: [String] { state.stores.existing.filter { !$0.isInternal }.map(\.name) }

  /// What every store holds as of `seq`, in 64 bits each: of two logs, stores with equal digests are equal. O(stores).
  public var digests: StateDigests {
    StateDigests(seq: seq, stores: state.stores.digests().filter { !StoreTable.isInternal($0.name) })
  }

  /// Compares all stores with what a checkpoint of this seq says of them.
  package func check(_ kept: StateDigests) throws(StateDamage) { try state.stores.check(kept, isWhole: true) }

  /// The content of a store as of `seq`. O(keys).
  ///
  /// - Throws: what `visit` throws.
  public func content(of store: String) throws -> Value.Map {
    var content: Value.Map = [:]
    try visit(store) { key, value, _ in content[key] = value }
    return content
  }

  /// The value at a key as of `seq`, nil when there is none. O(1).
  ///
  /// - Throws: `ValueError` when the stored value is damaged.
  public func value(_ store: String, _ key: String) throws -> Value? {
    guard let table = state.stores.existing.first(where: { $0.name == store }) else { return nil }
    return try state.value(Array(key.utf8), in: table).map { try CanonicalEncoding.decode($0.bytes) }
  }

  /// A store's keys as of `seq` in byte order, with the seq that wrote each. O(keys); nothing for an unknown
  /// store.
  ///
  /// - Throws: what `body` throws; `ValueError` when a stored value is damaged.
  public func visit(
    _ store: String, _ body: (_ key: String, _ value: Value, _ version: Int64) throws -> Void
  ) throws {
    guard let table = state.stores.existing.first(where: { $0.name == store }) else { return }
    try state.visit(table) { key, value, version in
      try body(String(decoding: key, as: UTF8.self), try CanonicalEncoding.decode(value), version)
    }
  }

  /// Applies the next record.
  ///
  /// - Throws: `LogDamage` when the record does not follow the one before, or cannot be applied.
  public func apply(_ record: LogRecord) throws { try record.withView { try apply($0) } }

  /// As above, without copying. O(bytes of the record).
  package func apply(_ record: RecordView) throws { try state.apply(record, reclaiming: true) }

  /// Executes the record's operation on the state before it, then applies the record. `Verification` does
  /// the same in parallel.
  ///
  /// Swift triggers, and executions that were ended from outside, are applied only.
  ///
  /// - Parameter limit: what the execution may take; its trigger's time limit, when that is shorter. Without
  ///   one it may take much longer than the trigger's limit: the machine may be slower than it was, or busy.
  /// - Returns: how the execution differs from the record, nil when it does not. An execution that took all
  ///   of `limit` fails now.
  /// - Throws: `LogDamage`; what `scripts` throws.
  public func verify(_ record: LogRecord, within limit: Duration? = nil) throws -> Difference? {
    try record.withView { view in
      var difference: Difference?
      if RecordCheck.canExecute(view) {
        batch.removeAll()
        batch.add(view, try scripts.tree(view.tree).triggers[record.trigger])
        difference = check.difference(batch.items[0], of: batch, most: limit?.nanoseconds)
      }
      try apply(view)
      return difference
    }
  }
}

extension LogRecord {
  /// The record as a log has it. O(bytes).
  func withView<Result>(_ body: (RecordView) throws -> Result) throws -> Result {
    try encoded.withUnsafeBytes { bytes in
      var reader = CBORReader(bytes)
      return try body(try RecordView(&reader))
    }
  }
}
