import TriggerCore

/// A trigger that does not run, because one of its attempts never ended. The trigger's events fail at once, so only one
/// thread is stuck. The quarantine ends when the script changes or the host restarts.
public struct Quarantine: Sendable, Hashable, CustomStringConvertible {
  /// The name of the trigger.
  public let trigger: String
  /// The first seq of the operation whose attempt did not end.
  public let seq: Int64
  /// When the quarantine began, in nanoseconds since 1970.
  public let since: Int64
  /// True for a script, false for a Swift trigger.
  public let isScript: Bool

  /// `t has not run since 2026-12-01T16:00:00Z, when its seq 17 got stuck ...`, and what to do.
  public var description: String {
    "\(trigger) has not run since \(Timestamp(nanoseconds: since)), when its seq \(seq) got stuck and could not be "
      + "ended: "
      + (isScript
        ? "save a changed script, or start the host again, and it runs again"
        : "it runs again when the host is started again")
  }

  /// The failure of the trigger's events during the quarantine.
  package var failure: Failure {
    Failure(
      .quarantined,
      "quarantined: \(self); what failed meanwhile is among the dead letters (trigger-host dead requeue)")
  }
}

/// What the engine tells a host about attempts that do not end.
public enum StuckNotice: Sendable, CustomStringConvertible {
  /// The engine has given an attempt up, and the attempt's trigger does not run any more.
  ///
  /// - Parameter isLowered: whether the attempt's thread has the lowest priority now. If not, it may use up a core.
  case quarantined(Quarantine, isLowered: Bool)
  /// A changed script is in force, so the trigger runs again.
  case lifted(Quarantine)
  /// More attempts are stuck than `EngineConfiguration.mostStuck` allows, so the host should be restarted. Said once a
  /// minute.
  case restartWanted(stuck: Int, allowed: Int)

  /// A line for the log.
  public var description: String {
    switch self {
    case .quarantined(let item, let isLowered):
      "quarantined: \(item)"
        + (isLowered || !item.isScript ? "" : "; its thread goes on, and its priority could not be lowered")
    case .lifted(let item): "\(item.trigger) has changed, and runs again"
    case .restartWanted(let stuck, let allowed):
      "\(stuck) attempts are stuck and cannot be ended, more than the \(allowed) that this host goes on with: "
        + "start it again (nothing that was acknowledged is lost)"
    }
  }
}

/// Whether a host should get work.
public struct Readiness: Sendable, Hashable {
  /// Why the host should get no work, in words; empty when it is ready.
  public var reasons: [String] = []
  /// True when there is no such reason.
  public var isReady: Bool { reasons.isEmpty }
}
