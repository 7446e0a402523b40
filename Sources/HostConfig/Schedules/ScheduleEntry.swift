import TriggerCore
import TriggerHost

/// One job of a cron file or of `schedules:` in the host's config, and where it is written.
package struct ScheduleEntry: Sendable {
  package var job: ScheduledJob
  package var file: String
  package var line: Int

  package init(job: ScheduledJob, file: String, line: Int) {
    self.job = job
    self.file = file
    self.line = line
  }
}

extension ScheduleEntry {
  static let keys = [
    "name", "cron", "every", "at", "trigger", "event", "payload", "timezone", "dst", "priority", "jitter",
    "misfire_grace_time", "coalesce", "max_instances", "mode",
  ]

  /// Reads one item of a `schedules:` list; nil, and reported, when it cannot be a job.
  static func read(_ node: ConfigNode, path: String, reader: ConfigReader) -> ScheduleEntry? {
    guard let map = MapReader(node, path: path, keys: keys, reader: reader) else { return nil }
    let name = map.string("name")
    if !map.has("name") { map.fail("`name` is missing") }
    let rule = readRule(map)
    let action = readAction(map)
    // The options are read in any case, for their problems.
    var job = ScheduledJob(name: name ?? "", rule: rule ?? .start, action: action ?? .event(""))
    job.readOptions(map)
    guard name != nil, rule != nil, action != nil else { return nil }
    return ScheduleEntry(job: job, file: reader.file, line: map.line)
  }

  private static func readRule(_ map: MapReader) -> ScheduledJob.Rule? {
    let given = ["cron", "every", "at"].filter(map.has)
    guard given.count == 1 else {
      map.fail(
        given.isEmpty
          ? "one of `cron`, `every` or `at` must say when it fires"
          : "only one of `cron`, `every` and `at` may be given, got \(quoted(given))")
      return nil
    }
    switch given[0] {
    case "cron": return readCron(map)
    case "every": return map.timeSpan("every").map { .every($0) }
    default:
      let expected = "a time with its offset such as 2026-01-01T00:00:00Z"
      return map.scalar("at", expected: expected) { text, _ in try? Timestamp(parsing: text) }.map { .at($0) }
    }
  }

  private static func readCron(_ map: MapReader) -> ScheduledJob.Rule? {
    let zone = map.timezone("timezone")
    let onClockChange: WallSchedule.OnClockChange? = map.choice("dst")
    guard let text = map.string("cron") else { return nil }
    do {
      return try ScheduledJob.Rule(cron: text, zone: zone, onClockChange: onClockChange ?? .once)
    } catch {
      map.fail("cron", "\(error)")
      return nil
    }
  }

  private static func readAction(_ map: MapReader) -> ScheduledJob.Action? {
    let given = ["trigger", "event"].filter(map.has)
    guard given.count == 1 else {
      map.fail(
        given.isEmpty
          ? "one of `trigger` or `event` must say what it starts"
          : "only one of `trigger` and `event` may be given")
      return nil
    }
    if given[0] == "event" { return map.eventName("event").map { .event($0) } }
    return map.string("trigger").map { .trigger($0) }
  }

  private static func quoted(_ words: [String]) -> String {
    words.map { "`\($0)`" }.joined(separator: " and ")
  }
}

extension ScheduledJob {
  fileprivate mutating func readOptions(_ map: MapReader) {
    payload = map.values("payload") ?? payload
    if !map.has("cron") {
      for key in ["dst", "timezone"] where map.has(key) {
        map.fail(key, "applies to `cron` only; `every` and `at` do not depend on a wall clock")
      }
    }
    priority = map.scalar("priority", expected: "critical, high, normal or low") { text, _ in Priority(text) }
    jitter = map.timeSpan("jitter", allowZero: true) ?? jitter
    misfireGraceTime = map.timeSpan("misfire_grace_time")
    coalesce = map.bool("coalesce") ?? coalesce
    maxInstances = map.integer("max_instances", in: 1...1000)
    mode = map.choice("mode") ?? mode
  }
}

extension MapReader {
  /// An IANA time zone name that the zone data knows.
  func timezone(_ key: String) -> Zone? {
    guard let name = string(key) else { return nil }
    if let zone = Zone(name) { return zone }
    fail(key, "unknown time zone `\(name)`\(Suggestion.clause(for: name, among: Zone.names))")
    return nil
  }

  /// An event's name: visible characters without spaces or `*`, at most 256 bytes.
  func eventName(_ key: String) -> String? {
    scalar(key, expected: "an event name (no spaces, no `*`, at most 256 bytes)") { text, _ in
      let isGood = !text.isEmpty && text.utf8.count <= 256 && !text.contains("*")
      return isGood && text.unicodeScalars.allSatisfy(isVisible) ? text : nil
    }
  }
}

/// Neither a space nor a control character.
func isVisible(_ scalar: Unicode.Scalar) -> Bool {
  !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
}
