import Glibc
import TriggerCore

/// One event for one trigger, from admission to its outcome.
///
/// Fields of the event change only while it is queued, when a newer one takes its place. The rest belongs to
/// whoever holds the operation: the queue, then the worker that runs it, then the engine lock's holder; the engine
/// lock hands it over. So no two accesses overlap, and none is checked for that (Architecture.md, Targets).
package final class Operation: GatedRun, @unchecked Sendable {
  // Kept by its set for as long as this is queued or undecided, or by `owned`: no reference counting per
  // operation. Changes while it is queued, when a newer set is put in force.
  @exclusivity(unchecked) package unowned(unsafe) var trigger: LoadedTrigger
  /// Its trigger went away while it was queued.
  @exclusivity(unchecked) package private(set) var isGone = false
  /// Of the most urgent event that it stands for. Engine lock.
  @exclusivity(unchecked) package var priority: Priority
  @exclusivity(unchecked) package private(set) var hops: UInt8
  @exclusivity(unchecked) package private(set) var kind: EventKind
  @exclusivity(unchecked) package private(set) var source: UInt64
  /// The commit that emitted its event; nil for one from outside.
  @exclusivity(unchecked) package private(set) var cause: LogRecord.Cause?
  /// The event from outside, when that is more than this operation.
  @exclusivity(unchecked) package private(set) var outside: OutsideEvent?
  /// What it tries again; nil for a first try.
  @exclusivity(unchecked) package private(set) var retry: Retry?
  /// It waits outside the queue until then; nil: it does not.
  package let due: MonotonicTime?
  /// Operations with equal keys keep their arrival order: trigger and source, or trigger and `order_by`.
  package let orderKey: UInt64
  /// Admission time, nanoseconds since 1970.
  @exclusivity(unchecked) package private(set) var admitted: Int64
  /// How often the wall clock had been set by then.
  @exclusivity(unchecked) package var clockSteps = 0
  /// Event name and payload in one block: name bytes, then the payload in canonical encoding.
  private var block: UnsafeMutableRawPointer
  @exclusivity(unchecked) package private(set) var nameCount: Int
  @exclusivity(unchecked) package private(set) var payloadCount: Int
  package let coalesceKey: UInt64
  /// 0: passes no gate.
  package let gateKey: UInt64
  /// Called with the outcome, after the commit is as durable as the mode promises. Never under the lock.
  @exclusivity(unchecked) package private(set) var completion: (@Sendable (OperationResult) -> Void)?
  /// Set when somebody may take the operation back. Changes only while it is queued.
  @exclusivity(unchecked) package var cancellation: Cancellation?
  /// Keeps the trigger of an operation that no set of triggers in force keeps.
  private var owned: LoadedTrigger?

  /// What an operation tries again. On its own, since few operations have it and all have room for it.
  package final class Retry: Sendable {
    /// The failed seq.
    package let seq: Int64
    /// Tries before this one; 0: somebody has put it back.
    package let tries: Int
    /// Who sent the event of the failed seq, when it had a key.
    package let sender: LogRecord.Sender?

    package init(of seq: Int64, tries: Int, sender: LogRecord.Sender?) {
      self.seq = seq
      self.tries = tries
      self.sender = sender
    }
  }
  package var retryOf: Int64? { retry?.seq }
  package var tries: Int { retry?.tries ?? 0 }
  package var sender: LogRecord.Sender? { retry?.sender }

  /// The operations that came of one cause, over all hops. Engine lock.
  package final class Family {
    @exclusivity(unchecked) package var count = 0
    package init() {}
  }
  /// Nil until it, or what it came of, has emitted.
  @exclusivity(unchecked) package var family: Family?

  /// The first seq: the operation's identity. 0 until dequeued.
  @exclusivity(unchecked) package var identity: Int64
  /// The current seq, 0 while it has none (queued, or deferred and running on).
  @exclusivity(unchecked) package var seq: Int64 = 0
  /// When its attempt was given to a worker, and the CPU time the attempt was seen to have taken.
  @exclusivity(unchecked) package var begun = MonotonicTime(nanoseconds: 0)
  @exclusivity(unchecked) package var cpuTaken: Int64 = 0
  @exclusivity(unchecked) package var isParked = false
  /// The order key whose turn it has (`Parking`); 0: none. Engine lock.
  @exclusivity(unchecked) package var turnKey: UInt64 = 0
  /// What it read counts no more, for it waits for another one's turn, for as long as that may take.
  @exclusivity(unchecked) package var isStale = false
  /// Its trigger's gate has dropped it: it gets a seq, for the log to tell, and ends `skipped`.
  @exclusivity(unchecked) package var isDropped = false
  /// Another has taken its place while it was queued: it gets no seq, and goes when its turn comes.
  @exclusivity(unchecked) package var isSuperseded = false
  /// It was admitted by an earlier run of the host, and had no seq.
  @exclusivity(unchecked) package var hasWaited = false
  @exclusivity(unchecked) package var isRunning = false
  @exclusivity(unchecked) package var attempts: Int32 = 0
  @exclusivity(unchecked) package var conflicts: Int32 = 0
  @exclusivity(unchecked) package var deferrals: Int32 = 0
  /// Attempts whose snapshot was taken away.
  @exclusivity(unchecked) package var expiries: Int32 = 0
  @exclusivity(unchecked) package var attempt: Attempt?
  /// Events whose place this one took: they are superseded by it.
  @exclusivity(unchecked) package var absorbed: [Absorbed] = []

  /// What another operation leaves behind when this one takes its place.
  package struct Absorbed: Sendable {
    /// Where it came from; nil when nobody has a name for that.
    package enum Origin: Sendable {
      case event(OutsideEvent)
      case commit(LogRecord.Cause)
      case retry(Retry)
    }

    package var completion: (@Sendable (OperationResult) -> Void)?
    package var origin: Origin?
    package var outside: OutsideEvent? {
      if case .event(let event)? = origin { event } else { nil }
    }
  }

  /// Where it came from, when somebody has a name for that: then the log tells how it ends.
  package var origin: Absorbed.Origin? {
    outside.map { .event($0) } ?? cause.map { .commit($0) } ?? retry.map { .retry($0) }
  }

  /// Who is to know what comes of it.
  package var senderOfEvent: LogRecord.Sender? { sender ?? outside?.named.sender }

  /// Takes the place of another operation of its trigger.
  package func absorb(_ other: Operation) {
    // What has gathered moves on as it is: copied for each event that a gate holds, it would be the square of them.
    if absorbed.isEmpty {
      (absorbed, other.absorbed) = (other.absorbed, absorbed)
    } else {
      absorbed += other.absorbed
    }
    if other.completion != nil || other.origin != nil {
      absorbed.append(Absorbed(completion: other.completion, origin: other.origin))
    }
    // One that was put back is known by the failed seq, too.
    if other.outside != nil, let retry = other.retry {
      absorbed.append(Absorbed(origin: .retry(retry)))
    }
  }

  /// What an operation brings that tries another one again, or was admitted by an earlier run of the host. On its own, since
  /// most have none of it.
  package final class Past {
    /// Given before the host's last stop; 0: none yet.
    @exclusivity(unchecked) package var identity: Int64 = 0
    /// Nil: now.
    @exclusivity(unchecked) package var admitted: Int64?
    /// What it tries again, and when.
    @exclusivity(unchecked) package var retry: Retry?
    @exclusivity(unchecked) package var due: MonotonicTime?
    /// It was admitted by an earlier run, and has not been dequeued.
    @exclusivity(unchecked) package var hasWaited = false
    /// It keeps its place among those with its order key: which one, or with true its own.
    @exclusivity(unchecked) package var turnKey: UInt64 = 0
    @exclusivity(unchecked) package var takesTurn = false
    /// Of an operation of an earlier run.
    @exclusivity(unchecked) package var outside: OutsideEvent?
    @exclusivity(unchecked) package var absorbed: [Absorbed] = []
  }

  package init(
    trigger: LoadedTrigger, priority: Priority, hops: UInt8, orderKey: UInt64, admitted: Int64,
    kind: EventKind = .event, source: UInt64 = 0, cause: LogRecord.Cause? = nil,
    outside: OutsideEvent? = nil, identity: Int64 = 0, past: Past? = nil,
    name: UnsafeBufferPointer<UInt8>, payload: UnsafeBufferPointer<UInt8>, coalesceKey: UInt64 = 0,
    gateKey: UInt64 = 0,
    completion: (@Sendable (OperationResult) -> Void)? = nil, cancellation: Cancellation? = nil,
    clockSteps: Int = 0, family: Family? = nil
  ) {
    // All is set here and not afterwards: outside of `init` each would be an access to check for exclusivity.
    if let past {
      retry = past.retry
      due = past.due
      absorbed = past.absorbed
      hasWaited = past.hasWaited
      turnKey = past.takesTurn ? orderKey : past.turnKey
    } else {
      retry = nil
      due = nil
    }
    self.clockSteps = clockSteps
    self.family = family
    self.trigger = trigger
    self.cancellation = cancellation
    // One of an earlier run may have a trigger of any set, and sets come and go while it is on its way.
    if trigger.isAdopted || identity != 0 { owned = trigger }
    self.priority = priority
    self.hops = hops
    self.kind = kind
    self.source = source
    self.cause = cause
    self.outside = outside
    self.identity = identity
    self.orderKey = orderKey
    self.admitted = admitted
    self.coalesceKey = coalesceKey
    self.gateKey = gateKey
    self.completion = completion
    nameCount = name.count
    payloadCount = payload.count
    block = malloc(max(name.count &+ payload.count, 1))!
    if name.count > 0 { memcpy(block, name.baseAddress!, name.count) }
    if payload.count > 0 { memcpy(block + name.count, payload.baseAddress!, payload.count) }
  }

  deinit { free(block) }

  package var name: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: UnsafePointer(block.assumingMemoryBound(to: UInt8.self)), count: nameCount)
  }
  package var payload: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(
      start: UnsafePointer((block + nameCount).assumingMemoryBound(to: UInt8.self)), count: payloadCount)
  }

  /// Its trigger is in force no more: it will not run, and may outlive the set that the trigger is of.
  package func loseTrigger() {
    isGone = true
    owned = trigger
  }

  package var isCancelled: Bool { cancellation?.isCancelled ?? false }

  /// Coalescing: the newer event stands where this one stood, whole, and this one's is superseded by it. What is
  /// of the place stays: the order key, and what gates and lanes know it by.
  package func giveWay(to newer: Operation) {
    // Not `swap`: a property that is handed to it is checked for exclusivity wherever it is read.
    (hops, newer.hops) = (newer.hops, hops)
    (kind, newer.kind) = (newer.kind, kind)
    (source, newer.source) = (newer.source, source)
    (cause, newer.cause) = (newer.cause, cause)
    (outside, newer.outside) = (newer.outside, outside)
    (retry, newer.retry) = (newer.retry, retry)
    (admitted, newer.admitted) = (newer.admitted, admitted)
    (clockSteps, newer.clockSteps) = (newer.clockSteps, clockSteps)
    (completion, newer.completion) = (newer.completion, completion)
    (cancellation, newer.cancellation) = (newer.cancellation, cancellation)
    (family, newer.family) = (newer.family, family)
    (block, newer.block) = (newer.block, block)
    (nameCount, newer.nameCount) = (newer.nameCount, nameCount)
    (payloadCount, newer.payloadCount) = (newer.payloadCount, payloadCount)
    absorb(newer)
  }
}

