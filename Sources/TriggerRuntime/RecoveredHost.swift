import TriggerCore
import TriggerHost

/// A host whose state is there and can be read. Nothing runs yet: `start` comes next.
public struct RecoveredHost: ~Copyable, Sendable {
  /// Tests put others in their place.
  var parts: HostParts
  private let storage: HostStorage?

  init(_ parts: HostParts, _ storage: HostStorage?) {
    self.parts = parts
    self.storage = storage
  }

  /// Stores, and what is known of seqs.
  public var coordinator: CommitCoordinator { parts.coordinator }

  /// Loads the scripts and starts everything: workers, stores that are directories, schedules. What is wrong with single
  /// scripts is said, the others run. Scripts and schedules that are saved from then on are put in force. Feeds are
  /// read by `RunningHost.run`.
  ///
  /// - Throws: `HostNotReady` when the scripts directory cannot be read; `FileProblem` for the directory of a store. The
  ///   host has stopped then.
  public consuming func start() async throws -> RunningHost {
    let host = RunningHost(parts, storage)
    do { try await host.start() } catch {
      await host.stop()
      throw error
    }
    return host
  }

  /// The scripts of a directory beside the tree that was in force when the last host ended.
  package func scripts(of directory: FileTree) throws -> ScriptReload {
    try HostScripts(parts, storage, nil).read(directory, [])
  }

  /// Starts with what a program has at hand: Swift triggers of the options, these scripts, these schedules beside those
  /// that the scripts ask for. No file is followed.
  ///
  /// - Parameter observer: gets what `TriggerQueue.observe` tells.
  /// - Throws: `ScheduleError` when two schedules have one name; nothing runs then.
  public consuming func start(
    scripts: ScriptTree?, schedules: [ScheduledJob] = [],
    observer: (@Sendable (OperationResult, [ExecutionLog]) -> Void)? = nil
  ) throws -> RunningHost {
    let host = RunningHost(parts, storage)
    try host.start(scripts, schedules, observer)
    return host
  }

  /// The records that the log has, in order.
  package func visitLog(_ body: (LogRecord) throws -> Void) throws { try storage?.visit(body) }

  /// Starts nothing: who gets it moves each part.
  package consuming func step() -> SteppedHost { SteppedHost(parts, storage) }

  /// The newest seq, and how many operations there are to go on with.
  package var leftovers: (lastSeq: Int64, unfinished: Int) {
    (storage?.progress.lastSeq ?? 0, storage?.progress.unfinished.count ?? 0)
  }

  /// Starts with these scripts alone, which are kept: nothing is followed, no schedule fires.
  package consuming func start(
    _ scripts: ScriptReload, observer: @escaping @Sendable (OperationResult, [ExecutionLog]) -> Void
  ) async throws -> RunningHost {
    let host = RunningHost(parts, storage)
    do { try await host.start(scripts, observer: observer) } catch {
      await host.stop()
      throw error
    }
    return host
  }
}
