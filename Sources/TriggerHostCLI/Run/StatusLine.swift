import Foundation
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// Says once in a while what the host does: one live line on a terminal, elsewhere a line when
/// something has happened.
final class StatusLine: Sendable {
  private let host: RunningHost
  private let isLive = Output.hasLiveLine
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(host: RunningHost) { self.host = host }

  func start() {
    let period: Duration = isLive ? .milliseconds(100) : .seconds(1)
    task.withLock {
      $0 = Task {
        var (last, time) = (0, ContinuousClock.now)
        var (said, dropped) = ("", ContinuousClock.now)
        while (try? await Task.sleep(for: period)) != nil {
          if ContinuousClock.now - dropped >= .seconds(1) {
            host.sayDropped()
            dropped = .now
          }
          let (stats, now) = (host.coordinator.stats, ContinuousClock.now)
          let counts = counts(stats)
          if isLive || counts != said {
            let rate = Int(Double(stats.committed - last) / ((now - time) / .seconds(1)))
            show(
              counts + "  \(rate)/s",
              [
                "seq": .int(stats.currentSeq), "committed": .int(Int64(stats.committed)),
                "failed": .int(Int64(stats.failed)), "conflicts": .int(Int64(stats.conflicts)),
                "queued": .int(Int64(stats.queued)), "commits_per_second": .int(Int64(rate)),
              ])
          }
          (last, time, said) = (stats.committed, now, counts)
        }
      }
    }
  }

  private func counts(_ stats: EngineStats) -> String {
    let rows = host.feeds.rows.sent
    return (host.config.feeds.isEmpty ? "" : "\(host.rowsName) \(rows)  ")
      + "seq \(stats.currentSeq)  commits \(stats.committed)  conflicts \(stats.conflicts)  queue \(stats.queued)"
      + (stats.stuck > 0 ? "  stuck \(stats.stuck)" : "")
  }

  private func show(_ text: String, _ fields: Value.Map) {
    if isLive { Output.status("\(text.prefix(Self.width))") } else { Output.say(.info, "\(text)", fields) }
  }

  /// What fits on the terminal now: a line that wraps could not be taken back.
  private static var width: Int {
    var size = winsize()
    let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) - 1 : 79
  }

  func stop() {
    task.withLock { $0?.cancel() }
    if isLive { Output.status("") }
  }
}
