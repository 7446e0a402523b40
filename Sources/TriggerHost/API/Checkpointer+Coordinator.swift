extension Checkpointer {
  /// - Parameters:
  ///   - source: of the log, for the checkpointer alone.
  ///   - recovery: what `recover` gave.
  ///   - damaged: checkpoints that it passed over. A new one is due at once then.
  ///   - beside: bytes that the store takes beside what its source counts.
  ///   - interval: a checkpoint is due after it, when anything was committed.
  /// - Throws: what the source does when it cannot be read.
  package convenience init(
    _ log: GroupWriter, _ coordinator: CommitCoordinator, _ source: any LogSource, recovery: Recovery,
    damaged: [CheckpointDamage] = [], retention: LogRetention = LogRetention(), beside: Int = 0,
    interval: Duration = .seconds(300)
  ) throws {
    try self.init(
      log, coordinator.engine, source, recovery: recovery, damaged: damaged, retention: retention,
      beside: beside, interval: interval)
  }
}
