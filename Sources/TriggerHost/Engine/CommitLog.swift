import TriggerCore

/// One decided seq as the log keeps it: enough to rebuild the state, and to run the operation again.
public struct LogRecord: Sendable {
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

  public var seq: Int64
  /// First seq of the operation: what `ctx.seq` shows and the random seed is made from.
  public var identity: Int64
  public var trigger: String
  public var event: String
  /// Canonical encoding of the event.
  public var payload: [UInt8]
  public var priority: Priority
  /// Admission time, nanoseconds since 1970.
  public var admitted: Int64
  public var outcome: Outcome
  public var attempts: Int
  public var intents: [Intent]
  /// What the deciding attempt read, one line each; empty unless the log asks for reads.
  public var reads: [String]
  public var error: String?
}

/// Receives every decided seq, in order, before anything outside can see it.
///
/// Called under the engine lock: take the record and return; no I/O here. The memory version below is the
/// readable definition: records arrive with dense seqs from 1.
public protocol CommitLog: AnyObject, Sendable {
  var wantsReads: Bool { get }
  func append(_ record: LogRecord)
}

/// Keeps every record in memory: for tests and for tools that look at a finished run.
public final class MemoryCommitLog: CommitLog, @unchecked Sendable {  // guarded by `lock`
  private let lock = EngineLock()
  private var records: [LogRecord] = []
  public let wantsReads: Bool

  public init(wantsReads: Bool = false) { self.wantsReads = wantsReads }

  public func append(_ record: LogRecord) {
    lock.withLock {
      precondition(
        record.seq == (records.last?.seq ?? record.seq - 1) + 1,
        "log got seq \(record.seq) after \(records.last?.seq ?? 0)")
      records.append(record)
    }
  }

  public var all: [LogRecord] { lock.withLock { records } }
}
