import Synchronization
import TriggerCore

/// Receives every decided seq, in order, before anything outside can see it.
///
/// The memory version below is the readable definition: records arrive with dense seqs.
public protocol CommitLog: AnyObject, Sendable {
  /// True when records should say what the deciding attempts read.
  var wantsReads: Bool { get }

  /// Takes one record (`LogRecord(decoding:)` reads it). Called under the engine lock: copy the bytes and
  /// return; no I/O here. May wait when the log is far behind, which stops all commits meanwhile.
  func append(seq: Int64, _ record: UnsafeRawBufferPointer)

  /// The newest seq that is as durable as the log promises. Outside, nothing after it is seen: no read, no
  /// outcome, no acknowledgement. Any thread.
  var durable: Int64 { get }

  /// - Parameter body: called whenever `durable` has grown, in order, from one thread at a time.
  func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void)

  /// Returns when all that was appended is durable, or the log has failed.
  func flush()
}

extension CommitLog {
  /// A log that is durable at once.
  public var durable: Int64 { .max }
  /// Never called: there is nothing to wait for.
  public func whenDurable(_ body: @escaping @Sendable (_ seq: Int64) -> Void) {}
  /// Returns at once.
  public func flush() {}
}

extension LogRecord {
  /// Reads an encoded record.
  ///
  /// - Throws: `LogDamage` when the bytes are none.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    self = try LogCoding.read(&reader)
  }

  /// The records of a sequence of them, one after another.
  ///
  /// - Throws: `LogDamage` at the first that cannot be read, or what `body` throws.
  public static func visit(in bytes: UnsafeRawBufferPointer, _ body: (LogRecord) throws -> Void) throws {
    var reader = CBORReader(bytes)
    while !reader.isAtEnd { try body(try LogCoding.read(&reader)) }
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
  public func append(seq: Int64, _ record: UnsafeRawBufferPointer) {
    let bytes = Array(record)
    records.withLock { records in
      precondition(records.last == 0 || seq == records.last + 1, "log got seq \(seq) after \(records.last)")
      records.last = seq
      records.bytes.append(bytes)
    }
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
