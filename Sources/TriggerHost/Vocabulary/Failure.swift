/// Why an operation failed, or was dropped: a short word that stays, for programs. Texts are for people and may be
/// reworded.
public enum FailureCode: String, Sendable, CaseIterable {
  /// The script, or the Swift trigger, raised an error, did not load, or returned what is no list of intents.
  case error
  /// It used up its time.
  case timeout
  /// It reached its limit of memory.
  case memory
  /// It was ended from outside: its task was cancelled, or the host stopped.
  case cancelled
  /// An intent does not apply to the value that is there, like adding a number to a text.
  case intent
  /// The backend of a store does not take a key, a value or their number.
  case refused
  /// It emits too many events in one commit (`limits.emits`).
  case emits
  /// It is more hops from its cause than are allowed (`limits.hops`).
  case loop
  /// Too many operations have come of its cause (`limits.offspring`).
  case offspring
  /// Its snapshot was held for so long that too many versions had to be kept for it.
  case snapshotTooOld = "snapshot_too_old"
  /// It did not end when it was asked to, and was given up.
  case stuck
  /// An attempt of its trigger got stuck, so the trigger does not run until it is changed.
  case quarantined
  /// Its trigger's gate let it go: `max_instances` operations were going on. The seq is `skipped`, not failed.
  case dropped
}

/// What went wrong: the word for programs, and the text for people.
public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
  /// Nothing but this is compared.
  public let code: FailureCode
  /// Message, and where a script raised it, the traceback.
  public let message: String

  /// Any text goes with any code.
  public init(_ code: FailureCode, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
