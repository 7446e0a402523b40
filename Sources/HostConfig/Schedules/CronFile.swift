import TriggerCore
import TriggerHost

/// The jobs of one cron file, with what is wrong in it.
package struct CronFile: Sendable {
  package var entries: [ScheduleEntry]
  package var report: ConfigReport
}

/// Reads a cron file: YAML with a top-level `schedules:` list, or a plain crontab.
///
/// `.yaml` and `.yml` files are YAML, `.crontab`, `.cron` and `.tab` files and files named `crontab`
/// are crontabs. Of any other name, the text decides: it is YAML when its first line that is not a
/// comment is `schedules:`, `---` or `{`.
///
/// - Parameter file: the name to show in messages.
package func parseCronFile(text: String, file: String) -> CronFile {
  isYAMLCronFile(text: text, file: file)
    ? parseYAMLCronFile(text: text, file: file) : parseCrontab(text: text, file: file)
}

/// Reads the cron file at `path`; messages show `name`, or the path.
package func loadCronFile(path: String, name: String? = nil) -> CronFile {
  let name = name ?? path
  switch readTextFile(path, name: name) {
  case .success(let text): return parseCronFile(text: text, file: name)
  case .failure(let problem): return CronFile(entries: [], report: ConfigReport([problem]))
  }
}

private func isYAMLCronFile(text: String, file: String) -> Bool {
  let name = file.split(separator: "/").last.map { $0.lowercased() } ?? ""
  if name.hasSuffix(".yaml") || name.hasSuffix(".yml") { return true }
  if name == "crontab" || [".crontab", ".cron", ".tab"].contains(where: name.hasSuffix) { return false }
  for line in text.split(whereSeparator: \.isNewline) {
    let trimmed = line.drop { $0 == " " || $0 == "\t" }
    if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
    return trimmed.hasPrefix("schedules:") || trimmed.hasPrefix("---") || trimmed.hasPrefix("{")
  }
  return false
}

/// The first line that is a job of a crontab: no YAML that lists schedules begins so.
private func lineOfCrontab(_ text: String) -> Int? {
  for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard let first = words.first, !first.hasPrefix("#") else { continue }
    let isField = first.allSatisfy { $0.isNumber || "*/,-".contains($0) }
    return first.hasPrefix("CRON_TZ=") || first.hasPrefix("@") || isField && words.count > 5 ? index + 1 : nil
  }
  return nil
}

private func parseYAMLCronFile(text: String, file: String) -> CronFile {
  if let line = lineOfCrontab(text) {
    let message = "this is a line of a crontab, and the file's name says YAML: call it crontab, or NAME.cron"
    return CronFile(
      entries: [], report: ConfigReport([ConfigProblem(file: file, line: line, message: message)]))
  }
  let reader = ConfigReader(file: file)
  var parsing = ConfigReport()
  let root = ConfigNode.parse(text, file: file, report: &parsing)
  reader.add(parsing)
  var entries: [ScheduleEntry] = []
  if let root, let map = MapReader(root, path: "", keys: ["schedules"], reader: reader) {
    entries = map.schedules("schedules")
  }
  var report = reader.report
  report.add(duplicateNames(in: entries))
  return CronFile(entries: entries, report: report)
}

/// A plain crontab has no names for its jobs: they are named by what they start and when. Those that agree in that, from the
/// second on, by their zone and payload too.
private func parseCrontab(text: String, file: String) -> CronFile {
  let tab = Crontab(parsing: text)
  var report = ConfigReport(
    tab.problems.map {
      ConfigProblem(
        file: file, line: $0.line, column: $0.column,
        message: $0.isWarning ? $0.message : "column \($0.column): \($0.message)",
        severity: $0.isWarning ? .warning : .error)
    })
  var entries: [ScheduleEntry] = []
  var names: Set<String> = []
  for line in tab.jobs {
    var zone = Zone.host
    if let name = line.zone {
      guard let found = Zone(name) else {
        let hint = Suggestion.clause(for: name, among: Zone.names)
        report.add(ConfigProblem(file: file, line: line.line, message: "unknown time zone `\(name)`\(hint)"))
        continue
      }
      zone = found
    }
    let rule: ScheduledJob.Rule =
      switch line.rule {
      case .expression(let expression): .wall(WallSchedule(expression, zone: zone))
      case .every(let span): .every(span)
      case .start: .start
      }
    var name = "\(line.target) \(line.rule)"
    if !names.insert(name).inserted { name += line.rest }
    var job = ScheduledJob(
      name: name, rule: rule,
      action: line.isEvent ? .event(line.target) : .trigger(line.target))
    job.payload = line.payload
    entries.append(ScheduleEntry(job: job, file: file, line: line.line))
  }
  report.add(duplicateNames(in: entries))
  return CronFile(entries: entries, report: report)
}

extension Crontab.Job {
  /// What a name may need beside target and rule.
  fileprivate var rest: String {
    (zone.map { " " + $0 } ?? "") + (payload.isEmpty ? "" : " \(Value.map(payload))")
  }
}

/// A problem for every job whose name another job has already.
func duplicateNames(in entries: [ScheduleEntry]) -> ConfigReport {
  var first: [String: ScheduleEntry] = [:]
  var report = ConfigReport()
  for entry in entries {
    guard let other = first[entry.job.name] else {
      first[entry.job.name] = entry
      continue
    }
    let place = other.file == entry.file ? "on line \(other.line)" : "in \(other.file):\(other.line)"
    report.add(
      ConfigProblem(
        file: entry.file, line: entry.line,
        message: "the schedule name `\(entry.job.name)` is used twice; first \(place)"))
  }
  return report
}

extension MapReader {
  func schedules(_ key: String) -> [ScheduleEntry] {
    list(key).enumerated().compactMap { index, node in
      ScheduleEntry.read(node, path: "\(join(key))[\(index)]", reader: reader)
    }
  }
}
