import Foundation
import Synchronization
import TriggerCore
import TriggerHost

/// How a host has ended, and what it leaves undone.
public struct HostEnd: Sendable, Hashable {
  /// Operations in the queue.
  public internal(set) var queued = 0
  /// Events that `debounce`, `throttle` or a mode holds.
  public internal(set) var held = 0
  /// Failed operations whose next try has not come.
  public internal(set) var delayed = 0
  /// Names of the triggers that were cut off.
  public internal(set) var running: [String] = []
  /// Parts that have not ended within their time, and were left to themselves.
  public internal(set) var late: [String] = []
  /// Everything that was committed is on disk, as far as the durability promises.
  public internal(set) var isWritten = true
}

extension RunningHost {
  /// Bounds of the stages after the first.
  private enum Bound {
    /// Scripts end within a fraction of a millisecond of being asked to.
    static let cancelled = Duration.seconds(2)
    static let written = Duration.seconds(5)
    static let followed = Duration.seconds(5)
    static let checkpoint = Duration.seconds(15)
  }

  /// Ends the host: takes nothing any more, finishes what runs, writes what is not on disk, and lets go of its files. In
  /// stages, each of which has a bound; what has not ended within its bound is named, and the next stage comes. Nothing
  /// that any of them does is needed for what is on disk to be right.
  ///
  /// Called again, it returns the same end once that has come.
  ///
  /// - Parameter bound: for what runs, before it is cut off; nil: the configuration's `stop_timeout`.
  /// - Returns: what is left undone. It is in the log as far as anybody was promised anything.
  @discardableResult
  public func stop(within bound: Duration? = nil) async -> HostEnd {
    beginEnd(within: bound)
    return await withCheckedContinuation { continuation in
      ending.whenOver { continuation.resume(returning: $0) }
    }
  }

  /// As above, for a thread of one's own: who ends a process must not depend on tasks that may be stuck.
  @discardableResult
  package func stopAndWait(within bound: Duration? = nil) -> HostEnd {
    beginEnd(within: bound)
    let end = Mutex<HostEnd?>(nil)
    let isOver = DispatchSemaphore(value: 0)
    ending.whenOver { result in
      end.withLock { $0 = result }
      isOver.signal()
    }
    isOver.wait()
    return end.withLock { $0! }
  }

  private func beginEnd(within bound: Duration?) {
    // Who waits for the queue goes on when that takes no more, and must find that this is the end.
    stopTaking()
    guard ending.begin() else { return }
    endSignal.hostEnds()
    Self.onThread { [self] in ending.end(with: end(within: bound ?? config.stopTimeout)) }
  }

  private func end(within bound: Duration) -> HostEnd {
    var end = HostEnd()
    stage("the schedules", Bound.cancelled, &end) { [schedules] in schedules.stop() }
    let left = queue.finishRunning(within: bound)
    (end.queued, end.held, end.delayed, end.running) = (left.queued, left.held, left.delayed, left.running)
    for name in queue.cancelRunning(within: Bound.cancelled) {
      late("a worker, in '\(name)'", Bound.cancelled, &end)
    }
    end.isWritten = stage("the log: what was committed last is not on disk", Bound.written, &end) { [queue] in
      queue.flushLog()
    }
    if !stage(
      "a receiver of effects: what it has not taken comes again at the next start", Bound.followed, &end,
      { [effects] in effects.finish() })
    {
      effects.abandon()
    }
    stage("the sessions", Bound.written, &end) { [sessions] in sessions?.finish() }
    stage("the metrics", Bound.written, &end) { [self] in stopMeasuring() }
    queue.release()
    stage("a store that follows: it is brought up at the next start", Bound.followed, &end) { [queue] in
      queue.stopBackends()
    }
    stage("following the files of scripts and stores", Bound.followed, &end) { [self] in stopFollowing() }
    if end.isWritten {
      stage("the last checkpoint: the next start reads the log instead", Bound.checkpoint, &end) {
        [storage] in storage?.close()
      }
    }
    effects.close()
    return end
  }

  /// Runs a part on a thread of its own, which is left to itself when the time is up. False then.
  @discardableResult
  private func stage(
    _ what: String, _ bound: Duration, _ end: inout HostEnd, _ body: @escaping @Sendable () -> Void
  ) -> Bool {
    let over = DispatchSemaphore(value: 0)
    Self.onThread {
      body()
      over.signal()
    }
    let isOver = over.wait(timeout: .now() + bound / .seconds(1)) == .success
    if !isOver { late(what, bound, &end) }
    return isOver
  }

  private func late(_ what: String, _ bound: Duration, _ end: inout HostEnd) {
    end.late.append(what)
    notices.warning("warning: not ended within \(TimeSpan.format(bound)): \(what)", code: .late)
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = "ending"
    thread.start()
  }
}

/// The end of a host comes once, whoever asks for it. Any thread.
final class OneEnd: Sendable {
  private enum State {
    case running
    case ending
    case over(HostEnd)
  }
  private struct Waiting {
    var state = State.running
    var bodies: [@Sendable (HostEnd) -> Void] = []
  }

  private let waiting = Mutex(Waiting())

  /// False when it has begun already.
  func begin() -> Bool {
    waiting.withLock { waiting in
      guard case .running = waiting.state else { return false }
      waiting.state = .ending
      return true
    }
  }

  func end(with result: HostEnd) {
    let bodies = waiting.withLock { waiting in
      waiting.state = .over(result)
      defer { waiting.bodies = [] }
      return waiting.bodies
    }
    for body in bodies { body(result) }
  }

  /// - Parameter body: called once the end has come; at once when it has.
  func whenOver(_ body: @escaping @Sendable (HostEnd) -> Void) {
    let result: HostEnd? = waiting.withLock { waiting in
      if case .over(let result) = waiting.state { return result }
      waiting.bodies.append(body)
      return nil
    }
    if let result { body(result) }
  }
}
