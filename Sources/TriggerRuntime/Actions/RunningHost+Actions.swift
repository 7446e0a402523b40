import HostConfig
import TriggerHost

extension RunningHost {
  /// Puts operations that failed for good back, or lets them go: all or none; durable when this returns. Those put back
  /// run at once, with the scripts that are in force. Blocks for the time that the disk takes; not on a thread of the
  /// cooperative pool.
  ///
  /// - Parameter reader: of this host's log.
  /// - Returns: their records.
  /// - Throws: `NotDead`; `LogError`; `LogFailure`; `QueueStopped`.
  package func settle(
    _ selection: DeadSelection, as action: DeadMark, _ reader: LogReader
  ) throws -> [LogRecord] {
    guard let log, !queue.isStopped else { throw QueueStopped(wasTaken: false) }
    return try settling.withLock { _ in
      try DeadLetters(reader).settle(selection, as: action, time: clock.now()) { group in
        try log.writer.perform(group)
        // Had the process died before this, the next start would have found them.
        queue.admit(requeuedBy: group)
      }
    }
  }

  /// What has to be done to go back to a script tree, in this host's scripts directory.
  ///
  /// - Returns: nil when there is no such tree.
  /// - Throws: `LogError`.
  package func rollback(to number: Int, _ reader: LogReader) throws -> ScriptRollback? {
    try ScriptRollback(to: number, of: reader, in: config.scripts.resolved)
  }

  /// Takes up what a rollback has written when nobody follows the directory.
  package func takeUpScripts() { if config.reload.watch == .off { reload() } }
}
