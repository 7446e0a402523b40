/// A plain crontab: one job a line, `minute hour day month weekday TRIGGER [JSON]`.
///
/// The time is what `CronText` reads (five fields, six with seconds first, `@daily`, `@every 90s`,
/// `@reboot`). What it starts is a trigger's name, or `event:NAME` for an event, with the event's content as
/// a JSON object behind it or nothing. `CRON_TZ=Europe/Berlin` on a line of its own sets the zone of the
/// lines after it, as in cronie; `CRON_TZ=` takes it back.
public struct Crontab: Sendable {
  /// One line of the file that starts something.
  public struct Job: Hashable, Sendable {
    /// When it starts.
    public var rule: CronRule
    /// As `CRON_TZ` gave it; nil for the host's.
    public var zone: String?
    /// A trigger's name, or an event's.
    public var target: String
    /// Whether `target` names an event (`event:NAME`) and not a trigger.
    public var isEvent: Bool
    /// Content of the event; empty when the line gives none.
    public var payload: Value.Map
    /// From 1.
    public var line: Int
  }

  /// Something wrong in the file, and where.
  public struct Problem: Hashable, Sendable {
    /// From 1.
    public var line: Int
    /// From 1, in characters of the line.
    public var column: Int
    /// What is wrong, and what would be right.
    public var message: String
    /// True for a line that only has no effect (`NAME=value`, but for the zone); false when it made no job.
    public var isWarning = false
  }

  /// In the order of their lines.
  public private(set) var jobs: [Job] = []
  /// In the order of their lines. A line with an error makes no job; the others stand.
  public private(set) var problems: [Problem] = []

  /// Reads the whole file and never fails: what it cannot read is in `problems`. Empty lines and lines that
  /// start with `#` are passed over. Zones are not looked up. O(size).
  public init(parsing text: String) {
    var zone: String?
    for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
    {
      let line = String(raw)
      let words = cronWords(line)
      guard let first = words.first, !first.text.hasPrefix("#") else { continue }
      if let setting = Self.setting(line, first) {
        switch setting.name {
        case "CRON_TZ", "TZ": zone = setting.value.isEmpty ? nil : setting.value
        default:
          problems.append(
            Problem(
              line: index + 1, column: first.column,
              message: "`\(setting.name)` has no effect here; only CRON_TZ has", isWarning: true))
        }
        continue
      }
      do throws(CronSyntaxError) {
        jobs.append(try Self.job(line, words, zone: zone, number: index + 1))
      } catch {
        problems.append(Problem(line: index + 1, column: error.column, message: error.message))
      }
    }
  }

  /// `NAME = value`, with spaces and quotes as crontab(5) has them.
  private static func setting(_ line: String, _ first: CronWord) -> (name: String, value: String)? {
    guard let equals = line.firstIndex(of: "=") else { return nil }
    let name = line[..<equals].trimmed
    guard let start = name.first, start.isLetter || start == "_",
      name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
    else { return nil }
    var value = line[line.index(after: equals)...].trimmed
    for quote in ["\"", "'"] where value.count > 1 && value.hasPrefix(quote) && value.hasSuffix(quote) {
      value = value.dropFirst().dropLast()
    }
    return (String(name), String(value))
  }

  private static func job(
    _ line: String, _ words: [CronWord], zone: String?, number: Int
  ) throws(CronSyntaxError) -> Job {
    let (rule, used) = try rule(words)
    guard words.count > used else {
      throw CronSyntaxError(
        column: line.count + 1, message: "the trigger to start is missing: `\(rule) TRIGGER`, or `event:NAME`"
      )
    }
    let target = words[used]
    let isEvent = target.text.hasPrefix("event:")
    let name = isEvent ? String(target.text.dropFirst(6)) : target.text
    guard !name.isEmpty, !name.hasPrefix("{"), !name.hasPrefix("/") else {
      throw CronSyntaxError(
        column: target.column,
        message:
          "expected the name of a trigger, or `event:NAME`, got `\(target.text)`; commands of a shell cannot run here"
      )
    }
    var job = Job(rule: rule, zone: zone, target: name, isEvent: isEvent, payload: [:], line: number)
    if words.count > used + 1 { job.payload = try payload(line, at: words[used + 1].column) }
    return job
  }

  /// A line has six fields when its sixth word can be a day of week and a target follows. What follows a target is an
  /// object: a trigger may be called `sun`, or `5`.
  private static func rule(_ words: [CronWord]) throws(CronSyntaxError) -> (rule: CronRule, used: Int) {
    if words[0].text.hasPrefix("@") { return try CronText.macro(words) }
    let sixth =
      words.count > 6 && !words[6].text.hasPrefix("{")
      ? try? CronFieldParser(.dayOfWeek, words[5].text, column: 1).parse() : nil
    let count = sixth == nil ? 5 : 6
    return (.expression(try CronExpression(fields: Array(words.prefix(count)))), min(count, words.count))
  }

  private static func payload(_ line: String, at column: Int) throws(CronSyntaxError) -> Value.Map {
    let text = String(line.dropFirst(column - 1))
    let value: Value
    do { value = try JSON.parse(text) } catch {
      throw CronSyntaxError(column: column, message: "what follows the name is the event as JSON: \(error)")
    }
    guard case .map(let payload) = value else {
      throw CronSyntaxError(
        column: column, message: "the event is a JSON object such as {\"depth\": 3}, got `\(text)`")
    }
    return payload
  }
}

extension Substring {
  /// Without spaces and tabs at its ends.
  fileprivate var trimmed: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
