import TriggerCore
import TriggerHost

/// All stores as of one seq, for tools to look at: plain values, no engine.
package struct Snapshot: Sendable {
  package struct Store: Sendable {
    /// The seq of the last commit that changed it.
    package var version: Int64
    package var content: Value.Map

    package init(version: Int64, content: Value.Map) {
      self.version = version
      self.content = content
    }
  }

  /// The newest seq that is in it; 0: nothing has happened yet.
  package var seq: Int64
  /// Nanoseconds since 1970: when the operation of that seq was admitted, or now.
  package var time: Int64
  package var stores: [String: Store]

  package init(seq: Int64, time: Int64, stores: [String: Store]) {
    self.seq = seq
    self.time = time
    self.stores = stores
  }

  /// What a coordinator's stores hold.
  ///
  /// - Throws: what reading a store throws.
  package init(_ coordinator: CommitCoordinator, seq: Int64, time: Int64) throws {
    self.init(seq: seq, time: time, stores: [:])
    for name in coordinator.storeNames {
      let (version, content) = try coordinator.store(name).readSnapshot()
      stores[name] = Store(version: version, content: content)
    }
  }
}
