import TriggerCore
import TriggerHost

/// How much a crash may cost.
public enum Durability: String, Sendable, CaseIterable {
  /// Nothing is written: everything, at the end of the process.
  case memory
  /// Written before anything outside can see it, synced by the system: the last seconds when the machine stops,
  /// nothing when only the process does.
  case async
  /// On disk, synced in groups, before anything outside can see it: nothing.
  case group
}

/// The commit log of a data directory: a `GroupWriter` over SQLite. Any thread.
public final class DurableLog: CommitLog {
  let directory: DataDirectory
  /// Bytes that SQLite's write-ahead log may take, but for a little while.
  let writeAheadLimit: Int
  private let store: SQLiteLogStore
  package let writer: GroupWriter

  /// Starts the writer.
  ///
  /// - Parameters:
  ///   - lastSeq: the newest seq in the log.
  ///   - retention: what the directory may take; the write-ahead log takes a part of it.
  public convenience init(
    _ directory: DataDirectory, durability: Durability, lastSeq: Int64,
    retention: LogRetention = LogRetention()
  ) throws {
    try self.init(
      stepped: directory, durability: durability, lastSeq: lastSeq, flushBytes: .max,
      writeAheadLimit: min(max((retention.bytes ?? .max) / 8, 2 << 20), 16 << 20))
    try store.flushBeside(limit: writeAheadLimit)
    writer.start()
  }

  /// A log without a thread: whoever made it calls `writeGroup`.
  ///
  /// - Parameter flushBytes: after groups of so many bytes what is in SQLite's write-ahead log is moved into the
  ///   database, after that group.
  package init(
    stepped directory: DataDirectory, durability: Durability, lastSeq: Int64, flushBytes: Int = 1 << 20,
    writeAheadLimit: Int = 16 << 20
  ) throws {
    self.directory = directory
    self.writeAheadLimit = writeAheadLimit
    store = try SQLiteLogStore(directory, durability: durability, flushBytes: flushBytes)
    writer = GroupWriter(store, epoch: directory.epoch, lastSeq: lastSeq, clock: directory.clock)
  }

  // MARK: What the engine asks for

  /// Reads are not logged: replay makes them again.
  public var wantsReads: Bool { writer.wantsReads }

  /// Copies a record.
  @discardableResult
  public func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int {
    writer.append(seq: seq, record, settling: events, contents: contents)
  }

  /// What is being written does not count: the next group may be gathered meanwhile.
  public var room: Int { writer.room }

  /// The newest seq that is written: with `group` it is on disk, with `async` it is with the system. Any thread.
  public var durable: Int64 { writer.durable }

  /// - Parameter body: called on the log's thread after each group.
  public func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { writer.whenDurable(body) }

  /// Returns when all that was appended is written, or the disk has refused.
  public func flush() { writer.flush() }

  /// Keeps the event in the group being gathered, unless a record of the same group settles it.
  public func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) {
    writer.accept(event, whenKept: whenKept)
  }

  /// - Parameter body: called once, when the disk refuses: nothing is written from then on.
  public func whenFailed(_ body: @escaping @Sendable (LogFailure) -> Void) { writer.whenFailed(body) }

  // MARK: What a host asks for

  /// - Parameter body: told on the log's thread what people should know: somebody keeps the write-ahead log from
  ///   being emptied.
  public func whenNoticed(_ body: @escaping @Sendable (String) -> Void) { store.whenNoticed(body) }

  /// Bytes of records written since the log was opened. Any thread.
  package var recordBytes: Int { writer.recordBytes }

  /// Why nothing is written any more; nil while all is well. Any thread.
  package var failure: LogFailure? { writer.failure }

  /// Does other work, in the next group. Returns when that is written, and with it everything that came before.
  ///
  /// - Throws: why the log has failed.
  package func perform(_ jobs: [LogJob]) throws(LogFailure) { try writer.perform(jobs) }

  /// Reads and changes what the host notes beside its records. What is changed is durable, as the mode says, when
  /// this returns. Any thread.
  ///
  /// - Throws: what `body` throws: nothing is changed then; `LogFailure`.
  package func withDirectory<Result>(_ body: (LogNotes) throws -> Result) throws -> Result {
    try directory.withNotes(body) { try perform($0) }
  }

  /// - Parameter body: what `perform` calls until its work is written, when the log has no thread.
  package func whenWaiting(_ body: @escaping @Sendable () -> Void) { writer.whenWaiting(body) }

  /// Writes one group and tells who waits for it. One thread at a time.
  ///
  /// - Returns: false when there is nothing to write now.
  package func writeGroup() -> Bool { writer.writeGroup(waits: false) }

  /// Writes what is left, ends the writer and lets another host have the directory. Safe to call twice.
  public func close() {
    writer.close()
    if store.isFlushedBeside {
      store.stopFlushing()
      // Best effort: everything is on disk, in a larger file at worst.
      if failure == nil, (try? directory.compact()) == true { directory.note(newest: durable) }
    }
    directory.close()
  }
}

extension Checkpointer {
  /// Of the log of a data directory.
  ///
  /// - Parameters:
  ///   - recovery: what `recover` gave.
  ///   - damaged: checkpoints that it passed over. A new one is due at once then.
  ///   - interval: a checkpoint is due after it, when anything was committed.
  /// - Throws: `StorageError` when the log cannot be read.
  public convenience init(
    _ log: DurableLog, _ coordinator: CommitCoordinator, recovery: Recovery,
    damaged: [CheckpointDamage] = [], retention: LogRetention = LogRetention(),
    interval: Duration = .seconds(300)
  ) throws {
    try self.init(
      log.writer, coordinator, log.directory.openSource(), recovery: recovery, damaged: damaged,
      retention: retention, beside: log.writeAheadLimit, interval: interval)
  }
}
