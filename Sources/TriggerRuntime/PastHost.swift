import TriggerCore
import TriggerHost

/// What a host had become by some seq, to be looked at, and to try things on; while a host runs, too. Nothing is written,
/// no epoch begins, and it never starts.
package struct PastHost {
  /// Stores, and what is known of seqs.
  package let coordinator: CommitCoordinator
  /// How far it got, and what was left to do then.
  package let recovery: Recovery

  /// The state right after a seq.
  ///
  /// - Parameters:
  ///   - log: nil: nothing has happened yet.
  ///   - last: that seq; nil: the newest.
  ///   - stores: content before the first commit, by store and key.
  ///   - configuration: nothing is executed in it.
  /// - Throws: `LogError` when what is needed is damaged, or not kept any more; `StoreError` for a content that cannot be.
  package init(
    _ log: LogReader?, to last: Int64? = nil, stores: [String: Value.Map] = [:],
    _ configuration: EngineConfiguration = EngineConfiguration(workers: 1)
  ) throws {
    try self.init(stores, configuration) { try log?.replay(into: $0, to: last ?? .max, $0.apply) }
  }

  /// As a host has recovered that is about to start: with keys of senders, and events that wait.
  ///
  /// - Throws: `LogError`.
  package init(recovering log: LogReader) throws {
    try self.init([:], EngineConfiguration(workers: 1)) { try log.recover($0) }
  }

  private init(
    _ stores: [String: Value.Map], _ configuration: EngineConfiguration, _ recover: (Recovery) throws -> Void
  ) throws {
    coordinator = CommitCoordinator(configuration)
    for (name, content) in stores {
      try coordinator.register(VersionedStore(name, backend: MemoryStoreBackend(content)))
    }
    recovery = try coordinator.recover { recovery in
      // History has written stores that a configuration of now need not know.
      recovery.declaresStores = true
      try recover(recovery)
    }
  }
}
