import TriggerCore

/// How a seq ended.
public enum Outcome: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  /// The operation's intents are applied. With every other outcome none of them is.
  case committed
  /// The execution raised an error or reached a limit, or an intent could not apply.
  case failed
  /// The operation held up others. It goes on under a later seq.
  case deferred
  /// The operation was cancelled, its trigger is gone, or the trigger's gate dropped it. A dropped operation gets a seq
  /// only when there is a log, and the operation's event has an id or a commit emitted the event.
  case skipped

  /// The name as records, answers and logs write it.
  public var description: String {
    switch self {
    case .committed: "committed"
    case .failed: "failed"
    case .deferred: "deferred"
    case .skipped: "skipped"
    }
  }
}

/// How an event ended for one trigger. Not the `Outcome` of a seq: an event may have had no seq of its own.
public enum OperationOutcome: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  /// The seq of the operation ended `committed`.
  case committed = 0
  /// The seq of the operation ended `failed`.
  case failed = 1
  /// The seq of the operation ended `skipped`, or the trigger's gate dropped the operation before it had a seq.
  case skipped = 3
  /// Another event took the event's place before it had a seq (`coalesce`, `debounce`, `throttle`,
  /// `mode = "restart"`). Nothing ran with its payload.
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

  /// The name as answers and logs write it.
  public var description: String {
    switch self {
    case .committed: "committed"
    case .failed: "failed"
    case .skipped: "skipped"
    case .superseded: "superseded"
    }
  }
}

/// The outcome of one operation, as the sender of the event is told.
public struct OperationResult: Sendable {
  /// Name of the trigger that ran.
  public let trigger: String
  /// The first seq of the operation that ran; 0 when it was dropped before it had one.
  public let identity: Int64
  /// The seq under which the operation was decided. For a superseded event: the seq that ran instead. 0 when the
  /// operation was dropped before it had a seq.
  public let seq: Int64
  /// How the event ended for this trigger.
  public let outcome: OperationOutcome
  /// For a superseded event: the outcome of the operation that ran instead; otherwise nil.
  public var instead: OperationOutcome?
  /// Why the operation, or the one that ran instead, failed; or why it was dropped.
  public let failure: Failure?
  /// Message and traceback of the failure.
  public var error: String? { failure?.message }
  /// The code of the failure.
  public var code: FailureCode? { failure?.code }
  /// When the failed operation is tried again, in nanoseconds since 1970; nil: it is not tried again.
  public var retryAt: Int64?
  /// Executions that the operation took, under all seqs that it was deferred from too: 1 and as many as were thrown away
  /// because what they read had changed. 0 when its trigger's gate dropped it. Of what ran instead when it was
  /// superseded. A retry of a failed operation is another one, and counts its own.
  public internal(set) var attempts = 1
  /// How many log lines of the execution were dropped, because the engine keeps only 1,000 lines and 64 KiB of one, and
  /// 32 MiB of all that wait. Only `TriggerQueue.observe` is told.
  public internal(set) var logLinesDropped = 0

  /// The result for the sender of an event that this operation superseded.
  package var asSuperseding: OperationResult {
    OperationResult(
      trigger: trigger, identity: identity, seq: seq, outcome: .superseded, instead: outcome,
      failure: failure,
      retryAt: retryAt, attempts: attempts)
  }
}
