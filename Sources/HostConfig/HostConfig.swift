/// What `host.yaml` says, checked, with defaults where it is silent.
///
/// Paths are as written, beside their resolved form: relative ones count from the config's directory.
public struct HostConfig: Sendable {
  /// A file or directory that the config names.
  public struct Path: Sendable, Hashable {
    /// As written.
    public var text: String
    /// Absolute, or relative to the working directory when the config's own path is.
    public var resolved: String
    /// The line that names it; nil for a default.
    public var line: Int?

    public init(text: String, resolved: String, line: Int? = nil) {
      self.text = text
      self.resolved = resolved
      self.line = line
    }
  }

  /// Whether slow operations are deferred so that nobody blocks the frontier (design, section 3).
  public enum Order: String, Sendable, CaseIterable {
    case deferring, strict
  }

  /// How the trigger queue meets its bound.
  public struct Queue: Sendable, Hashable {
    public enum WhenFull: String, Sendable, CaseIterable {
      /// Sources wait until there is room.
      case wait
      /// Every newcomer is refused with a clear answer.
      case refuse
    }

    /// Entries, from 1.
    public var capacity = 100_000
    public var whenFull = WhenFull.wait

    public init() {}
  }

  /// What one attempt may use, unless its script says otherwise, and what bounds a chain of events.
  public struct Limits: Sendable, Hashable {
    /// CPU time of an attempt; ten times that in wall time is the backstop.
    public var timeout = Duration.milliseconds(200)
    /// Bytes that an attempt may have allocated at once.
    public var memory = 64 << 20
    /// Who holds up anything for longer than this is deferred.
    public var hold = Duration.milliseconds(10)
    /// How long a finished operation waits before those ahead of it with lower priority are deferred.
    public var grace = Duration.milliseconds(1)
    /// Events emitted by events, from one cause.
    public var hops = 64
    /// Events that one commit may emit.
    public var emits = 1000

    public init() {}
  }

  /// A store that exists from the start.
  public struct Store: Sendable, Hashable {
    public enum Backend: String, Sendable, CaseIterable {
      case memory
    }

    public var backend = Backend.memory
    public var line: Int

    public init(line: Int) {
      self.line = line
    }
  }

  public enum LogLevel: String, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
  }

  /// The config's own name, as the user gave it.
  public var file: String
  public var scripts: Path
  /// Cron files, in order; `load` has read their jobs into `schedules`.
  public var cron: [Path] = []
  public var order = Order.deferring
  /// Nil: one per core.
  public var workers: Int?
  /// Refuse names of stores that `stores` lacks.
  public var strictStores = false
  public var queue = Queue()
  public var limits = Limits()
  /// By name.
  public var stores: [String: Store] = [:]
  public var logLevel = LogLevel.info
  public var feeds: [FeedSettings] = []
  /// The config's own jobs first, then those of the cron files; names are unique when the report is good.
  public var schedules: [ScheduleEntry] = []

  /// A config that says nothing, for a host started without one.
  ///
  /// - Parameter file: its name; paths count from the directory in it.
  public init(file: String) {
    self.file = file
    scripts = Path(text: "triggers", resolved: resolve("triggers", below: HostConfig.directory(of: file)))
  }

  /// The part of a path before its last slash; empty when it has none.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
