import Synchronization
import TriggerHost

/// Tells whoever waits that a running host is over: its log can take no more records, or it ends. Any thread.
final class EndSignal: Sendable {
  private let failure = Mutex<LogFailure?>(nil)
  /// Ends with the first of both; one reader.
  let isOver: AsyncStream<Void>
  private let over: AsyncStream<Void>.Continuation

  init() { (isOver, over) = AsyncStream.makeStream() }

  /// Why the log takes nothing more; nil while it does.
  var reason: LogFailure? { failure.withLock { $0 } }

  func logFailed(_ reason: LogFailure) {
    failure.withLock { $0 = $0 ?? reason }
    over.finish()
  }

  /// The host ends: there is nothing to wait for.
  func hostEnds() { over.finish() }
}

/// The log of a running host could take no more records, so the host has stopped.
public struct HostFailed: Error, Sendable, CustomStringConvertible {
  /// What the log could not do, for programs.
  public let reason: LogFailure
  /// The error of the disk, for people.
  public var description: String { reason.description }
}
