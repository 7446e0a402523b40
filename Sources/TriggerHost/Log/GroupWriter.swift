import Synchronization
import TriggerCore

/// The commit log over a store: the engine hands over records, and one thread writes them in groups.
///
/// A group has the records that came while the group before was written. So groups grow with the load, and a lone
/// commit waits for no other. Any thread.
package final class GroupWriter: CommitLog {
  /// False: replay finds out again what was read.
  package let wantsReads = false
  private let store: any LogStore
  private let epoch: Int64
  /// The clock for the times of blocks.
  package let clock: any EngineClock
  private let shared = Shared()
  private let newest: Atomic<Int64>
  private let bytesWritten = Atomic<Int>(0)
  private let listener = Listener<Int64>()
  private let stepper = Listener<Void>()
  private let failureListener = Listener<LogFailure>()

  /// The next group, and the functions to call when it is written.
  private struct Gathered {
    var group = LogGroup()
    /// Called when this group is written.
    var kept: [@Sendable () -> Void] = []
    /// Called when this group is written, or cannot be written any more.
    var waiting: [Waiting] = []

    var isEmpty: Bool { group.isEmpty && kept.isEmpty && waiting.isEmpty }
  }

  /// - Parameter failure: why the group could not be written; nil: it is written.
  private typealias Waiting = @Sendable (_ failure: LogFailure?) -> Void

  /// The state that threads share. Guarded by `condition`.
  private final class Shared: @unchecked Sendable {
    let condition = Condition()
    var gathered = Gathered()
    /// The memory of the group before, for the next group.
    var spare: [UInt8] = []
    var isClosing = false
    /// True while there is no writing thread: not yet, not any more, or never.
    var hasEnded = true
    var isWriting = false
    /// True while the writing thread waits for something to write.
    var isIdle = false
    var failure: LogFailure?
  }

  /// How many bytes of records may wait for the disk before the log is behind.
  private static let bytesWaiting = 32 << 20

  /// How often an idle writer looks whether its store is still there.
  private static let lookInterval = Duration.seconds(1)
  /// After a group of so many records the load is high, and the next group waits (`gather`).
  private static let busyGroup = 32
  /// The least time between the starts of two groups while the load is high.
  private static let interval = Duration.milliseconds(1)
  /// A group of so many bytes waits no longer.
  private static let fullGroup = 1 << 20
  // Used by the writing thread only.
  private nonisolated(unsafe) var lastStart = ContinuousClock.now
  private nonisolated(unsafe) var lastCount = 0

  /// A writer without a thread. Until `start`, its owner calls `writeGroup`.
  ///
  /// - Parameters:
  ///   - epoch: what everything is written under.
  ///   - lastSeq: the newest seq in the store.
  package init(_ store: any LogStore, epoch: Int64, lastSeq: Int64, clock: any EngineClock) {
    self.store = store
    self.epoch = epoch
    self.clock = clock
    newest = Atomic(lastSeq)
  }

  /// Starts the writing thread. Call it once.
  package func start() {
    shared.hasEnded = false
    Thread.detach(name: "log") { [self] in
      while writeGroup(waits: true) {}
      shared.condition.lock()
      shared.hasEnded = true
      // Whoever came between the last look and now.
      let late = shared.gathered.waiting
      shared.gathered.waiting = []
      shared.condition.broadcast()
      shared.condition.unlock()
      for body in late { body(.closed) }
    }
  }

  /// The newest seq that is written, as durable as the store promises. Any thread.
  package var durable: Int64 { newest.load(ordering: .acquiring) }
  /// How many bytes of records were written since the log was opened. Any thread.
  package var recordBytes: Int { bytesWritten.load(ordering: .relaxed) }

  /// - Parameter body: called on the writing thread after each group that has records, with the newest seq.
  package func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { listener.set(body) }

  /// - Parameter body: called once, when the store has failed. The log writes nothing from then on.
  package func whenFailed(_ body: @escaping @Sendable (LogFailure) -> Void) { failureListener.set(body) }

  /// Copies a record into the next group.
  @discardableResult
  package func append(
    seq: Int64, _ record: UnsafeRawBufferPointer, settling events: [EventID], contents: [Range<Int>]
  ) -> Int {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    if shared.failure != nil { return 0 }
    shared.gathered.group.append(seq: seq, record, settling: events, contents: contents)
    if shared.isIdle { shared.condition.broadcast() }
    return Self.bytesWaiting - shared.gathered.group.records.count
  }

  /// How many bytes the next group can take before the log is behind. The group that is being written does not count.
  package var room: Int {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure == nil ? Self.bytesWaiting - shared.gathered.group.records.count : 0
  }

  /// Keeps the event with the next group, unless a record of the same group settles it.
  package func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) {
    let bytes = event.encoded
    change { gathered in
      gathered.group.accept(event.id, bytes)
      gathered.kept.append(whenKept)
    }
  }

  /// - Parameter body: called by `perform` until its jobs are written, for a log without a thread.
  package func whenWaiting(_ body: @escaping @Sendable () -> Void) { stepper.set { _ in body() } }

  /// Does jobs with the next group. Returns when the group, and with it everything that came before, is written.
  ///
  /// - Throws: why the log has failed.
  package func perform(_ jobs: [LogJob]) throws(LogFailure) { try perform(LogGroup(jobs: jobs)) }

  /// Writes accepted events and jobs with the next group, as above.
  ///
  /// - Parameter group: has no records.
  package func perform(_ group: LogGroup) throws(LogFailure) {
    let end = GroupEnd()
    change { gathered in
      gathered.group.add(group)
      gathered.waiting.append(end.come)
    }
    while let stepper = stepper.body, !end.hasCome { stepper(()) }
    try end.wait()
  }

  /// Lets the store settle after the next group, since nothing comes in. Any thread, returns at once.
  package func compact() {
    change {
      $0.kept.append { [self] in
        do throws(LogFailure) { try store.compact(newest: durable) } catch { fail(error) }
      }
    }
  }

  private func change(_ body: (inout Gathered) -> Void) {
    shared.condition.lock()
    var refused = Gathered()
    // Nobody writes what comes after the end.
    let failure = shared.failure ?? (shared.isClosing && shared.hasEnded ? .closed : nil)
    if failure == nil { body(&shared.gathered) } else { body(&refused) }
    if shared.isIdle { shared.condition.broadcast() }
    shared.condition.unlock()
    for body in refused.waiting { body(failure) }
  }

  /// Why the log writes nothing any more; nil while it writes. Any thread.
  package var failure: LogFailure? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure
  }

  /// Returns when everything that was appended is written, or the log has failed.
  package func flush() {
    shared.condition.lock()
    while (!shared.gathered.isEmpty || shared.isWriting) && shared.failure == nil && !shared.hasEnded {
      shared.condition.wait()
    }
    let isStepped = shared.hasEnded
    shared.condition.unlock()
    if isStepped { while writeGroup(waits: false) {} }
  }

  /// Writes what is left and ends the writing thread. Safe to call twice.
  package func close() {
    flush()
    shared.condition.lock()
    shared.isClosing = true
    shared.condition.broadcast()
    while !shared.hasEnded { shared.condition.wait() }
    shared.condition.unlock()
  }

  // MARK: The writer's side

  /// Writes one group and calls the functions that wait for it. One thread at a time.
  ///
  /// - Parameter waits: true: waits until there is something to write.
  /// - Returns: false when there is nothing to write: now or, with `waits`, ever again. False too when the log has
  ///   failed.
  package func writeGroup(waits: Bool) -> Bool {
    var gathered = Gathered()
    do throws(LogFailure) {
      guard let taken = try take(waits: waits) else { return false }
      gathered = taken
      gathered.group.time = clock.now()
      try store.write(gathered.group, epoch: epoch)
    } catch {
      fail(error, gathered.waiting)
      return false
    }
    let bytes = gathered.group.records.count
    bytesWritten.add(bytes, ordering: .relaxed)
    if bytes > 0 { newest.store(gathered.group.last, ordering: .releasing) }
    shared.condition.lock()
    // The memory of a rare large group is given back.
    shared.spare = gathered.group.takeMemory(atMost: 4 * Self.fullGroup)
    shared.isWriting = false
    shared.condition.broadcast()
    shared.condition.unlock()
    if bytes > 0 { listener(gathered.group.last) }
    for body in gathered.kept { body() }
    for body in gathered.waiting { body(nil) }
    do throws(LogFailure) { try store.tidy() } catch {
      fail(error)
      return false
    }
    return true
  }

  /// Takes the next group; nil when there is none.
  ///
  /// - Throws: when the store is gone (`LogStore.look`).
  private func take(waits: Bool) throws(LogFailure) -> Gathered? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    if shared.failure != nil { return nil }
    while shared.gathered.isEmpty {
      if shared.isClosing || !waits { return nil }
      shared.isIdle = true
      shared.condition.wait(for: Self.lookInterval)
      if shared.gathered.isEmpty { try look() }
    }
    shared.isIdle = false
    if waits { gather() }
    var gathered = Gathered()
    gathered.group.reuse(&shared.spare)
    swap(&gathered, &shared.gathered)
    shared.isWriting = true
    return gathered
  }

  /// Asks an idle writer's store. The lock is free meanwhile, for the engine waits for it.
  private func look() throws(LogFailure) {
    shared.condition.unlock()
    defer { shared.condition.lock() }
    try store.look(epoch: epoch)
  }

  /// Waits for more records while the load is high, until `interval` after the start of the group before. Few large
  /// groups cost less than many small groups, because each group writes whole pages and syncs. A lone commit does not
  /// wait.
  private func gather() {
    let now = ContinuousClock.now
    if lastCount >= Self.busyGroup, !shared.isClosing {
      let until = lastStart + Self.interval
      while ContinuousClock.now < until, shared.gathered.group.records.count < Self.fullGroup,
        !shared.isClosing
      {
        shared.condition.wait(for: until - .now)
      }
    }
    lastStart = max(now, ContinuousClock.now)
    lastCount = shared.gathered.group.count
  }

  /// Nothing is written any more.
  private func fail(_ failure: LogFailure) { fail(failure, []) }

  /// - Parameter waiting: the functions that wait for the group that could not be written.
  private func fail(_ failure: LogFailure, _ waiting: [Waiting]) {
    shared.condition.lock()
    shared.failure = failure
    let waiting = waiting + shared.gathered.waiting
    shared.gathered = Gathered()
    shared.isWriting = false
    shared.condition.broadcast()
    shared.condition.unlock()
    for body in waiting { body(failure) }
    failureListener(failure)
  }
}

/// Lets one thread wait until a group is written, or cannot be written any more.
private final class GroupEnd: @unchecked Sendable {  // guarded by `condition`
  private let condition = Condition()
  private var result: Result<Void, LogFailure>?

  @Sendable func come(_ failure: LogFailure?) {
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

  func wait() throws(LogFailure) {
    condition.lock()
    while result == nil { condition.wait() }
    let result = result!
    condition.unlock()
    try result.get()
  }
}
