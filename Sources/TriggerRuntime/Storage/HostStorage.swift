import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerSQLite

/// Where a host keeps what, and how safely.
package struct DataOptions {
  package var path: String
  package var durability: Durability
  /// Go on when commits that were there are missing.
  package var acceptsLoss = false

  package init(path: String, durability: Durability, acceptsLoss: Bool = false) {
    (self.path, self.durability, self.acceptsLoss) = (path, durability, acceptsLoss)
  }
}

/// A data directory that is open, and its log; not yet read.
package struct OpenDirectory {
  package let directory: DataDirectory
  let reader: LogReader
  package let log: DurableLog
  let epoch: Int64

  /// Opens an epoch.
  ///
  /// - Throws: `StorageError` when another host has it, or its format is newer.
  package init(
    _ options: DataOptions, seed: UInt64, retention: LogRetention, clock: EngineClock = EngineClock()
  ) throws {
    directory = try DataDirectory(path: options.path, clock: clock, acceptsLoss: options.acceptsLoss)
    epoch = try directory.beginEpoch(
      now: clock.now(), seed: seed, versions: EnvironmentVersions.text)
    reader = try LogReader(path: options.path)
    log = try DurableLog(
      directory, durability: options.durability, lastSeq: try reader.lastSeq(), retention: retention)
  }
}

/// What a host keeps on disk: the log, its checkpoints, and where feeds and schedules go on.
package final class HostStorage: Sendable {
  package let directory: DataDirectory
  package let log: DurableLog
  private let notices: Notices
  private let clock: EngineClock
  private let checkpointer: Checkpointer
  // Used while the host starts, and for scripts of operations that an earlier run has deferred.
  private nonisolated(unsafe) let reader: LogReader
  /// As of the last stop.
  package let progress: LogFold
  /// One line for who starts the host.
  let summary: String

  /// A final checkpoint is worth its time after so many commits.
  private static let commitsForLastCheckpoint = 20_000

  /// Recovers.
  ///
  /// - Throws: `LogError`, `StorageError`.
  package init(
    _ opened: OpenDirectory, _ coordinator: CommitCoordinator, _ settings: HostConfig.Log, _ notices: Notices,
    clock: EngineClock = EngineClock()
  ) throws {
    (self.notices, self.clock) = (notices, clock)
    directory = opened.directory
    log = opened.log
    let started = ContinuousClock.now
    let reader = opened.reader
    self.reader = reader
    let recovery = try coordinator.recover(scripts: { try reader.scripts($0) }) { try reader.recover($0) }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    let start = recovery.begin == 0 ? "the first record" : "the one before it, of seq \(recovery.begin),"
    for damage in reader.damaged {
      notices.warning(
        "\(directory.path): \(damage)\nNothing is lost: the host goes on from \(start) and the log, and writes a new checkpoint.",
        code: .damage)
    }
    let epoch = opened.epoch
    if let loss = directory.loss {
      notices.warning(
        "\(directory.path): \(loss). Going on without, as --accept-loss says; seqs are given out again, in epoch \(epoch).",
        code: .damage)
    }
    coordinator.open(epoch: epoch)
    var progress = recovery.fold
    // They are the checkpointer's.
    _ = progress.takeFinishedKeys()
    self.progress = progress
    checkpointer = try Checkpointer(
      log, coordinator, recovery: recovery, damaged: reader.damaged,
      retention: settings.retention,
      interval: settings.checkpoint)
    log.whenNoticed { [path = directory.path] in notices.warning("\(path): \($0)", code: .storage) }
    checkpointer.start { notices.problem("\($0)", code: .storage) }
    let left = recovery.fold.unfinished.count
    summary =
      recovery.lastSeq == 0
      ? "\(directory.path): new, epoch \(epoch)"
      : String(
        format: "%@: recovered up to seq %lld in %.2f s, %@ to go on with, epoch %lld", directory.path,
        recovery.lastSeq, seconds, counted(left, "operation"), epoch)
  }

  /// The scripts directory beside the tree that was in force when the last host ended.
  package func scripts(
    in directory: FileTree, _ problems: [FileProblem], defaults: TriggerOptions
  ) throws -> ScriptReload {
    let (last, waiting) = try log.withDirectory { (try $0.newestScripts(), try $0.waitingScripts()) }
    let tree = last.map { identity, files in
      var tree = ScriptTree(files: files, defaults: defaults)
      tree.identity = identity
      return tree
    }
    return ScriptReload(
      directory, after: tree, defaults: defaults, problems: problems, waiting: waiting)
  }

  /// Keeps the tree in force, and what waits beside it.
  ///
  /// - Parameter seq: the first that may use it, when no record will say so; 0 when one will.
  package func keep(_ reload: ScriptReload, seq: Int64 = 0) throws -> ScriptTree.Identity {
    let (now, files) = (clock.now(), reload.tree.files)
    let waiting = reload.held.compactMap { held in
      held.burst.map { ScriptReload.Waiting(path: held.path, burst: $0, content: held.content?.id) }
    }
    let (identity, damage) = try log.withDirectory { directory in
      defer { directory.treeDamage = nil }
      try directory.note(waiting: waiting)
      return (try directory.keep(files, now: now, seed: 0, seq: seq), directory.treeDamage)
    }
    if let damage {
      notices.warning(
        "\(directory.path): \(damage). The scripts of now are kept whole, as tree \(identity.number).",
        code: .damage)
    }
    return identity
  }

  /// Since when the job is known.
  func since(of job: ScheduledJob) throws -> Timestamp {
    let rule = "\(job.rule)"
    return Timestamp(nanoseconds: try log.withDirectory { try $0.since(ofSchedule: job.name, rule: rule) })
  }

  /// After the engine has stopped.
  package func close() {
    checkpointer.stop()
    if log.failure == nil, checkpointer.recordsSince >= Self.commitsForLastCheckpoint {
      do { try checkpointer.checkpoint() } catch {
        notices.problem("no checkpoint: \(error)", code: .storage)
      }
    }
    checkpointer.close()
    reader.close()
    log.close()
  }
}

extension HostConfig.Log {
  /// What `log.retain` says.
  package var retention: LogRetention { LogRetention(age: retainAge, bytes: retainBytes) }
}
