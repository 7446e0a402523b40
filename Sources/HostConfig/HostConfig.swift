import TriggerHost

/// What `host.yaml` says, checked, with defaults where it is silent.
///
/// Paths are as written, beside their resolved form: relative ones count from the config's directory.
package struct HostConfig: Sendable {
  /// A file or directory that the config names.
  package struct Path: Sendable, Hashable {
    /// As written.
    package var text: String
    /// Absolute, or relative to the working directory when the config's own path is.
    package var resolved: String
    /// The line that names it; nil for a default.
    package var line: Int?

    package init(text: String, resolved: String, line: Int? = nil) {
      self.text = text
      self.resolved = resolved
      self.line = line
    }
  }

  /// Whether slow operations are deferred so that nobody blocks the frontier (design, section 3).
  package enum Order: String, Sendable, CaseIterable {
    case deferring, strict
  }

  /// How the trigger queue meets its bound.
  package struct Queue: Sendable, Hashable {
    package enum WhenFull: String, Sendable, CaseIterable {
      /// Sources wait until there is room.
      case wait
      /// Every newcomer is refused with a clear answer.
      case refuse
    }

    /// Entries, from 1.
    package var capacity = 100_000
    package var whenFull = WhenFull.wait

    package init() {}
  }

  /// How long conversations with clients live, and what they may hold.
  package struct Sessions: Sendable, Hashable {
    /// How long a session waits for a client that is away.
    package var keep = Duration.seconds(600)
    /// Messages of a session that are kept for a client that is away.
    package var messages = 2000
    /// Sessions at a time, with sockets or without.
    package var most = 100_000

    package init() {}
  }

  /// What one attempt may use, unless its script says otherwise, and what bounds a chain of events.
  package struct Limits: Sendable, Hashable {
    /// CPU time of an attempt; ten times that in wall time is the backstop.
    package var timeout = Duration.milliseconds(200)
    /// Bytes that an attempt may have allocated at once.
    package var memory = 64 << 20
    /// What a script may give itself at most.
    package var most = TriggerOptions.Ceilings()
    /// Who holds up anything for longer than this is deferred.
    package var hold = Duration.milliseconds(10)
    /// How long a finished operation waits before those ahead of it with lower priority are deferred.
    package var grace = Duration.milliseconds(1)
    /// Events emitted by events, from one cause.
    package var hops = 64
    /// Events that one commit may emit.
    package var emits = 1000
    /// Operations that may come of one cause, over all hops.
    package var offspring = 100_000
    /// Keys of senders that may be known within a day; in memory a fifth of it.
    package var keys = 10_000_000

    package init() {}
  }

  /// How changes of the scripts are taken up while a host runs.
  package struct Reload: Sendable, Hashable {
    package enum Watch: String, Sendable, CaseIterable {
      /// As the system tells; by looking from time to time where it does not.
      case auto
      /// By looking from time to time: network mounts.
      case poll
      /// Not at all.
      case off
    }

    package var watch = Watch.auto
    /// Recent operations that are executed with new scripts before those come into force; 0: none.
    package var verifyLast = 0

    package init() {}
  }

  /// What is kept of the log on disk, and how often the state is written down.
  package struct Log: Sendable, Hashable {
    /// Records older than this may go; nil: none for their age.
    package var retainAge: Duration?
    /// Bytes of records beyond which the oldest may go; nil: none for their size.
    package var retainBytes: Int?
    /// A checkpoint is due after it.
    package var checkpoint = Duration.seconds(300)

    package init() {}
  }

  package enum Durability: String, Sendable, CaseIterable {
    case memory, async, group
  }

  package enum LogLevel: String, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
  }

  /// The config's own name, as the user gave it.
  package var file: String
  package var scripts: Path
  package var reload = Reload()
  /// Cron files, in order; `load` has read their jobs into `schedules`.
  package var cron: [Path] = []
  package var order = Order.deferring
  /// Nil: one per core.
  package var workers: Int?
  /// Refuse names of stores that `stores` lacks.
  package var strictStores = false
  package var queue = Queue()
  package var limits = Limits()
  /// Where everything is kept; nil: in memory.
  package var data: Path?
  package var durability = Durability.group
  package var log = Log()
  /// How long the end of a host waits for what runs.
  package var stopTimeout = Duration.seconds(5)
  /// Where a server listens; nil: nowhere.
  package var listen: ListenAddress?
  /// By name.
  package var stores: [String: Store] = [:]
  package var logLevel = LogLevel.info
  /// Names under which the host is reached over the network, beside IP addresses and `localhost`.
  package var hostNames: [String] = []
  /// Pages of these origins may use the host.
  package var cors: [WebOrigin] = []
  /// What a host encrypts with; nil: it does not.
  package var tls: TLS?
  package var serverLimits = ServerLimits()
  package var sessions = Sessions()
  package var feeds: [FeedSettings] = []
  /// The config's own jobs first, then those of the cron files; names are unique when the report is good.
  package var schedules: [ScheduleEntry] = []

  /// A config that says nothing, for a host started without one.
  ///
  /// - Parameter file: its name; paths count from the directory in it.
  package init(file: String) {
    self.file = file
    scripts = Path(text: "triggers", resolved: resolve("triggers", below: HostConfig.directory(of: file)))
  }

  /// The name of a config that no file says.
  package static let ofCommandLine = "command line"

  /// The part of a path before its last slash; empty when it has none.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
