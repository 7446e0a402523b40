import Foundation
import Synchronization

/// SIGINT and SIGTERM, from the moment this is made: the first asks the host to end, the second ends the
/// process at once. SIGHUP asks for a look at scripts and schedules; where a terminal has gone away it is the end, and a
/// process that was started to ignore it (`nohup`) does.
///
/// One request may come as two signals: `timeout`, `make` and others pass theirs on to a process that a
/// terminal or they themselves have reached already. What follows the first within `echo` is the same one.
final class EndSignals: Sendable {
  private static let echo = Duration.milliseconds(100)

  private struct State {
    var first: ContinuousClock.Instant?
    var onFirst: (@Sendable () -> Void)?
    var onHangup: (@Sendable () -> Void)?
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Once per process.
  init() {
    let hasTerminal = Self.hasTerminal
    var hangup = sigaction()
    sigaction(SIGHUP, nil, &hangup)
    let isIgnored = unsafeBitCast(hangup.__sigaction_handler.sa_handler, to: Int.self) == 1
    SignalPipe.watch([SIGINT, SIGTERM] + (isIgnored ? [] : [SIGHUP])) { [weak self] number in
      guard number == SIGHUP, !hasTerminal || Self.hasTerminal else {
        self?.come()
        return
      }
      self?.state.withLock { $0.onHangup }?()
    }
  }

  private static var hasTerminal: Bool {
    let terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)
    if terminal >= 0 { close(terminal) }
    return terminal >= 0
  }

  /// - Parameter body: called at each SIGHUP.
  func onHangup(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onHangup = body } }

  var haveCome: Bool { state.withLock { $0.first != nil } }

  /// - Parameter body: called once, at the first signal, or at once when that has come already.
  func onFirst(_ body: @escaping @Sendable () -> Void) {
    let hasCome = state.withLock { state in
      if state.first == nil { state.onFirst = body }
      return state.first != nil
    }
    if hasCome { body() }
  }

  /// Returns at the first signal.
  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if state.first == nil { state.waiting.append(continuation) }
        return state.first != nil
      }
      if isOver { continuation.resume() }
    }
  }

  private func come() {
    let now = ContinuousClock.now
    let (first, body, waiting) = state.withLock { state in
      defer {
        state.first = state.first ?? now
        state.onFirst = nil
        state.waiting = []
      }
      return (state.first, state.onFirst, state.waiting)
    }
    if let first, now - first > Self.echo { _exit(130) }
    body?()
    for continuation in waiting { continuation.resume() }
  }
}
