import Synchronization
import TriggerCore

/// Receives every decided seq, in order, before anything outside can see it.
///
/// The memory version below is the readable definition: records arrive with dense seqs.
public protocol CommitLog: AnyObject, Sendable {
  /// True when records should say what the deciding attempts read.
  var wantsReads: Bool { get }

  /// Takes one record (`LogRecord(decoding:)` reads it). Called under the engine lock: copy the bytes and
  /// return; no I/O here, and no waiting: everybody would wait along, those too who only look.
  ///
  /// - Parameters:
  ///   - events: accepted events whose last operation this decides; they need not be kept any more once the
  ///     record is.
  ///   - contents: where in the record bytes lie that are likely to be in other records as well, in order and
  ///     apart (`StoreBackend.deduplicationThreshold`).
  /// - Returns: `room`, now that the record has been taken.
  @discardableResult
  func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int

  /// How many bytes may come before the log is behind. At 0 and below the engine takes nothing new from the queue
  /// until there is room again; what it has taken runs, and its records come all the same, up to
  /// `LogRecorder.overdraft`. Any thread, also under the engine lock.
  var room: Int { get }

  /// The newest seq that is as durable as the log promises. Outside, nothing after it is seen: no read, no
  /// outcome, no acknowledgement. Any thread.
  var durable: Int64 { get }

  /// - Parameter body: called whenever `durable` has grown, in order, from one thread at a time.
  func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void)

  /// Returns when all that was appended is durable, or the log has failed.
  func flush()

  /// Promises that the event's operations are made, whatever happens: kept until a record settles it. Any
  /// thread, before any of its operations can be decided: copy and return.
  ///
  /// - Parameter whenKept: called once, when the promise is as durable as the log's mode says.
  func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void)

  /// - Parameter body: called once, when the log can take no more records: from then on nothing becomes
  ///   durable, and the engine stops.
  func whenFailed(_ body: @escaping @Sendable (_ failure: LogFailure) -> Void)
}

extension CommitLog {
  /// A log that is durable at once.
  public var durable: Int64 { .max }
  /// A log that is never behind.
  public var room: Int { .max }
  /// Never called: there is nothing to wait for.
  public func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void) {}
  /// Returns at once.
  public func flush() {}
  /// A log in memory promises nothing beyond it.
  public func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) { whenKept() }
  /// Never called: memory does not fail.
  public func whenFailed(_ body: @escaping @Sendable (_ failure: LogFailure) -> Void) {}
}

extension LogRecord {
  /// Reads an encoded record.
  ///
  /// - Throws: `LogDamage` when the bytes are none.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    self = try LogRecord(try RecordView(&reader))
  }

  /// The records of a sequence of them, one after another.
  ///
  /// - Throws: `LogDamage` at the first that cannot be read, or what `body` throws.
  public static func visit(in bytes: UnsafeRawBufferPointer, _ body: (LogRecord) throws -> Void) throws {
    try RecordView.visit(in: bytes) { try body(try LogRecord($0)) }
  }
}

/// Keeps every record in memory: for tests and for tools that look at a finished run. Any thread.
public final class MemoryCommitLog: CommitLog {
  private let records = Mutex<(last: Int64, bytes: [[UInt8]])>((0, []))
  /// Whether records say what was read.
  public let wantsReads: Bool

  /// - Parameter wantsReads: records say what was read.
  public init(wantsReads: Bool = false) { self.wantsReads = wantsReads }

  /// Keeps a record. Seqs are dense.
  @discardableResult
  public func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int {
    let bytes = Array(record)
    records.withLock { records in
      precondition(records.last == 0 || seq == records.last + 1, "log got seq \(seq) after \(records.last)")
      records.last = seq
      records.bytes.append(bytes)
    }
    return .max
  }

  /// All records so far, as they were appended.
  public var encoded: [[UInt8]] { records.withLock { $0.bytes } }

  /// All records so far, decoded. O(bytes).
  public var all: [LogRecord] {
    encoded.map { bytes in
      do { return try bytes.withUnsafeBytes { try LogRecord(decoding: $0) } } catch {
        preconditionFailure("a record of our own cannot be read: \(error)")
      }
    }
  }
}
