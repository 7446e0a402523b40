import Foundation
import Synchronization
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

/// The commit log on SQLite: the engine hands over records, one thread writes them in groups.
///
/// A group is whatever has come while the last one was written, so it grows with the load and a lone commit
/// waits for nobody. Any thread.
public final class DurableLog: CommitLog {
  /// Reads are not logged: replay makes them again.
  public let wantsReads = false
  let directory: DataDirectory
  private let shared = Shared()
  private let newest: Atomic<Int64>
  private let bytesWritten = Atomic<Int>(0)
  // Set before there is a thread; nil without one.
  private nonisolated(unsafe) var flusher: WALFlusher?
  private let listener = Listener<Int64>()
  private let stepper = Listener<Void>()
  private let failureListener = Listener<String>()
  private let noticeListener = Listener<String>()
  /// What is written is on disk.
  private let isSynced: Bool
  /// Bytes that SQLite's write-ahead log may take, but for a little while.
  let writeAheadLimit: Int

  /// What waits to be written. Guarded by its condition.
  private final class Shared: @unchecked Sendable {
    let condition = Condition()
    var group = LogGroup()
    /// Memory of the group before, for the next one.
    var spare: [UInt8] = []
    var isClosing = false
    var hasEnded = false
    var isWriting = false
    /// The writer waits for something to write.
    var isIdle = false
    var failure: String?
  }

  /// Bytes of records that may wait for the disk before the log is behind.
  private static let bytesWaiting = 32 << 20

