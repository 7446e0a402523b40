import Synchronization
import TriggerCore

/// Identity, snapshot and clock of the running Swift trigger. Task-local: child tasks see it too.
///
/// Reading a store through it joins what was read to the attempt's read set.
public final class ExecutionContext: Sendable {
  /// Set in the task that runs a Swift trigger's `execute`; nil outside of one.
  @TaskLocal public static var current: ExecutionContext?

  /// The operation's first seq: its identity, the same in every attempt.
  public let seq: Int64
  /// The running trigger's name.
  public let trigger: String
  /// Name of the event; empty when the trigger was enqueued directly.
  public let eventName: String
  /// The event.
  public let event: Value
  /// When the event was admitted, nanoseconds since 1970-01-01T00:00:00Z.
  public let admitted: Int64

  // Children of the task may read at the same time, and a task may outlive its attempt: hence the lock,
  // held for the whole of a read.
  private let guarded: Mutex<Box>

  private struct Box: @unchecked Sendable {  // reached through the mutex only
    enum State {
      case running(Attempt)
      case ended
      /// The snapshot was held for too long and is no longer kept.
      case expired
    }
    var state: State
    var versionsRead: [String: Set<Int64>] = [:]
  }

  package init(operation: Operation, attempt: Attempt) {
    seq = operation.identity
    trigger = operation.trigger.name
    eventName = String(decoding: operation.name, as: UTF8.self)
    event = (try? CanonicalEncoding.decode(UnsafeRawBufferPointer(operation.payload))) ?? .map([:])
    admitted = operation.admitted
    guarded = Mutex(Box(state: .running(attempt)))
  }

  /// Runs `body` with the attempt whose snapshot and read set a store read uses.
  ///
  /// - Throws: `StoreError` once the attempt has ended or its snapshot is gone.
  package func read<Result>(_ body: (Attempt) throws -> Result) throws -> Result {
    try guarded.withLock { box in
      switch box.state {
      case .running(let attempt): return try body(attempt)
      case .ended: throw StoreError("\(trigger): a store was read after execute had returned")
      case .expired: throw StoreError("\(trigger): snapshot_too_old: it was held for too long")
      }
    }
  }

  package func noteVersion(_ seq: Int64, of store: String) {
    guarded.withLock { _ = $0.versionsRead[store, default: []].insert(seq) }
  }
  package func hasRead(_ seq: Int64, of store: String) -> Bool {
    guarded.withLock { $0.versionsRead[store]?.contains(seq) ?? false }
  }

  /// The attempt is over: no read reaches its snapshot any more.
  package func end() { guarded.withLock { $0.state = .ended } }

  /// The snapshot is taken away while the attempt runs, unless it reads right now: false then. Engine lock.
  package func expire() -> Bool {
    guarded.withLockIfAvailable { box -> Bool in
      if case .running = box.state { box.state = .expired }
      return true
    } ?? false
  }
}
