import Synchronization
import TriggerCore

/// Gets a record of every decided seq, in order. Nobody outside sees an outcome before the log has made its record
/// durable.
///
/// The memory version below is the readable definition: no seq is left out.
public protocol CommitLog: AnyObject, Sendable {
  /// True when each record should say what the attempt read that decided the seq.
  var wantsReads: Bool { get }

  /// Adds one record (`LogRecord(decoding:)` reads it). The engine calls this under its lock: copy the bytes and
  /// return. Do no I/O here and do not wait, because every other thread would wait too.
  ///
  /// - Parameters:
  ///   - events: the accepted events whose last operation this record decides. When the record is durable, the log need
  ///     not keep them any more.
  ///   - contents: the places in the record of bytes that are likely to be in other records as well, in order and apart
  ///     (`StoreBackend.deduplicationThreshold`).
  /// - Returns: `room` after this record.
  @discardableResult
  func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int

  /// How many bytes of records the log can take before it is behind. At 0 and below the engine takes no operation from
  /// the queue until there is room again. Operations that it has already taken run, and their records come all the
  /// same, up to `LogRecorder.overdraft`. Any thread, also under the engine lock.
  var room: Int { get }

  /// The newest seq that is as durable as the log promises. Nobody outside sees anything of later seqs: no value, no
  /// outcome, no acknowledgement. Any thread.
  var durable: Int64 { get }

  /// - Parameter body: called with the new `durable` each time it has grown, in order, from one thread at a time.
  func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void)

  /// Returns when every record that was appended is durable, or the log has failed.
  func flush()

  /// Keeps an event until a record settles it, so that its operations are made even after a crash. Any thread; the
  /// engine calls this before any of the operations can be decided. Copy the event and return.
  ///
  /// - Parameter whenKept: called once, when the event is as durable as the log promises.
  func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void)

  /// - Parameter body: called once, when the log can take no more records. From then on no record becomes durable, and
  ///   the engine stops.
  func whenFailed(_ body: @escaping @Sendable (_ failure: LogFailure) -> Void)
}

extension CommitLog {
  /// The greatest seq: each record is durable at once.
  public var durable: Int64 { .max }
  /// The greatest number: the log is never behind.
  public var room: Int { .max }
  /// Never calls `body`: each record is durable at once.
  public func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void) {}
  /// Returns at once.
  public func flush() {}
  /// Calls `whenKept` at once and keeps nothing: a log in memory ends with the process.
  public func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) { whenKept() }
  /// Never calls `body`: memory does not fail.
  public func whenFailed(_ body: @escaping @Sendable (_ failure: LogFailure) -> Void) {}
}

extension LogRecord {
  /// Reads an encoded record.
  ///
  /// - Throws: `LogDamage` when the bytes are no record.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    self = try LogRecord(try RecordView(&reader))
  }

  /// Calls `body` with each of the records that lie in `bytes` one after another.
  ///
  /// - Throws: `LogDamage` at the first record that cannot be read; every error of `body`.
  public static func visit(in bytes: UnsafeRawBufferPointer, _ body: (LogRecord) throws -> Void) throws {
    try RecordView.visit(in: bytes) { try body(try LogRecord($0)) }
  }
}

/// Keeps every record in memory: for tests and for tools that look at a finished run. Any thread.
public final class MemoryCommitLog: CommitLog {
  private let records = Mutex<(last: Int64, bytes: [[UInt8]])>((0, []))
  /// True when each record says what the deciding attempt read.
  public let wantsReads: Bool

  /// - Parameter wantsReads: true when each record should say what the deciding attempt read.
  public init(wantsReads: Bool = false) { self.wantsReads = wantsReads }

  /// Keeps a record. Traps when a seq was left out.
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

  /// All records so far, encoded as they were appended.
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
