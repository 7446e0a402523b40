import Foundation
import TriggerCore
import TriggerHost
import TriggerRuntime

extension RunningHost {
  /// What the feeds' rows are called: `bars` when all become events `bars/...`.
  var rowsName: String {
    let names = Set(config.feeds.map { $0.event.split(separator: "/").first.map(String.init) ?? "rows" })
    return names.count == 1 ? names.first! : "rows"
  }
}

extension HostWork {
  /// What the host did, for people: totals, one line per trigger, one per store.
  ///
  /// - Parameter end: what it leaves undone; nil while it goes on.
  func summary(_ end: HostEnd? = nil) -> [HostNotice] {
    let stats = host.coordinator.stats
    let notes = [end.flatMap(undone), unread(stats)].compactMap { $0 }
    return [totals(stats), pace(stats)]
      + (notes.map { "\($0)" } + triggerLines(stats) + storeLines()).map {
        HostNotice(level: .info, message: $0)
      }
  }

  /// What was taken and not done, and what becomes of it.
  private func undone(_ left: HostEnd) -> String? {
    let cut = left.running.isEmpty ? "" : " (\(Set(left.running).sorted().prefix(5).joined(separator: ", ")))"
    let parts = [
      (left.queued, "queued"), (left.held, "held back by debounce, throttle or mode"),
      (left.delayed, "waiting for another try"), (left.running.count, "cut off\(cut)"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    if parts.isEmpty { return nil }
    let fate = host.storage == nil ? "lost, as nothing is kept" : "left for the next start"
    // Only what was accepted is sure to be on disk; the sender of anything else has no answer.
    let hint = host.storage != nil && answers != nil ? "; send again what had no answer" : ""
    return "\(fate): \(parts.joined(separator: ", "))\(hint)"
  }

  private func unread(_ stats: EngineStats) -> String? {
    let lost = Output.lost + stats.untold
    return lost == 0 ? nil : "\(counted(lost, "log line")) left out, as nobody read them in time"
  }

  private func totals(_ stats: EngineStats) -> HostNotice {
    let rows = host.feeds.rows
    let fed =
      rows.sent + rows.bad + rows.skipped == 0
      ? ""
      : "\(rows.sent) rows fed\(rows.bad > 0 ? ", \(rows.bad) bad" : "")"
        + "\(rows.skipped > 0 ? ", \(rows.skipped) in an earlier run" : ""); "
    // A log has those of earlier runs.
    let seqs = stats.committed + stats.failed + stats.skipped + stats.deferred
    let text =
      fed
      + "\(seqs) seqs\(seqs < stats.currentSeq ? ", up to seq \(stats.currentSeq)" : ""): \(stats.committed) committed, \(stats.failed) failed, "
      + "\(stats.skipped) skipped, \(stats.deferred) deferred; \(stats.conflicts) conflicts"
      + (stats.abandoned > 0 ? "; \(counted(stats.abandoned, "attempt")) stuck and given up" : "")
    func number(_ count: Int) -> Value { .int(Int64(count)) }
    return HostNotice(
      level: .info, message: "\(text)",
      fields: [
        "committed": number(stats.committed), "failed": number(stats.failed),
        "skipped": number(stats.skipped), "deferred": number(stats.deferred),
        "conflicts": number(stats.conflicts), "rows": number(rows.sent), "bad_rows": number(rows.bad),
      ])
  }

  private func pace(_ stats: EngineStats) -> HostNotice {
    let seconds = (ContinuousClock.now - host.started) / .seconds(1)
    var all = LatencyHistogram()
    for histogram in stats.latency.values { all.add(histogram) }
    let text = String(
      format: "%.2f s, %.0f commits/s; admission to commit p50 %.2f ms, p99 %.2f ms", seconds,
      Double(stats.committed) / seconds, Double(all.percentile(50)) / 1e6, Double(all.percentile(99)) / 1e6)
    return HostNotice(
      level: .info, message: "\(text)\(host.diskUse.map { "; \($0)" } ?? "")",
      fields: ["seconds": .double(seconds)])
  }

  private func triggerLines(_ stats: EngineStats) -> [TerminalText] {
    let names = stats.triggers.keys.sorted()
    guard let width = names.map(\.count).max() else { return [] }
    return ["\(pad("trigger", max(width, 7)))  committed     failed  conflicts"]
      + names.map { name in
        let counts = stats.triggers[name]!
        let numbers = [counts.committed, counts.failed, counts.conflicts]
        return "\(pad(name, max(width, 7)))\(numbers.map { " " + pad(String($0), 10, right: true) }.joined())"
      }
  }

  private func storeLines() -> [TerminalText] {
    var lines: [TerminalText] = []
    let backends = host.coordinator.stats.backends
    for name in host.coordinator.storeNames {
      guard let store = try? host.coordinator.store(name) else { continue }
      let behind = backends[name].flatMap { table in
        table.obstacle.map { "; its table is behind: \($0)" }
      }
      lines.append("\(store)\(behind ?? "")")
      for item in (try? store.scan(limit: 2)) ?? [] {
        lines.append("  \(item.key) = \(String("\(item.value)".prefix(100)))")
      }
    }
    return lines
  }

  private func pad(_ text: String, _ width: Int, right: Bool = false) -> String {
    let spaces = String(repeating: " ", count: max(0, width - text.count))
    return right ? spaces + text : text + spaces
  }
}