/// One execution of an operation: the snapshot it ran on, what it read, what it would write, how it went.
///
/// Belongs to the worker that runs it, then to the holder of the engine lock. Checks for exclusivity of what each
/// attempt touches were 2 % of an operation's CPU time.
package final class Attempt {
  package enum Status { case succeeded, failed, killed }

  package init() {}

  @exclusivity(unchecked) package var snapshot: Int64 = 0
  @exclusivity(unchecked) package var reads = ReadSet()
  @exclusivity(unchecked) package var writes = WriteSet()
  @exclusivity(unchecked) package var status = Status.succeeded
  /// Why it failed, or was dropped.
  @exclusivity(unchecked) package var failure: Failure?
  /// Nil when it logged nothing.
  @exclusivity(unchecked) package var logs: ScriptLines?
  /// Its snapshot was held for too long: whatever it did does not count. Engine lock.
  @exclusivity(unchecked) package var isExpired = false
  /// The context of a Swift trigger's attempt: how its snapshot is taken away.
  @exclusivity(unchecked) package var context: ExecutionContext?
  // Worker's thread only, during the run.
  @exclusivity(unchecked) package var cursors: [ScanCursor] = []
  /// What cursors and log lines take in memory, about.
  @exclusivity(unchecked) package var otherBytes = 0
  /// Which of its keys triggers that are bound to commits hear of, when the attempt's thread has found out.
  @exclusivity(unchecked) package private(set) var heard: CommitBindings.Heard?
  /// For stores that it named and that were not there. Worker's thread, then engine lock.
  @exclusivity(unchecked) package private(set) var standIns: [StoreTable] = []

  /// Stores that are not there yet and one execution may name.
  package static let mostStandIns = 1000

  /// The store of a name, for this execution.
  func open(_ name: String, in stores: StoreDirectory) throws(StoreDirectory.Refusal) -> StoreTable {
    if let known = standIns.first(where: { ExactText($0.name) == ExactText(name) }) { return known }
    let table = try stores.open(name)
    guard table.isStandIn else { return table }
    if standIns.count >= Self.mostStandIns {
      throw StoreDirectory.Refusal(
        message: "one execution may name at most \(Self.mostStandIns) stores that are not there yet")
    }
    standIns.append(table)
    otherBytes &+= 1024
    return table
  }

  /// Compares the keys that it changes with what triggers are bound to. O(writes × patterns): better here than under
  /// the engine lock. Of a replacement nobody knows yet what it changes.
  package func tell(_ bindings: CommitBindings) {
    var keys: [Committer.ChangedKey] = []
    for index in 0..<writes.count {
      guard case .change(let change, let table) = writes.writes[index].action else { continue }
      if change == .replace { return }
      keys.append(Committer.ChangedKey(table: table, key: Array(writes.writes[index].keyBytes)))
    }
    if !keys.isEmpty { heard = bindings.hear(keys) }
  }

  /// Stores may have come since it named them. O(reads and writes) then.
  package func findStores(in stores: StoreDirectory) {
    var found: [ObjectIdentifier: StoreTable] = [:]
    for table in standIns { found[ObjectIdentifier(table)] = stores.store(for: table) }
    if found.isEmpty { return }
    reads.move { found[ObjectIdentifier($0)] }
    writes.move { found[ObjectIdentifier($0)] }
  }

  /// Its snapshot is not kept for it any more, so what it points at may be freed; nothing of it counts anyway.
  package func forgetKeys() {
    reads.removeAll()
    writes.removeAll()
  }

  package func reset() {
    otherBytes = 0
    reads.removeAll()
    writes.removeAll()
    status = .succeeded
    isExpired = false
    if context != nil { context = nil }
    if failure != nil { failure = nil }
    if logs != nil { logs = nil }
    if !cursors.isEmpty { cursors.removeAll() }
    if !standIns.isEmpty { standIns.removeAll() }
    if heard != nil { heard = nil }
  }
}

