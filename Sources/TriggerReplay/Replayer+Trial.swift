import TriggerCore
import TriggerHost
import TriggerLua

extension Replayer {
  /// An execution that no log has.
  public struct Trial: Sendable {
    /// The trigger's name.
    public var trigger: String
    /// The event's name.
    public var event: String
    /// Canonical encoding of the event.
    public var payload: [UInt8]
    /// What the script sees as time, nanoseconds since 1970.
    public var admitted: Int64
    /// What the script sees as `ctx.seq`, and the random seed is made from; nil: the next seq.
    public var identity: Int64?
    /// Steps from an event from outside.
    public var hops = 0

    /// The next seq of the state.
    public init(
      trigger: String, event: String, payload: [UInt8], admitted: Int64, identity: Int64? = nil, hops: Int = 0
    ) {
      self.trigger = trigger
      self.event = event
      self.payload = payload
      self.admitted = admitted
      self.identity = identity
      self.hops = hops
    }

    /// The execution of a record, with its clock, its seed and its event.
    public init(_ record: LogRecord) {
      self.init(
        trigger: record.trigger, event: record.event, payload: record.payload, admitted: record.admitted,
        identity: record.identity, hops: record.hops)
    }
  }

  /// What a trial came to.
  public struct TrialResult: Sendable {
    /// Committed or failed.
    public var outcome: Outcome
    /// What would be committed, in list order; empty when it failed.
    public var intents: [LogRecord.Intent]
    /// Message and traceback when it failed.
    public var error: String?
    /// The word for that.
    public var code: FailureCode?
    /// What it read, one line each.
    public var reads: [String]
    /// What it said.
    public var logs: [ExecutionLog]
    /// Lines beyond the bounds of one execution.
    public var logLinesDropped: Int
    /// Its lines in the order they ran, when it was traced.
    public var trace: [TraceLine]
    /// There were more lines than a trace keeps.
    public var isTraceCut: Bool
  }

  /// A line that a script ran.
  public struct TraceLine: Sendable, Hashable {
    /// The file, relative to the scripts' directory.
    public var path: String
    /// From 1.
    public var line: Int
    /// Local variables of the line's function that changed since the line before it, as text:
    /// `a = 1, b = {x = 2}`; empty when none did.
    public var changes: String
  }

  /// Lines that a trace keeps.
  public static let traceLimit = 10_000

  /// Executes a trigger on the state as of `seq`. What it commits is the next seq of this state; what it
  /// emits reaches nobody.
  ///
  /// - Parameters:
  ///   - scripts: where the trigger is.
  ///   - traced: keeps every line; the result is the same, later.
  /// - Returns: nil when the scripts have no such trigger.
  public func execute(_ trial: Trial, of scripts: ScriptTree, traced: Bool = false) -> TrialResult? {
    let identity =
      scripts.identity
      ?? ScriptTree.Identity(number: 1, time: trial.admitted, seed: configuration.seed)
    let tree = self.scripts.add(scripts, identity: identity)
    guard let trigger = tree.triggers[trial.trigger] else { return nil }
    let executor = SerialExecutor(state, configuration: configuration, guardian: guardian)
    let operation = Operation.make(
      trigger, kind: .event, event: trial.event, payload: trial.payload, admitted: trial.admitted,
      identity: trial.identity ?? state.seq + 1, hops: trial.hops)
    var (lines, isCut) = ([TraceLine](), false)
    let trace = LuaTrace { path, line, changes in
      if line == 0 {
        (lines, isCut) = ([], false)
      } else if lines.count == Self.traceLimit {
        isCut = true
      } else {
        lines.append(TraceLine(path: path, line: line, changes: changes))
      }
      return !isCut
    }
    executor.run(operation, patience: traced ? Self.patienceWithTraces : 1, trace: traced ? trace : nil)
    let attempt = executor.attempt
    let (intents, reads) = (attempt.intents, attempt.reads.descriptions)
    let isCommitted = executor.commit(operation, seq: state.seq + 1)
    return TrialResult(
      outcome: isCommitted ? .committed : .failed, intents: isCommitted ? intents : [],
      error: attempt.failure?.message, code: attempt.failure?.code,
      reads: reads, logs: attempt.logs?.lines ?? [], logLinesDropped: attempt.logs?.dropped ?? 0,
      trace: lines, isTraceCut: isCut)
  }

  /// Looking at each line takes time of its own.
  private static let patienceWithTraces: Int64 = 20
}
