import Foundation
import TriggerCore

/// One job of a cron file or of `schedules:` in the host's config.
///
/// Everything is checked except the text of a cron expression, which the cron parser checks; `file` and
/// `ruleLine` are for its messages.
public struct ScheduleEntry: Sendable {
  /// When a job fires.
  public enum Rule: Sendable, Hashable {
    /// A cron expression or a word such as `@daily`, as written.
    case cron(String)
    /// Every so often, by elapsed time.
    case every(Duration)
    /// Once.
    case at(Date)
  }

  /// What a fire enqueues.
  public enum Action: Sendable, Hashable {
    /// The trigger of this name: its script's path below the scripts directory, without `.lua`.
    case trigger(String)
    /// An event of this name, for all triggers that match.
    case event(String)
  }

  /// What a fixed-time cron job does about wall times that a clock change skips or repeats.
  public enum ClockChange: String, Sendable, CaseIterable {
    case skip, once, both
  }

  /// What happens when a fire finds the fire before it still running.
  public enum Mode: String, Sendable, CaseIterable {
    case single, restart, queued, parallel
  }

  /// Unique among all jobs of a host: fires and jitter are identified by it.
  public var name: String
  public var rule: Rule
  public var action: Action
  /// The event's content; empty when absent.
  public var payload: [String: Value] = [:]
  /// An IANA name; nil is the host's time zone.
  public var timezone: String?
  public var dst = ClockChange.once
  /// At most this much is added to a fire's time.
  public var jitter = Duration.zero
  /// How late a missed fire may still run; nil is one period of the rule.
  public var misfireGraceTime: Duration?
  /// Several missed fires become one.
  public var coalesce = true
  public var maxInstances = 1
  public var mode = Mode.single
  /// Where the job is written.
  public var file: String
  public var line: Int
  /// Where its rule is written.
  public var ruleLine: Int

  public init(name: String, rule: Rule, action: Action, file: String, line: Int, ruleLine: Int? = nil) {
    self.name = name
    self.rule = rule
    self.action = action
    self.file = file
    self.line = line
    self.ruleLine = ruleLine ?? line
  }
}

extension ScheduleEntry {
  static let keys = [
    "name", "cron", "every", "at", "trigger", "event", "payload", "timezone", "dst", "jitter",
    "misfire_grace_time", "coalesce", "max_instances", "mode",
  ]

  /// Reads one item of a `schedules:` list; nil, and reported, when it cannot be a job.
  static func read(_ node: ConfigNode, path: String, reader: ConfigReader) -> ScheduleEntry? {
    guard let map = MapReader(node, path: path, keys: keys, reader: reader) else { return nil }
    let name = map.string("name")
    if !map.has("name") { map.fail("`name` is missing") }
    let rule = readRule(map)
    let action = readAction(map)
    guard let name, let rule, let action else {
      // Read the rest all the same, for its problems.
      var scratch = ScheduleEntry(name: "", rule: .every(.zero), action: .event(""), file: "", line: 0)
      scratch.readOptions(map, isCron: map.has("cron"))
      return nil
    }
    var entry = ScheduleEntry(
      name: name, rule: rule, action: action, file: reader.file, line: map.line,
      ruleLine: (map.node("cron") ?? map.node("every") ?? map.node("at"))?.line)
    entry.readOptions(map, isCron: map.has("cron"))
    return entry
  }

  private static func readRule(_ map: MapReader) -> Rule? {
    let given = ["cron", "every", "at"].filter(map.has)
    guard given.count == 1 else {
      map.fail(
        given.isEmpty
          ? "one of `cron`, `every` or `at` must say when it fires"
          : "only one of `cron`, `every` and `at` may be given, got \(quoted(given))")
      return nil
    }
    switch given[0] {
    case "cron": return map.string("cron").map(Rule.cron)
    case "every": return map.timeSpan("every").map(Rule.every)
    default:
      let expected = "a time with its offset such as 2026-01-01T00:00:00Z"
      return map.scalar("at", expected: expected) { text, _ in parseTime(text) }.map(Rule.at)
    }
  }

  private static func readAction(_ map: MapReader) -> Action? {
    let given = ["trigger", "event"].filter(map.has)
    guard given.count == 1 else {
      map.fail(
        given.isEmpty
          ? "one of `trigger` or `event` must say what it starts"
          : "only one of `trigger` and `event` may be given")
      return nil
    }
    if given[0] == "event" { return map.eventName("event").map(Action.event) }
    return map.string("trigger").map(Action.trigger)
  }

  private mutating func readOptions(_ map: MapReader, isCron: Bool) {
    payload = map.values("payload") ?? payload
    timezone = map.timezone("timezone")
    dst = map.choice("dst") ?? dst
    for key in ["dst", "timezone"] where !isCron && map.has(key) {
      map.fail(key, "applies to `cron` only; `every` and `at` do not depend on a wall clock")
    }
    jitter = map.timeSpan("jitter", allowZero: true) ?? jitter
    misfireGraceTime = map.timeSpan("misfire_grace_time")
    coalesce = map.bool("coalesce") ?? coalesce
    maxInstances = map.integer("max_instances", in: 1...1000) ?? maxInstances
    mode = map.choice("mode") ?? mode
  }

  private static func quoted(_ words: [String]) -> String {
    words.map { "`\($0)`" }.joined(separator: " and ")
  }
}

extension MapReader {
  /// An IANA time zone name that the host's time zone data knows.
  func timezone(_ key: String) -> String? {
    guard let name = string(key) else { return nil }
    if TimeZone(identifier: name) != nil { return name }
    let hint = suggestion(for: name, in: TimeZone.knownTimeZoneIdentifiers)
    fail(key, "unknown time zone `\(name)`\(hint)")
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
