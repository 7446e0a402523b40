import HostConfig
import TriggerCore
import TriggerHost
import TriggerSQLite

/// A host in which nothing runs by itself: it has neither threads nor timers, and its holder moves each part. Scripts,
/// schedules, log and checkpoints are those of every host. For simulation; one thread.
package final class SteppedHost {
  /// Stores, and what is known of seqs.
  package let coordinator: CommitCoordinator
  /// Where events come in.
  package let queue: TriggerQueue
  /// Who moves the clock calls `fireDue`.
  package var scheduler: TriggerScheduler { schedules.scheduler }
  private let scripts: HostScripts
  private let schedules: HostSchedules
  private let storage: HostStorage?

  init(_ parts: HostParts, _ storage: HostStorage?) {
    (coordinator, queue) = (parts.coordinator, parts.queue)
    schedules = HostSchedules(parts, storage)
    scripts = HostScripts(parts, storage, schedules)
    self.storage = storage
  }

  /// Puts the first scripts in force. Before `start`.
  ///
  /// - Returns: the tree, with its identity when it is kept.
  /// - Throws: what the disk says.
  package func begin(_ tree: ScriptTree) throws -> ScriptTree { try scripts.begin(tree) }

  /// Takes up what an earlier life has left, and starts the schedules. Once.
  ///
  /// - Parameter interruption: see `SteppedEngine`.
  /// - Throws: `ScheduleError` when two jobs have one name; what the disk says.
  package func start(
    _ jobs: [ScheduledJob], interruption: (@Sendable (_ worker: Int) -> Void)?
  ) throws -> SteppedEngine {
    try schedules.begin(jobs, nil)
    let engine = SteppedEngine(queue, interruption: interruption)
    schedules.start()
    return engine
  }

  /// Keeps scripts that are to come into force: the first half of what `HostScripts.replace` does.
  ///
  /// - Returns: the tree, with its identity when it is kept.
  /// - Throws: what the disk says.
  package func keep(_ tree: ScriptTree) throws -> ScriptTree { try scripts.keep(tree) }

  /// Takes a checkpoint; nothing happens when nothing is kept.
  ///
  /// - Throws: what the disk says.
  package func checkpoint() throws { try storage?.checkpoint() }
}