/// One `print` or `ctx:log` of a script.
public struct ExecutionLog: Sendable {
  /// `debug`, `info`, `warning` or `error`; `info` for `print`.
  public let level: String
  /// The text as the script gave it, 64 KiB of it at most; bytes that are not UTF-8 are spelt out, as `\x80`.
  public let message: String
  /// Fields given to `ctx:log`, nil for `print`.
  public let fields: Value?
  /// `file:line` of the call.
  public let place: String
}

/// A prefix scan in progress.
package final class ScanCursor {
  package let table: StoreTable
  package let prefix: [UInt8]
  package let snapshot: Int64
  @exclusivity(unchecked) package var entry: UnsafeMutablePointer<Entry>?
  /// See `LuaRunner.interruption`.
  @exclusivity(unchecked) package var interruption: (() -> Void)?

  package init(table: StoreTable, prefix: [UInt8], snapshot: Int64) {
    self.table = table
    self.prefix = prefix
    self.snapshot = snapshot
    entry = prefix.withUnsafeBufferPointer { table.firstEntry(prefix: $0) }
  }

  /// The next visible entry in byte order.
  package func next() -> (UnsafeMutablePointer<Entry>, UnsafeMutablePointer<Version>)? {
    while let current = entry {
      entry = prefix.withUnsafeBufferPointer { table.nextEntry(current, prefix: $0) }
      if let version = Entry.visible(current, at: snapshot), !version.isDeleted {
        return (current, version)
      }
    }
    return nil
  }
}
