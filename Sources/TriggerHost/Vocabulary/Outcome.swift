import TriggerCore

/// How a seq ended.
public enum Outcome: UInt8, Sendable, CaseIterable {
  /// `committed`: its intents are applied. In the other cases nothing is.
  ///
  /// `failed`: an error, a limit, or an intent that could not apply. `deferred`: it held up others; its
  /// operation goes on under a later seq. `skipped`: it was cancelled, its trigger is gone, or the trigger's
  /// gate dropped it, which takes no seq where nobody has a name for it and no commit emitted it.
  case committed, failed, deferred, skipped
}

/// How an event ended for one trigger. Not the `Outcome` of a seq: an event may have had none of its own.
public enum OperationOutcome: UInt8, Sendable, CaseIterable {
  /// `committed`, `failed`, `skipped`: as the seq it was decided under.
  ///
  /// `superseded`: another event took its place before it had a seq (`coalesce`, `debounce`, `throttle`,
  /// `mode = "restart"`), and what it brought has not run.
  case committed = 0
  case failed = 1
  case skipped = 3
  case superseded = 4

  /// How the operation of a decided seq ended. Nil for `deferred`: the operation goes on.
  public init?(_ outcome: Outcome) {
    switch outcome {
    case .committed: self = .committed
    case .failed: self = .failed
    case .skipped: self = .skipped
    case .deferred: return nil
    }
  }
}

/// What the sender of an event learns of one operation.
public struct OperationResult: Sendable {
  /// Name of the trigger that ran.
  public let trigger: String
  /// The first seq of the operation that ran; 0 when it was dropped before it had one.
  public let identity: Int64
  /// The seq it was decided under; of what ran instead when it was superseded; 0 when it was dropped before it
  /// had one.
  public let seq: Int64
  /// How it ended.
  public let outcome: OperationOutcome
  /// How what ran instead ended; nil unless the event was superseded.
  public var instead: OperationOutcome?
  /// Why it failed, or what ran instead did; why it was dropped.
  public let failure: Failure?
  /// Message and traceback of the failure.
  public var error: String? { failure?.message }
  /// The word of the failure.
  public var code: FailureCode? { failure?.code }
  /// When the failed operation is tried again, nanoseconds since 1970; nil: it is not.
  public var retryAt: Int64?
  /// Executions that the operation took, under all seqs that it was deferred from too: 1 and as many as were thrown away
  /// because what they read had changed. 0 when its trigger's gate dropped it. Of what ran instead when it was
  /// superseded. A retry of a failed operation is another one, and counts its own.
  public internal(set) var attempts = 1
  /// Lines that were logged beyond what is kept of an execution.
  public internal(set) var logLinesDropped = 0

  /// What the sender of an event learns whose place this one took.
  package var asSuperseding: OperationResult {
    OperationResult(
      trigger: trigger, identity: identity, seq: seq, outcome: .superseded, instead: outcome,
      failure: failure,
      retryAt: retryAt, attempts: attempts)
  }
}
