import Foundation
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// How a host ends: in stages, each of which has a bound. What has not ended within its bound is named, and the next
/// stage comes. Nothing that any of them does is needed for what is on disk to be right: a host may be killed at any
/// moment.
final class Ending: Sendable {
  /// Bounds of the stages after the first, which has the configuration's `stop_timeout`.
  private enum Bound {
    /// Scripts end within a fraction of a millisecond of being asked to.
    static let cancelled = Duration.seconds(2)
    static let written = Duration.seconds(5)
    static let followed = Duration.seconds(5)
    static let checkpoint = Duration.seconds(15)
  }

  private let host: RunningHost
  private let status: StatusLine
  private let hasBegun = Atomic<Bool>(false)
  private let isUrgent = Atomic<Bool>(false)

  init(_ host: RunningHost, _ status: StatusLine) {
    self.host = host
    self.status = status
  }

  /// Somebody has asked for the end: the process ends from a thread of its own, whatever the others are at. Returns at
  /// once.
  func begin() {
    isUrgent.store(true, ordering: .releasing)
    // First: who waits for the queue goes on when that takes no more, and must find that this is the end.
    let isFirst = !hasBegun.exchange(true, ordering: .acquiringAndReleasing)
    host.stopTaking()
    if !isFirst { return }
    Output.say(
      .info,
      "Ending: finishing what runs, for \(TimeSpan.format(host.config.stopTimeout)) at most. Press Ctrl-C again to end at once."
    )
    Self.onThread { [self] in Output.endProcess(run() ? 0 : 1) }
  }

  /// Nothing is left to do. Returns when the host has ended; never when somebody has asked for the end before.
  func finish() async {
    if hasBegun.exchange(true, ordering: .acquiringAndReleasing) {
      // The process ends meanwhile.
      while true { try? await Task.sleep(for: .seconds(3600)) }
    }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      Self.onThread { [self] in
        host.stopTaking()
        _ = run()
        continuation.resume()
      }
    }
  }

  /// - Returns: false when something may be missing on disk that could have been there.
  private func run() -> Bool {
    let queue = host.queue
    stage("the schedules", Bound.cancelled) { [host] in host.stopSchedules() }
    let left = queue.finishRunning(within: host.config.stopTimeout)
    let stuck = queue.cancelRunning(within: Bound.cancelled)
    for name in stuck { late("a worker, in '\(name)'", Bound.cancelled) }
    let isWritten = stage("the log: what was committed last is not on disk", Bound.written) {
      queue.flushLog()
    }
    queue.release()
    stage("a store that follows: it is brought up at the next start", Bound.followed) { queue.stopBackends() }
    stage("following the files of scripts and stores", Bound.followed) { [host] in host.stopFiles() }
    if isWritten {
      stage("the last checkpoint: the next start reads the log instead", Bound.checkpoint) { [host] in
        host.closeStorage()
      }
    }
    status.stop()
    host.answers?.finish { isUrgent.load(ordering: .acquiring) }
    host.sayDropped()
    for notice in host.summary(left) { Output.say(notice) }
    // Answers wait for their reader, unless somebody waits for the end.
    while host.answers != nil, !isUrgent.load(ordering: .acquiring), !Output.isFlushed { Output.flush() }
    return isWritten
  }

  /// Runs a part on a thread of its own, which is left to itself when the time is up. False then.
  @discardableResult
  private func stage(_ what: String, _ bound: Duration, _ body: @escaping @Sendable () -> Void) -> Bool {
    let end = DispatchSemaphore(value: 0)
    Self.onThread {
      body()
      end.signal()
    }
    let isOver = end.wait(timeout: .now() + bound / .seconds(1)) == .success
    if !isOver { late(what, bound) }
    return isOver
  }

  private func late(_ what: String, _ bound: Duration) {
    Output.warning("warning: not ended within \(TimeSpan.format(bound)): \(what)")
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = "ending"
    thread.start()
  }
}
