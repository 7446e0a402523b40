@preconcurrency import Dispatch
import Foundation
import Synchronization

/// SIGINT and SIGTERM: the first asks the host to end, the second ends the process at once.
final class EndSignals: Sendable {
  private struct State {
    var haveCome = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())
  // Dispatch's sources may be used from any thread; this one only keeps them alive.
  nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

  /// - Parameter onFirst: called on a queue of its own.
  init(onFirst: @escaping @Sendable () -> Void) {
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      return DispatchSource.makeSignalSource(signal: number, queue: DispatchQueue(label: "signals"))
    }
    for source in sources {
      source.setEventHandler { [weak self] in self?.come(onFirst) }
      source.resume()
    }
  }

  var haveCome: Bool { state.withLock { $0.haveCome } }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.haveCome { state.waiting.append(continuation) }
        return state.haveCome
      }
      if isOver { continuation.resume() }
    }
  }

  private func come(_ onFirst: @Sendable () -> Void) {
    let (waiting, isSecond) = state.withLock { state in
      defer {
        state.haveCome = true
        state.waiting = []
      }
      return (state.waiting, state.haveCome)
    }
    if isSecond { _exit(130) }
    onFirst()
    for continuation in waiting { continuation.resume() }
  }
}
