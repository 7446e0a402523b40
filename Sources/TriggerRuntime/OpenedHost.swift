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
  private let parts: HostParts
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
    if let conversion = directory?.directory.conversion { notices.warning("\(conversion)", code: .converted) }
    let log = directory.map { HostLog($0) } ?? Self.memoryLog(options)
    let coordinator = CommitCoordinator(
      configuration, clock: options.clock, log: directory?.log ?? log?.writer)
    let files = try coordinator.register(config, following: directory, notices)
    self.init(
      HostParts(
        config: config, options: options, notices: notices, coordinator: coordinator,
        queue: TriggerQueue(coordinator), files: files, endSignal: EndSignal(), reading: reading,
        log: log),
      directory)
  }

  /// A host of what a program has at hand: no configuration, no files.
  ///
  /// - Parameters:
  ///   - log: gets every decided seq; nil: nothing is kept. What is in it already is not read.
  ///   - options: those that say where something is kept mean nothing here. Receivers of effects need `log` to be nil.
  public init(
    _ configuration: EngineConfiguration, log: (any CommitLog)? = nil, _ options: HostOptions = HostOptions()
  ) {
    let notices = options.notices
    let memory = log == nil ? Self.memoryLog(options) : nil
    let coordinator = CommitCoordinator(configuration, clock: options.clock, log: log ?? memory?.writer)
    self.init(
      HostParts(
        config: HostConfig(file: HostConfig.ofCommandLine), options: options, notices: notices,
        coordinator: coordinator, queue: TriggerQueue(coordinator), files: FileStores([], notices),
        endSignal: EndSignal(), reading: { nil }, log: memory),
      nil)
  }

  /// What receivers and sessions read in a host that keeps nothing.
  private static func memoryLog(_ options: HostOptions) -> HostLog? {
    options.receivers.isEmpty && !options.keepsSessions ? nil : HostLog(inMemory: options.clock)
  }

  /// A host that its holder moves on by hand: `RecoveredHost.step` comes after `recover`.
  ///
  /// - Parameters:
  ///   - directory: nil: nothing is kept.
  ///   - log: what the engine writes to, around the directory's.
  package init(
    stepping configuration: EngineConfiguration, in directory: OpenDirectory?, log: any CommitLog,
    retention: LogRetention, clock: any EngineClock
  ) {
    var (config, options) = (HostConfig(file: HostConfig.ofCommandLine), HostOptions())
    (config.log.retainAge, config.log.retainBytes) = (retention.age, retention.bytes)
    options.clock = clock
    let coordinator = CommitCoordinator(configuration, clock: clock, log: log)
    parts = HostParts(
      config: config, options: options, notices: options.notices, coordinator: coordinator,
      queue: TriggerQueue(coordinator), files: FileStores([], options.notices), endSignal: EndSignal(),
      reading: { nil }, isStepped: true)
    self.directory = directory
  }

  private init(_ parts: HostParts, _ directory: OpenDirectory?) {
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
    let storage = try directory.map { try HostStorage($0, for: parts) }
    if let storage { parts.notices.say(.info, "\(storage.summary)", code: .recovered) }
    return RecoveredHost(parts, storage)
  }
}
