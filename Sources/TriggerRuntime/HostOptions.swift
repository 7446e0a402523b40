import HostConfig
import Logging
import Metrics
import TriggerHost
import TriggerSQLite

/// What who starts a host decides, beside its configuration.
public struct HostOptions: Sendable {
  /// Where everything is kept.
  public enum Data: Sendable, Hashable {
    /// Where the configuration says; in memory when it says nothing.
    case configured
    /// Nothing outlives the host.
    case memory
    /// In this directory, made when it is not there.
    case directory(String)
  }

  /// Where everything is kept.
  public var data = Data.configured
  /// How much a crash may cost; nil: what the configuration says.
  public var durability: Durability?
  /// Whether to go on with what is left of the data directory when commits that were there are missing.
  public var acceptsLoss = false
  /// Worker threads, 1 to 64; nil: the configuration's number, or one per core.
  public var workers: Int?
  /// Swift triggers beside the scripts, bound by their options.
  public var triggers: [any Trigger] = []
  /// Where the effects of commits go, by receiver. Each is given all of them, in order.
  public var receivers: [any EffectReceiver] = []
  /// Whether clients can hold conversations: sessions, which the WebSockets of a server need. Costs nothing while there is
  /// none; a host in memory keeps the newest records of its log for them.
  public var keepsSessions = false
  /// What admission times, schedules and gates go by.
  public var clock: any EngineClock = SystemClock()
  /// Looks at scripts that are saved while the host runs, like `.workshop` of the library `TriggerReview`; nil: nobody
  /// does, and `scripts.verify_last` of the configuration does nothing.
  public var judge: ScriptJudge?
  /// Told what the host says, one call beside another, on the thread that says it: return soon.
  public var observer: HostObserver?
  /// Where what the host says is logged, too; nil: nowhere.
  public var logger: Logger?
  /// Where what the host counts goes (`EngineMetrics` names it); nil: where `MetricsSystem` says when the host starts, which
  /// is nowhere until the program chooses.
  public var metrics: (any MetricsFactory)?
  /// How often that is written. It is once more when the host stops.
  public var metricsInterval = Duration.seconds(10)

  /// As the configuration says, and silent.
  public init() {}

  var notices: Notices {
    Notices { [observer, logger] notice in
      observer?(notice)
      if let logger { notice.log(to: logger) }
    }
  }

  /// Nil: in memory.
  package func place(_ config: HostConfig) -> DataOptions? {
    let durability = self.durability ?? Durability(rawValue: config.durability.rawValue) ?? .group
    let path: String? =
      switch data {
      case .configured: config.data?.resolved
      case .memory: nil
      case .directory(let path): path
      }
    guard durability != .memory, let path else { return nil }
    return DataOptions(path: path, durability: durability, acceptsLoss: acceptsLoss)
  }
}
