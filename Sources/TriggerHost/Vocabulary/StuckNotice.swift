import TriggerCore

/// A trigger that does not run, for an attempt of it never ended: each event for it fails at once, so that it takes one
/// thread and not one for each. It ends when the script is changed, and with the host.
public struct Quarantine: Sendable, Hashable, CustomStringConvertible {
  /// Name of the trigger.
  public let trigger: String
  /// The first seq of the operation whose attempt did not end.
  public let seq: Int64
  /// Since when, nanoseconds since 1970.
  public let since: Int64
  /// A script, not a Swift trigger.
  public let isScript: Bool

  /// `t has not run since 2026-12-01T16:00:00Z, when its seq 17 got stuck ...`, and what to do.
  public var description: String {
    "\(trigger) has not run since \(Timestamp(nanoseconds: since)), when its seq \(seq) got stuck and could not be "
      + "ended: "
      + (isScript
        ? "save a changed script, or start the host again, and it runs again"
        : "it runs again when the host is started again")
  }

  /// What its events fail with.
  package var failure: Failure {
    Failure(
      .quarantined,
      "quarantined: \(self); what failed meanwhile is among the dead letters (trigger-host dead requeue)")
  }
}

/// What a host should hear of attempts that cannot be ended.
public enum StuckNotice: Sendable, CustomStringConvertible {
  /// An attempt was given up, and its trigger does not run any more.
  ///
  /// - Parameter isLowered: its thread has the lowest priority now; false: it may take a core for itself.
  case quarantined(Quarantine, isLowered: Bool)
  /// A changed script was put in force: the trigger runs again.
  case lifted(Quarantine)
  /// So many threads are stuck that the host should be started again. Said once a minute.
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
  /// Why it should not, in words; empty when it should.
  public var reasons: [String] = []
  /// It should.
  public var isReady: Bool { reasons.isEmpty }
}
