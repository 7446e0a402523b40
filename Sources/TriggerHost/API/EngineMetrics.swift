import Metrics
import Synchronization

/// What an engine counts, for a program's own metrics: counters and gauges of swift-metrics. Until the program chooses a
/// back end (`MetricsSystem.bootstrap`) they go nowhere.
///
/// Nothing is written while events are dealt with: `write` compares the statistics with those of its last call. Units are
/// in the names.
///
/// | name | kind | what |
/// | --- | --- | --- |
/// | `triggerhost_operations_total` | counter | decided operations, by `outcome`: `committed`, `failed`, `skipped` |
/// | `triggerhost_failures_total` | counter | failed ones by `code` (`FailureCode`) |
/// | `triggerhost_conflicts_total` | counter | attempts thrown away because what they read had changed |
/// | `triggerhost_deferrals_total` | counter | seqs that ended `deferred` |
/// | `triggerhost_untold_total` | counter | operations that observers were not told of |
/// | `triggerhost_queue_length` | gauge | operations in the queue |
/// | `triggerhost_undecided` | gauge | operations with a seq that are not decided |
/// | `triggerhost_commit_latency_seconds` | gauge | from admission to the decision, of what was decided since the last call, by `priority` and `quantile`: `0.5`, `0.95`, `0.99`; within 6 %. Not written while there was none |
/// | `triggerhost_log_lag` | gauge | decided seqs that are not as durable as the log promises |
public final class EngineMetrics: Sendable {
  private let coordinator: CommitCoordinator
  private let factory: any MetricsFactory
  private let last = Mutex(EngineStats())

  /// - Parameter factory: where they go; nil: where `MetricsSystem` says at this moment.
  public init(_ coordinator: CommitCoordinator, factory: (any MetricsFactory)? = nil) {
    self.coordinator = coordinator
    self.factory = factory ?? MetricsSystem.factory
  }

  /// Writes what has come since the last call, and how things stand. Any thread; takes the engine's lock as briefly as
  /// `CommitCoordinator.stats`.
  public func write() {
    last.withLock { last in
      let now = coordinator.stats
      writeCounters(last, now)
      writeLatency(last, now)
      gauge("queue_length", Double(now.queued))
      gauge("undecided", Double(now.undecided))
      gauge("log_lag", Double(now.logLag))
      last = now
    }
  }

  /// Writes every so often until the task is cancelled, and once more then.
  public func run(every span: Duration = .seconds(10)) async {
    while (try? await Task.sleep(for: span)) != nil { write() }
    write()
  }

  private func writeCounters(_ last: EngineStats, _ now: EngineStats) {
    for (outcome, more) in [
      ("committed", now.committed - last.committed), ("failed", now.failed - last.failed),
      ("skipped", now.skipped - last.skipped),
    ] {
      count(more, "operations_total", [("outcome", outcome)])
    }
    for (code, sum) in now.failures {
      count(sum - last.failures[code, default: 0], "failures_total", [("code", code.rawValue)])
    }
    count(now.conflicts - last.conflicts, "conflicts_total")
    count(now.deferred - last.deferred, "deferrals_total")
    count(now.untold - last.untold, "untold_total")
  }

  private func writeLatency(_ last: EngineStats, _ now: EngineStats) {
    for (priority, histogram) in now.latency {
      let new = last.latency[priority].map { histogram.since($0) } ?? histogram
      if new.count == 0 { continue }
      for quantile in ["0.5", "0.95", "0.99"] {
        gauge(
          "commit_latency_seconds", Double(new.percentile(Double(quantile)! * 100)) / 1_000_000_000,
          [("priority", "\(priority)"), ("quantile", quantile)])
      }
    }
  }

  private func count(_ more: Int, _ name: String, _ dimensions: [(String, String)] = []) {
    // Zero too: what is there from the beginning has a rate.
    Counter(label: "triggerhost_\(name)", dimensions: dimensions, factory: factory).increment(
      by: max(0, more))
  }

  private func gauge(_ name: String, _ value: Double, _ dimensions: [(String, String)] = []) {
    Gauge(label: "triggerhost_\(name)", dimensions: dimensions, factory: factory).record(value)
  }
}
