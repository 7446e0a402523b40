import TriggerCore

/// One decided seq as the log keeps it: enough to rebuild the state, and to run the operation again.
public struct LogRecord: Sendable {
  /// One intent as it was prepared, before it was applied.
  public struct Intent: Sendable, Hashable {
    /// `put`, `delete`, `add`, `max`, `min`, `append`, `replace` or `emit`.
    public var kind: String
    /// Store name; empty for `emit`.
    public var store: String
    /// Key, or the event's name for `emit`.
    public var key: [UInt8]
    /// Canonical encoding of the value, operand or payload; empty for `delete`.
    public var value: [UInt8]
  }

  /// From 1, without gaps.
  public var seq: Int64
  /// First seq of the operation: what `ctx.seq` shows and the random seed is made from.
  public var identity: Int64
  /// Name of the trigger that ran.
  public var trigger: String
  /// Name of the event; empty when the trigger was enqueued directly.
  public var event: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  /// The operation's own: what the event brought, or else the trigger declares.
  public var priority: Priority
  /// Admission time, nanoseconds since 1970.
  public var admitted: Int64
  /// How the seq ended.
  public var outcome: Outcome
  /// Attempts of the operation so far, those under seqs it was deferred from too.
  public var attempts: Int
  /// In list order; empty unless the outcome is `committed`.
  public var intents: [Intent]
  /// What the deciding attempt read, one line each; empty unless the log asks for reads.
  public var reads: [String]
  /// Message and traceback of the deciding attempt when it went wrong.
  public var error: String?
}

/// Receives every decided seq, in order, before anything outside can see it.
///
/// Called under the engine lock: take the record and return; no I/O here. The memory version below is the
/// readable definition: records arrive with dense seqs from 1.
public protocol CommitLog: AnyObject, Sendable {
  /// Whether records shall hold what was read. Asked for each record; costs a text for every read.
  var wantsReads: Bool { get }
  /// Takes one record. Engine lock held: it cannot refuse, and whatever it does delays every commit.
  func append(_ record: LogRecord)
}

/// Keeps every record in memory: for tests and for tools that look at a finished run.
public final class MemoryCommitLog: CommitLog, @unchecked Sendable {  // guarded by `lock`
  private let lock = EngineLock()
  private var records: [LogRecord] = []
  /// As given to `init`.
  public let wantsReads: Bool

  /// Empty. It keeps everything it gets: not for a host that runs for long.
  public init(wantsReads: Bool = false) { self.wantsReads = wantsReads }

  /// Traps on a seq that does not follow the one before it.
  public func append(_ record: LogRecord) {
    lock.withLock {
      precondition(
        record.seq == (records.last?.seq ?? record.seq - 1) + 1,
        "log got seq \(record.seq) after \(records.last?.seq ?? 0)")
      records.append(record)
    }
  }

  /// The records so far, by seq. A copy; any thread.
  public var all: [LogRecord] { lock.withLock { records } }
}
