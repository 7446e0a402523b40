/// Why an operation failed, or was dropped: one word, for programs. The word never changes; the texts may.
public enum FailureCode: String, Sendable, CaseIterable {
  /// The script or Swift trigger raised an error, did not load, or returned no list of intents.
  case error
  /// The execution used up its time.
  case timeout
  /// The execution reached its limit of memory.
  case memory
  /// The task of the execution was cancelled, or the host stopped.
  case cancelled
  /// An intent does not apply to the value that is there, like adding a number to a text.
  case intent
  /// The backend of a store does not take the key, the value, or so many of them.
  case refused
  /// The execution emits too many events in one commit (`limits.emits`).
  case emits
  /// The operation is too many hops from its cause (`limits.hops`).
  case loop
  /// Too many operations have come of one cause (`limits.offspring`).
  case offspring
  /// The execution held its snapshot for so long that the stores kept too many versions for it, twice.
  case snapshotTooOld = "snapshot_too_old"
  /// The execution did not end, and the engine gave it up.
  case stuck
  /// An execution of the trigger got stuck, so the trigger does not run until it is changed or the host is restarted.
  case quarantined
  /// The trigger's `mode` dropped the operation: `max_instances` operations were under way. A seq of the operation ends
  /// `skipped`, not `failed`.
  case dropped
}

/// Why an operation failed, or was dropped: the code for programs, and the text for people.
public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The code. Programs compare it; nobody compares the message.
  public let code: FailureCode
  /// The text for people. When a script raised the error, the traceback follows.
  public let message: String

  /// Any text goes with any code.
  public init(_ code: FailureCode, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