  /// How often an idle writer looks whether the directory is there.
  private static let lookInterval = Duration.seconds(1)
  /// A group of so many records or more says that much comes in.
  private static let busyGroup = 32
  /// Between the starts of two groups then.
  private static let interval = Duration.milliseconds(1)
  /// Bytes that are enough for a group whatever the time.
  private static let fullGroup = 1 << 20
  // The writer's.
  private nonisolated(unsafe) var lastStart = ContinuousClock.now
  private nonisolated(unsafe) var lastCount = 0
  private nonisolated(unsafe) var unflushed = 0
  private let flushBytes: Int

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
    // After a burst it becomes short again.
    try directory.database.run("PRAGMA journal_size_limit = \(writeAheadLimit)")
    flusher = try WALFlusher(path: directory.path + "/log.sqlite", limit: writeAheadLimit)
    shared.hasEnded = false
    let thread = Thread { [self] in
      while writeGroup(waits: true) {}
      shared.condition.lock()
      shared.hasEnded = true
      shared.condition.broadcast()
      shared.condition.unlock()
    }
    thread.name = "log"
    thread.start()
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
    isSynced = durability == .group
    self.flushBytes = flushBytes
    newest = Atomic(lastSeq)
    try directory.database.run("PRAGMA synchronous = \(durability == .group ? "FULL" : "NORMAL")")
    try directory.database.countWriteAhead()
    shared.hasEnded = true
  }

  /// The newest seq that is written: with `group` it is on disk, with `async` it is with the system. Any thread.
  public var durable: Int64 { newest.load(ordering: .acquiring) }
  /// Bytes of records written since the log was opened. Any thread.
  package var recordBytes: Int { bytesWritten.load(ordering: .relaxed) }

  /// - Parameter body: called on the log's thread after each group.
  public func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { listener.set(body) }

  /// - Parameter body: called once, when the disk refuses: nothing is written from then on.
  public func whenFailed(_ body: @escaping @Sendable (String) -> Void) {
    failureListener.set(body)
  }

  /// - Parameter body: told on the log's thread what people should know: somebody keeps the write-ahead log from
  ///   being emptied.
  public func whenNoticed(_ body: @escaping @Sendable (String) -> Void) { noticeListener.set(body) }

  /// Empties the write-ahead log when nothing is written; a reader's old state puts it off. Any thread, returns at
  /// once.
  func settle() {
    change { group in
      group.kept.append { [self] in
        do {
          if try directory.emptyWriteAheadLog(wait: 0) { directory.note(newest: durable) }
        } catch { fail("\(error)") }
      }
    }
  }

  /// Copies a record.
  @discardableResult
  public func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    if shared.failure != nil { return 0 }
    shared.group.append(seq: seq, record, settling: events, contents: contents)
    if shared.isIdle { shared.condition.broadcast() }
    return Self.bytesWaiting - shared.group.records.count
  }

  /// What is being written does not count: the next group may be gathered meanwhile.
  public var room: Int {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure == nil ? Self.bytesWaiting - shared.group.records.count : 0
  }

  /// Keeps the event in the group being gathered, unless a record of the same group settles it.
  public func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) {
    let bytes = event.encoded
    change { group in
      group.accepted[event.id] = bytes
      group.kept.append(whenKept)
    }
  }

  /// - Parameter body: what `perform` calls until its work is written, when the log has no thread.
  package func whenWaiting(_ body: @escaping @Sendable () -> Void) { stepper.set { _ in body() } }

  /// Does other work on the database, in the transaction of the next group. Returns when that is written.
  ///
  /// - Throws: `StorageError` when the log has failed.
  func perform(_ job: @escaping LogGroup.Job) throws {
    let end = GroupEnd()
    change { group in
      group.jobs.append(job)
      group.waiting.append(end.come)
    }
    while let stepper = stepper.body, !end.hasCome { stepper(()) }
    try end.wait()
  }

  private func change(_ body: (inout LogGroup) -> Void) {
    shared.condition.lock()
    var refused = LogGroup()
    if shared.failure == nil { body(&shared.group) } else { body(&refused) }
    let failure = shared.failure
    if shared.isIdle { shared.condition.broadcast() }
    shared.condition.unlock()
    for body in refused.waiting { body(failure.map { StorageError($0) }) }
  }

  /// Why nothing is written any more; nil while all is well. Any thread.
  package var failure: String? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure
  }

  /// Returns when all that was appended is written, or the disk has refused.
  public func flush() {
    shared.condition.lock()
    while (!shared.group.isEmpty || shared.isWriting) && shared.failure == nil && !shared.hasEnded {
      shared.condition.wait()
    }
    let isStepped = shared.hasEnded
    shared.condition.unlock()
    if isStepped { while writeGroup(waits: false) {} }
  }

  /// Writes what is left, ends the writer and lets another host have the directory. Safe to call twice.
  public func close() {
    flush()
    shared.condition.lock()
    shared.isClosing = true
    shared.condition.broadcast()
    while !shared.hasEnded { shared.condition.wait() }
    shared.condition.unlock()
    if let flusher {
      flusher.stop()
      self.flusher = nil
      // Best effort: everything is on disk, in a larger file at worst.
      if failure == nil, (try? directory.compact()) == true { directory.note(newest: durable) }
    }
    directory.close()
  }

  // MARK: The writer's side

  /// Writes one group and tells who waits for it. One thread at a time.
  ///
  /// - Parameter waits: for something to write.
  /// - Returns: false when there is nothing to write (without waiting: now; else: ever again).
  package func writeGroup(waits: Bool) -> Bool {
    guard var group = take(waits: waits) else { return false }
    do {
      try group.write(to: directory.database, at: directory.clock.now())
      // What nobody will find is not kept, and must not be acknowledged.
      if directory.isGone { throw StorageError(Self.gone(directory.path)) }
    } catch {
      fail("\(error)", group.waiting)
      return false
    }
    bytesWritten.add(group.records.count, ordering: .relaxed)
    let hasRecords = !group.records.isEmpty
    if hasRecords {
      newest.store(group.last, ordering: .releasing)
      if isSynced { directory.note(newest: group.last) }
    }
    // A row of another table fills less than a page.
    let bytes = group.records.count + (group.accepted.count + group.settled.count + group.jobs.count) << 12
    shared.condition.lock()
    // Of a rare large group nothing is kept.
    group.records.removeAll(keepingCapacity: group.records.capacity <= 4 * Self.fullGroup)
    swap(&shared.spare, &group.records)
    shared.isWriting = false
    shared.condition.broadcast()
    shared.condition.unlock()
    if hasRecords { listener(group.last) }
    for body in group.kept { body() }
    for body in group.waiting { body(nil) }
    do { try flush(after: bytes) } catch {
      fail("\(error)")
      return false
    }
    return true
  }

  private func flush(after bytes: Int) throws {
    if let flusher {
      if let notice = try flusher.afterGroup(directory.database) { noticeListener(notice) }
      return
    }
    unflushed += bytes
    guard unflushed >= flushBytes else { return }
    unflushed = 0
    try directory.database.run("PRAGMA wal_checkpoint(PASSIVE)")
  }

  private static func gone(_ path: String) -> String {
    "\(path): the data directory was removed, moved or replaced while the host ran"
  }

  /// Takes all that has come; nothing, when the directory is found to be gone meanwhile.
  private func take(waits: Bool) -> LogGroup? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    if shared.failure != nil { return nil }
    while shared.group.isEmpty {
      if shared.isClosing || !waits { return nil }
      shared.isIdle = true
      shared.condition.wait(for: Self.lookInterval)
      if shared.group.isEmpty, directory.isGone { break }
    }
    shared.isIdle = false
    if waits { gather() }
    var group = LogGroup()
    swap(&group.records, &shared.spare)
    swap(&group, &shared.group)
    shared.isWriting = true
    return group
  }

  /// While much comes in, a group waits until a while after the one before began: few large groups cost less
  /// than many small ones, each of which writes whole pages and syncs. A lone commit waits for nobody.
  private func gather() {
    let now = ContinuousClock.now
    if lastCount >= Self.busyGroup, !shared.isClosing {
      let until = lastStart + Self.interval
      while ContinuousClock.now < until, shared.group.records.count < Self.fullGroup, !shared.isClosing {
        shared.condition.wait(for: until - .now)
      }
    }
    lastStart = max(now, ContinuousClock.now)
    lastCount = shared.group.count
  }

  /// - Parameter waiting: who waits for the group that could not be written.
  private func fail(_ message: String, _ waiting: [LogGroup.Waiting] = []) {
    shared.condition.lock()
    shared.failure = message
    let waiting = waiting + shared.group.waiting
    shared.group.removeAll()
    shared.isWriting = false
    shared.condition.broadcast()
    shared.condition.unlock()
    for body in waiting { body(StorageError(message)) }
    failureListener(message)
  }
}

/// Lets one thread wait until a group is written, or never will be.
private final class GroupEnd: @unchecked Sendable {  // guarded by `condition`
  private let condition = NSCondition()
  private var result: Result<Void, StorageError>?

  @Sendable func come(_ failure: StorageError?) {
    condition.lock()
    result = failure.map { .failure($0) } ?? .success(())
    condition.broadcast()
    condition.unlock()
  }

  var hasCome: Bool {
    condition.lock()
    defer { condition.unlock() }
    return result != nil
  }

  func wait() throws(StorageError) {
    condition.lock()
    while result == nil { condition.wait() }
    let result = result!
    condition.unlock()
    try result.get()
  }
}
