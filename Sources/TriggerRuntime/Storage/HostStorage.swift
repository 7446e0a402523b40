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
  /// Opens the log for another reader.
  package var source: @Sendable () throws -> any LogSource { reader.source.another }
  /// Script trees of earlier runs by their numbers; nil: those of the log.
  package var scripts: ((_ tree: Int) throws -> ScriptTree?)?

  /// Opens an epoch.
  ///
  /// - Throws: `StorageError` when another host has it, or its format is newer.
  package init(
    _ options: DataOptions, seed: UInt64, retention: LogRetention, clock: any EngineClock = SystemClock()
  ) throws {
    directory = try DataDirectory(path: options.path, clock: clock, acceptsLoss: options.acceptsLoss)
    epoch = try directory.beginEpoch(
      now: clock.now(), seed: seed, versions: EnvironmentVersions.text)
    reader = try LogReader(path: options.path)
    log = try DurableLog(
      directory, durability: options.durability, lastSeq: try reader.lastSeq(), retention: retention)
  }

  /// One whose log has no thread: who steps the host writes its groups.
  ///
  /// - Parameters:
  ///   - versions: what the epoch says of the machine; nil: the host goes on in the epoch before, which it must not.
  ///   - flushBytes: see `DurableLog`.
  /// - Throws: `StorageError`.
  package init(
    stepping directory: DataDirectory, seed: UInt64, versions: String?, durability: Durability,
    flushBytes: Int,
    clock: any EngineClock
  ) throws {
    self.directory = directory
    // With it, whatever a dead process has left in the system's cache is on the disk before anybody sees it.
    epoch = try versions.map { try directory.beginEpoch(now: clock.now(), seed: seed, versions: $0) } ?? 1
    reader = try LogReader(of: directory)
    log = try DurableLog(
      stepped: directory, durability: durability, lastSeq: try reader.lastSeq(), flushBytes: flushBytes)
  }
}

/// What a host keeps on disk: the log, its checkpoints, and where feeds and schedules go on.
package final class HostStorage: Sendable {
  package let directory: DataDirectory
  package let log: DurableLog
  private let notices: Notices
  private let clock: any EngineClock
  private let checkpointer: Checkpointer
  // Used while the host starts, and for scripts of operations that an earlier run has deferred.
  private nonisolated(unsafe) let reader: LogReader
  /// As of the last stop.
  package let progress: LogFold
  /// What comes next then.
  var firstSeq: Int64 { progress.lastSeq + 1 }
  /// One line for who starts the host.
  let summary: String

  /// A final checkpoint is worth its time after so many commits.
  private static let commitsForLastCheckpoint = 20_000

  /// Recovers.
  ///
  /// - Throws: `LogError`, `StorageError`.
  init(_ opened: OpenDirectory, for parts: HostParts) throws {
    let (coordinator, settings, notices) = (parts.coordinator, parts.config.log, parts.notices)
    (self.notices, clock) = (notices, parts.options.clock)
    directory = opened.directory
    log = opened.log
    let started = ContinuousClock.now
    let reader = opened.reader
    self.reader = reader
    let recovery = try coordinator.recover(scripts: opened.scripts ?? { try reader.scripts($0) }) {
      try reader.recover($0)
    }
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
    if !parts.isStepped { checkpointer.start { notices.problem("\($0)", code: .storage) } }
    let left = recovery.fold.unfinished.count
    summary =
      recovery.lastSeq > 0
      ? String(
        format: "%@: recovered up to seq %lld in %.2f s, %@ to go on with, epoch %lld", directory.path,
        recovery.lastSeq, seconds, counted(left, "operation"), epoch)
      : Self.summaryOfNothing(directory.path, epoch, left: left)
  }

  /// An earlier host may have taken events, and ended before any of them had a seq.
  private static func summaryOfNothing(_ path: String, _ epoch: Int64, left: Int) -> String {
    let state = epoch == 1 ? "new" : "nothing is committed yet"
    return
      "\(path): \(state)\(left == 0 ? "" : ", \(counted(left, "operation")) to go on with"), epoch \(epoch)"
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
    let waiting = reload.held.compactMap { held in
      held.burst.map { ScriptReload.Waiting(path: held.path, burst: $0, content: held.content?.id) }
    }
    return try keep(reload.tree, waiting: waiting, seq: seq)
  }

  /// Keeps a tree that no directory has: nothing waits beside it.
  func keep(
    _ tree: ScriptTree, waiting: [ScriptReload.Waiting] = [], seq: Int64
  ) throws -> ScriptTree.Identity {
    let (now, files) = (clock.now(), tree.files)
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

  /// The records that the log has, in order.
  func visit(_ body: (LogRecord) throws -> Void) throws { try reader.visit(body) }

  /// Takes a checkpoint now.
  func checkpoint() throws { try checkpointer.checkpoint() }

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
