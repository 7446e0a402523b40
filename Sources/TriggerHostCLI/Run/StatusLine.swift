import Foundation
import Synchronization
import TriggerHost

/// Says once in a while what the host does: one live line on a terminal, elsewhere a line when something has happened.
final class StatusLine: Sendable {
  private let host: Host
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(host: Host) { self.host = host }

  func start() {
    let period: Duration = isTerminal ? .milliseconds(100) : .seconds(1)
    task.withLock {
      $0 = Task {
        var (last, time) = (0, ContinuousClock.now)
        var said = ""
        while (try? await Task.sleep(for: period)) != nil {
          let (stats, now) = (host.coordinator.stats, ContinuousClock.now)
          let counts = counts(stats)
          if isTerminal || counts != said {
            show(counts + "  \(Int(Double(stats.committed - last) / ((now - time) / .seconds(1))))/s")
          }
          (last, time, said) = (stats.committed, now, counts)
        }
      }
    }
  }

  private func counts(_ stats: EngineStats) -> String {
    let rows = host.rows.withLock { $0.sent }
    return (host.config.feeds.isEmpty ? "" : "\(host.rowsName) \(rows)  ")
      + "seq \(stats.currentSeq)  commits \(stats.committed)  conflicts \(stats.conflicts)  queue \(stats.queued)"
  }

  private func show(_ text: String) {
    if isTerminal { Output.status(String(text.prefix(Self.width))) } else { printLine(text) }
  }

  /// What fits on the terminal now: a line that wraps could not be taken back.
  private static var width: Int {
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) - 1 : 79
  }

  func stop() {
    task.withLock { $0?.cancel() }
    if isTerminal { Output.status("") }
  }
}
