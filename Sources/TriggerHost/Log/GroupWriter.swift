import Synchronization
import TriggerCore

/// The commit log over a store: the engine hands over records, one thread writes them in groups.
///
/// A group is whatever has come while the last one was written, so it grows with the load and a lone commit
/// waits for nobody. Any thread.
package final class GroupWriter: CommitLog {
  /// Reads are not logged: replay makes them again.
  package let wantsReads = false
  private let store: any LogStore
  private let epoch: Int64
  /// What the times of blocks come from.
  package let clock: any EngineClock
  private let shared = Shared()
  private let newest: Atomic<Int64>
  private let bytesWritten = Atomic<Int>(0)
  private let listener = Listener<Int64>()
  private let stepper = Listener<Void>()
  private let failureListener = Listener<LogFailure>()

  /// What waits to be written, and who waits for that.
  private struct Gathered {
    var group = LogGroup()
    /// Who was promised something that this group keeps.
    var kept: [@Sendable () -> Void] = []
    /// Who waits until this group is written, or will not be.
    var waiting: [Waiting] = []

    var isEmpty: Bool { group.isEmpty && kept.isEmpty && waiting.isEmpty }
  }

  /// - Parameter failure: why the group could not be written.
  private typealias Waiting = @Sendable (_ failure: LogFailure?) -> Void

  /// Guarded by its condition.
  private final class Shared: @unchecked Sendable {
    let condition = Condition()
    var gathered = Gathered()
    /// Memory of the group before, for the next one.
    var spare: [UInt8] = []
    var isClosing = false
    /// There is no thread: not yet, not any more, or never.
    var hasEnded = true
    var isWriting = false
    /// The writer waits for something to write.
    var isIdle = false
    var failure: LogFailure?
  }

  /// Bytes of records that may wait for the disk before the log is behind.
  private static let bytesWaiting = 32 << 20

  /// How often an idle writer looks whether its store is there.
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

  /// A writer without a thread: until `start`, whoever made it calls `writeGroup`.
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

  /// Starts the thread that writes. Once.
  package func start() {
    shared.hasEnded = false
    Thread.detach(name: "log") { [self] in
      while writeGroup(waits: true) {}
      shared.condition.lock()
      shared.hasEnded = true
      shared.condition.broadcast()
      shared.condition.unlock()
    }
  }

  /// The newest seq that is written, as durable as the store promises. Any thread.
  package var durable: Int64 { newest.load(ordering: .acquiring) }
  /// Bytes of records written since the log was opened. Any thread.
  package var recordBytes: Int { bytesWritten.load(ordering: .relaxed) }

  /// - Parameter body: called on the log's thread after each group.
  package func whenDurable(_ body: @escaping @Sendable (Int64) -> Void) { listener.set(body) }

  /// - Parameter body: called once, when the store refuses: nothing is written from then on.
  package func whenFailed(_ body: @escaping @Sendable (LogFailure) -> Void) { failureListener.set(body) }

  /// Copies a record.
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

  /// What is being written does not count: the next group may be gathered meanwhile.
  package var room: Int {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure == nil ? Self.bytesWaiting - shared.gathered.group.records.count : 0
  }

  /// Keeps the event in the group being gathered, unless a record of the same group settles it.
  package func accept(_ event: AcceptedEvent, whenKept: @escaping @Sendable () -> Void) {
    let bytes = event.encoded
    change { gathered in
      gathered.group.accept(event.id, bytes)
      gathered.kept.append(whenKept)
    }
  }

  /// - Parameter body: what `perform` calls until its work is written, when the log has no thread.
  package func whenWaiting(_ body: @escaping @Sendable () -> Void) { stepper.set { _ in body() } }

  /// Does other work, in the next group. Returns when that is written, and with it everything that came before.
  ///
  /// - Throws: why the log has failed.
  package func perform(_ jobs: [LogJob]) throws(LogFailure) {
    let end = GroupEnd()
    change { gathered in
      gathered.group.jobs += jobs
      gathered.waiting.append(end.come)
    }
    while let stepper = stepper.body, !end.hasCome { stepper(()) }
    try end.wait()
  }

  /// Lets the store settle after the next group, since nothing comes in. Any thread, returns at once.
  package func settle() {
    change {
      $0.kept.append { [self] in
        do throws(LogFailure) { try store.settle(newest: durable) } catch { fail(error) }
      }
    }
  }

  private func change(_ body: (inout Gathered) -> Void) {
    shared.condition.lock()
    var refused = Gathered()
    if shared.failure == nil { body(&shared.gathered) } else { body(&refused) }
    let failure = shared.failure
    if shared.isIdle { shared.condition.broadcast() }
    shared.condition.unlock()
    for body in refused.waiting { body(failure) }
  }

  /// Why nothing is written any more; nil while all is well. Any thread.
  package var failure: LogFailure? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.failure
  }

  /// Returns when all that was appended is written, or the store has refused.
  package func flush() {
    shared.condition.lock()
    while (!shared.gathered.isEmpty || shared.isWriting) && shared.failure == nil && !shared.hasEnded {
      shared.condition.wait()
    }
    let isStepped = shared.hasEnded
    shared.condition.unlock()
    if isStepped { while writeGroup(waits: false) {} }
  }

  /// Writes what is left and ends the thread. Safe to call twice.
  package func close() {
    flush()
    shared.condition.lock()
    shared.isClosing = true
    shared.condition.broadcast()
    while !shared.hasEnded { shared.condition.wait() }
    shared.condition.unlock()
  }

  // MARK: The writer's side

  /// Writes one group and tells who waits for it. One thread at a time.
  ///
  /// - Parameter waits: for something to write.
  /// - Returns: false when there is nothing to write (without waiting: now; else: ever again).
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
    // Of a rare large group nothing is kept.
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

  /// Takes all that has come.
  ///
  /// - Throws: when the store is found to be gone meanwhile.
  private func take(waits: Bool) throws(LogFailure) -> Gathered? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    if shared.failure != nil { return nil }
    while shared.gathered.isEmpty {
      if shared.isClosing || !waits { return nil }
      shared.isIdle = true
      shared.condition.wait(for: Self.lookInterval)
      if shared.gathered.isEmpty { try store.look() }
    }
    shared.isIdle = false
    if waits { gather() }
    var gathered = Gathered()
    gathered.group.reuse(&shared.spare)
    swap(&gathered, &shared.gathered)
    shared.isWriting = true
    return gathered
  }

  /// While much comes in, a group waits until a while after the one before began: few large groups cost less
  /// than many small ones, each of which writes whole pages and syncs. A lone commit waits for nobody.
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

  /// - Parameter waiting: who waits for the group that could not be written.
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

/// Lets one thread wait until a group is written, or never will be.
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
