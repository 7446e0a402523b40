import TriggerCore

extension HostConfig {
  /// The keys of host.yaml that say something else than they did, schedules and cron files aside, in byte order.
  package func keysThatDiffer(from old: HostConfig) -> [String] {
    let (now, before) = (texts, old.texts)
    return Set(now.keys).filter { now[$0] != before[$0] }.sorted()
  }

  /// What each key says, without the lines that say it.
  private var texts: [String: String] {
    let names = [
      "reload": "scripts", "strictStores": "strict_stores", "stopTimeout": "stop_timeout",
      "logLevel": "log_level", "hostNames": "host_names", "serverLimits": "server_limits",
    ]
    var found: [String: String] = [:]
    for child in Mirror(reflecting: self).children {
      guard let label = child.label, !["file", "cron", "schedules"].contains(label) else { continue }
      found[names[label] ?? label, default: ""] += Self.text(of: child.value)
    }
    return found
  }

  private static func text(of value: Any) -> String {
    if let map = value as? Value.Map { return "\(Value.map(map))" }
    let mirror = Mirror(reflecting: value)
    if mirror.children.isEmpty { return "\(value)" }
    let parts = mirror.children.filter { $0.label != "line" }.map {
      ($0.label ?? "") + ":" + text(of: $0.value)
    }
    return mirror.displayStyle == .dictionary || mirror.displayStyle == .set
      ? parts.sorted().joined(separator: ",") : parts.joined(separator: ",")
  }
}
