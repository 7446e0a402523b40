import Synchronization
import TriggerCore

/// Identity, snapshot and clock of the running Swift trigger. Task-local: child tasks see it too.
///
/// Reading a store through it joins what was read to the attempt's read set.
public final class ExecutionContext: Sendable {
  @TaskLocal public static var current: ExecutionContext?

  /// The operation's first seq: its identity, the same in every attempt.
  public let seq: Int64
  public let trigger: String
  /// Name of the event; empty when the trigger was enqueued directly.
  public let eventName: String
  /// The event.
  public let event: Value
  /// When the event was admitted, nanoseconds since 1970-01-01T00:00:00Z.
  public let admitted: Int64

  let snapshot: Int64
  // The attempt is this task's alone until it ends; children of the task share it, hence the lock.
  private let guarded: Mutex<AttemptBox>
  struct AttemptBox: @unchecked Sendable {  // reached through the mutex only
    var attempt: Attempt?
    var versionsRead: [String: Set<Int64>] = [:]
  }

  init(operation: Operation, attempt: Attempt) {
    seq = operation.identity
    trigger = operation.trigger.name
    eventName = String(decoding: operation.name, as: UTF8.self)
    event = (try? CanonicalEncoding.decode(UnsafeRawBufferPointer(operation.payload))) ?? .map([:])
    admitted = operation.admitted
    snapshot = attempt.snapshot
    guarded = Mutex(AttemptBox(attempt: attempt))
  }

  /// Runs `body` with the attempt's read set, nil once the attempt has ended.
  func record<Result>(_ body: (Attempt?) -> Result) -> Result { guarded.withLock { body($0.attempt) } }

  func noteVersion(_ seq: Int64, of store: String) {
    guarded.withLock { _ = $0.versionsRead[store, default: []].insert(seq) }
  }
  func hasRead(_ seq: Int64, of store: String) -> Bool {
    guarded.withLock { $0.versionsRead[store]?.contains(seq) ?? false }
  }

  /// Late reads of a task that outlives its attempt record nothing.
  func end() { guarded.withLock { $0.attempt = nil } }
}
