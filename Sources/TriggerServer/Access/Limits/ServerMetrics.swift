import Metrics
import Synchronization

/// What a server counts, for a program's own metrics: counters and gauges of swift-metrics. Until the program chooses a back
/// end (`MetricsSystem.bootstrap`) they go nowhere. A running server writes them every 10 seconds, and at its end.
///
/// | name | kind | what |
/// | --- | --- | --- |
/// | `triggerhost_http_requests_total` | counter | requests whose head came whole |
/// | `triggerhost_http_refused_total` | counter | refused ones by `code` (`Problem.Code`) |
/// | `triggerhost_http_connections` | gauge | connections that are open |
/// | `triggerhost_http_connections_total` | counter | connections that somebody wanted to open, by `outcome`: `opened`, `refused` |
public final class ServerMetrics: Sendable {
  private let access: AccessControl
  private let factory: any MetricsFactory
  private let last = Mutex(ServerTotals())

  /// - Parameter factory: where they go; nil: where `MetricsSystem` says at this moment.
  public init(_ access: AccessControl, factory: (any MetricsFactory)? = nil) {
    self.access = access
    self.factory = factory ?? MetricsSystem.factory
  }

  /// Writes what has come since the last call, and how things stand. Any thread.
  public func write() {
    last.withLock { last in
      let now = access.totals
      count(now.requests - last.requests, "requests_total")
      for (code, sum) in now.refused {
        count(sum - last.refused[code, default: 0], "refused_total", [("code", code.rawValue)])
      }
      count(
        now.connectionsOpened - last.connectionsOpened, "connections_total", [("outcome", "opened")]
      )
      count(
        now.connectionsRefused - last.connectionsRefused, "connections_total",
        [("outcome", "refused")])
      Gauge(label: "triggerhost_http_connections", factory: factory).record(now.connections)
      last = now
    }
  }

  private func count(_ more: Int, _ name: String, _ dimensions: [(String, String)] = []) {
    if more == 0 { return }
    Counter(label: "triggerhost_http_\(name)", dimensions: dimensions, factory: factory).increment(
      by: more)
  }

  /// Writes every so often until the task is cancelled, and once more then.
  public func run(every span: Duration = .seconds(10)) async {
    while (try? await Task.sleep(for: span)) != nil { write() }
    write()
  }
}
