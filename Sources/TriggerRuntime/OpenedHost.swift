import HostConfig
import TriggerCore
import TriggerHost
import TriggerSQLite

/// A host whose data directory is its own and whose stores are known. Nothing of its state is there yet, and nothing
/// runs: `recover` comes next.
///
/// ```swift
/// var options = HostOptions()
/// options.logger = Logger(label: "host")
/// let host = try await OpenedHost(HostPlaces(directory: "market"), options).recover().start()
/// ...
/// await host.stop()
/// ```
public struct OpenedHost: ~Copyable {
  /// What a host is made of, whatever stage it is in.
  struct Parts: Sendable {
    let config: HostConfig
    let options: HostOptions
    let notices: Notices
    let coordinator: CommitCoordinator
    let queue: TriggerQueue
    let files: FileStores
    /// Ends what waits for the end of a host, with the reason when the log has failed.
    let failure: HostFailure
    /// Reads the configuration anew, for schedules that are saved while the host runs.
    let reading: @Sendable () -> HostConfig.Loaded?
  }

  private let parts: Parts
  private let directory: OpenDirectory?

  /// Reads the configuration and opens what it names. What is wrong with it is said.
  ///
  /// - Throws: `HostNotReady` when the configuration has mistakes, or nothing is where it should be; `StorageError` when
  ///   another host has the data directory, or it cannot be used.
  public init(_ places: HostPlaces, _ options: HostOptions = HostOptions()) throws {
    let notices = options.notices
    guard let loaded = places.load() else {
      notices.problem("there is neither a host.yaml nor a directory of scripts to run")
      throw HostNotReady()
    }
    try notices.report(loaded.report)
    try notices.report(ConfigReport(loaded.config.overlaps(data: options.place(loaded.config)?.path)))
    try self.init(loaded.config, options, reading: { places.load() })
  }

  /// Opens what a configuration without mistakes names.
  ///
  /// - Parameter reading: reads it anew.
  package init(
    _ config: HostConfig, _ options: HostOptions,
    reading: @escaping @Sendable () -> HostConfig.Loaded? = { nil }
  ) throws {
    let configuration = try EngineConfiguration(config, workers: options.workers)
    let directory = try options.place(config).map {
      try OpenDirectory(
        $0, seed: configuration.seed, retention: config.log.retention, clock: options.clock)
    }
    let notices = options.notices
    let coordinator = CommitCoordinator(configuration, clock: options.clock, log: directory?.log)
    let files = try coordinator.register(config, following: directory, notices)
    self.init(
      Parts(
        config: config, options: options, notices: notices, coordinator: coordinator,
        queue: TriggerQueue(coordinator), files: files, failure: HostFailure(), reading: reading),
      directory)
  }

  /// A host of what a program has at hand: no configuration, no files.
  ///
  /// - Parameters:
  ///   - log: gets every decided seq; nil: nothing is kept. What is in it already is not read.
  ///   - options: those that say where something is kept mean nothing here.
  public init(
    _ configuration: EngineConfiguration, log: (any CommitLog)? = nil, _ options: HostOptions = HostOptions()
  ) {
    let notices = options.notices
    let coordinator = CommitCoordinator(configuration, clock: options.clock, log: log)
    self.init(
      Parts(
        config: HostConfig(file: HostConfig.ofCommandLine), options: options, notices: notices,
        coordinator: coordinator, queue: TriggerQueue(coordinator), files: FileStores([], notices),
        failure: HostFailure(), reading: { nil }),
      nil)
  }

  private init(_ parts: Parts, _ directory: OpenDirectory?) {
    self.parts = parts
    self.directory = directory
    parts.observe(directory?.directory)
  }

  /// Makes a store known, beside those of the configuration.
  ///
  /// - Throws: like `CommitCoordinator.register`.
  @discardableResult
  public func register<Backend>(_ store: VersionedStore<Backend>) throws -> VersionedStore<Backend> {
    try parts.coordinator.register(store)
  }

  /// Brings the state back that the data directory holds, and finds what was admitted and not decided.
  ///
  /// - Throws: `LogError`, `StorageError` when it cannot be read.
  public consuming func recover() throws -> RecoveredHost {
    let storage = try directory.map {
      try HostStorage($0, parts.coordinator, parts.config.log, parts.notices, clock: parts.options.clock)
    }
    if let storage { parts.notices.say(.info, "\(storage.summary)", code: .recovered) }
    return RecoveredHost(parts, storage)
  }
}

extension OpenedHost.Parts {
  /// What of the engine is said from the beginning.
  fileprivate func observe(_ directory: DataDirectory?) {
    coordinator.whenFailed { [notices, failure] message in
      // Nothing unwritten has been acknowledged; going on would only pile up work that cannot count.
      notices.problem(
        directory?.isGone == true
          ? "\(message). Stopping: nothing more could be kept. What was acknowledged is where the directory is now."
          : "the log cannot be written: \(message)\nNothing acknowledged is lost. Stopping; start again when the disk is well.",
        code: .logFailed)
      failure.come(message)
    }
    coordinator.whenClockSteps { [notices] in
      notices.warning(
        "\($0); spans go on as they were, what happens at wall times goes by the new one", code: .clock)
    }
    coordinator.whenStuck { [notices] notice in
      if case .lifted = notice {
        notices.say(.info, "\(notice)", code: .stuck)
      } else {
        notices.problem("\(notice)", code: .stuck)
      }
    }
  }
}
