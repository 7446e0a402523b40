import Hummingbird
import Synchronization
import TriggerCore
import TriggerHost
import TriggerRuntime

/// `GET /v1/stats`: what a host has done since it started, and how it is.
struct StatsRoutes: Sendable {
  let reader: HostReader
  let access: AccessControl
  private let rates = Rates()

  init(reader: HostReader, access: AccessControl) { (self.reader, self.access) = (reader, access) }

  func stats(_ request: Request, _ context: ServerContext) throws -> Response {
    _ = try request.query()
    let host = reader.host
    let stats = host.coordinator.stats
    var fields = stats.fields
    fields["durable_seq"] = .int(reader.newest)
    let uptime = (ContinuousClock.now - host.started) / .seconds(1)
    fields["uptime_seconds"] = .double(uptime)
    fields["rates"] = rates.json(stats, uptime: uptime)
    if let bytes = host.storage?.directory.bytes { fields["disk_bytes"] = .int(Int64(bytes)) }
    var refusals: Value.Map = [:]
    for (cause, count) in access.counts.all where count > 0 { refusals[cause.rawValue] = .int(Int64(count)) }
    fields["refusals"] = .map(refusals)
    fields["server"] = access.totals.json
    return Response(status: .ok, json: .map(fields))
  }
}

extension ServerTotals {
  fileprivate var json: Value {
    func count(_ number: Int) -> Value { .int(Int64(number)) }
    var refused: Value.Map = [:]
    for (code, number) in self.refused { refused[code.rawValue] = count(number) }
    return [
      "requests": count(requests), "refused": .map(refused), "connections": count(connections),
      "connections_opened": count(connectionsOpened), "connections_refused": count(connectionsRefused),
    ]
  }
}

/// What happens in a second, as an average over the last few. Any thread.
private final class Rates: Sendable {
  private struct Sample {
    var time = 0.0
    var decided = 0
    var committed = 0
  }

  /// Seconds between two samples that are kept.
  private static let step = 2.0

  private let samples = Mutex((older: Sample(), newer: Sample()))

  func json(_ stats: EngineStats, uptime: Double) -> Value {
    let now = Sample(time: uptime, decided: stats.decided, committed: stats.committed)
    let older = samples.withLock { samples in
      if now.time - samples.newer.time >= Self.step { samples = (samples.newer, now) }
      return samples.older
    }
    let span = max(now.time - older.time, 0.001)
    return [
      "decided_per_second": .double(Double(now.decided - older.decided) / span),
      "committed_per_second": .double(Double(now.committed - older.committed) / span),
      "over_seconds": .double(span),
    ]
  }
}

extension EngineStats {
  fileprivate var fields: Value.Map {
    func count(_ number: Int) -> Value { .int(Int64(number)) }
    var fields: Value.Map = [
      "seq": .int(currentSeq), "committed": count(committed), "failed": count(failed),
      "skipped": count(skipped), "deferred": count(deferred), "conflicts": count(conflicts),
      "reservations": count(reservations), "queued": count(queued), "pending_commits": count(pendingCommits),
      "undecided": count(undecided), "parked": count(parked), "coalesced": count(coalesced),
      "dropped": count(dropped), "emitted": count(emitted), "retained_versions": count(retainedVersions),
      "oldest_snapshot": .int(oldestSnapshot), "expired": count(expired), "abandoned": count(abandoned),
      "stuck": count(stuck), "untold": count(untold), "log_lag": .int(logLag),
      "log_behind": .bool(isLogBehind),
    ]
    var causes: Value.Map = [:]
    for (code, number) in failures { causes[code.rawValue] = count(number) }
    fields["failures"] = .map(causes)
    fields["quarantined"] = .array(quarantined.keys.sorted().map { .string($0) })
    var each: Value.Map = [:]
    for (name, stats) in triggers {
      each[name] = [
        "committed": count(stats.committed), "failed": count(stats.failed), "skipped": count(stats.skipped),
        "conflicts": count(stats.conflicts),
      ]
    }
    fields["triggers"] = .map(each)
    var lanes: Value.Map = [:]
    for (priority, histogram) in latency { lanes["\(priority)"] = histogram.json }
    fields["latency"] = .map(lanes)
    var stores: Value.Map = [:]
    for (name, stats) in backends { stores[name] = stats.json }
    fields["backends"] = .map(stores)
    return fields
  }
}

extension LatencyHistogram {
  fileprivate var json: Value {
    var fields: Value.Map = ["count": .int(Int64(clamping: count))]
    for (name, percent) in [("p50", 50.0), ("p90", 90), ("p99", 99), ("p999", 99.9)] {
      fields["\(name)_seconds"] = .double(Double(percentile(percent)) / 1e9)
    }
    return .map(fields)
  }
}

extension BackendStats {
  fileprivate var json: Value {
    var fields: Value.Map = ["seq": .int(seq), "waiting": waiting.map { .int(Int64($0)) } ?? .null]
    if let obstacle { fields["obstacle"] = .string(obstacle) }
    return .map(fields)
  }
}
