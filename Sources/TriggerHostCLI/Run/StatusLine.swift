import Foundation
import Synchronization
import TriggerHost

/// Says once in a while what the host does: one live line on a terminal, plain lines elsewhere.
final class StatusLine: Sendable {
  private let host: Host
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(host: Host) { self.host = host }

  func start() {
    let period: Duration = isTerminal ? .milliseconds(100) : .seconds(1)
    task.withLock {
      $0 = Task {
        var last = 0
        while !Task.isCancelled {
          try? await Task.sleep(for: period)
          if Task.isCancelled { return }
          let stats = host.coordinator.stats
          let rate = Double(stats.committed - last) / (period / .seconds(1))
          last = stats.committed
          show(stats, rate)
        }
      }
    }
  }

  private func show(_ stats: EngineStats, _ rate: Double) {
    let text =
      "seq \(stats.currentSeq)  commits \(stats.committed)  conflicts \(stats.conflicts)  "
      + "queue \(stats.queued)  \(Int(rate))/s"
    print(isTerminal ? "\r\u{1b}[K\(text)" : text, terminator: isTerminal ? "" : "\n")
    fflush(nil)
  }

  func stop() {
    task.withLock { $0?.cancel() }
    if isTerminal { print("\r\u{1b}[K", terminator: "") }
  }
}
