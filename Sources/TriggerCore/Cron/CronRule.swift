/// When a job of a cron file fires: at the matches of an expression, every so often, or at the host's start.
public enum CronRule: Hashable, Sendable, CustomStringConvertible {
  /// At the matches of five or six fields, or of `@daily` and its like.
  case expression(CronExpression)
  /// `@every 90s`: by elapsed time, from the moment the job is known.
  case every(Duration)
  /// `@reboot`: once at each start of the host.
  case start

  /// As a cron file writes it.
  public var description: String {
    switch self {
    case .expression(let expression): expression.description
    case .every(let span): "@every \(TimeSpan.format(span))"
    case .start: "@reboot"
    }
  }
}

/// A rule and the time zone written before it: `CRON_TZ=Europe/Berlin 0 9 * * mon-fri`.
public struct CronText: Hashable, Sendable {
  /// As written; whether there is such a zone is the zone data's business.
  public var zone: String?
  /// When it fires, in that zone.
  public var rule: CronRule

  /// Reads `*/5 * * * *`, `0 */5 * * * *`, `@daily`, `@every 90s` or `@reboot`, with `CRON_TZ=ZONE` or
  /// `TZ=ZONE` before it or not.
  ///
  /// - Throws: `CronSyntaxError` with the column in `text`.
  public init(parsing text: String) throws(CronSyntaxError) {
    var words = cronWords(text)
    if let first = words.first, let zone = Self.zone(in: first.text) {
      self.zone = zone
      words.removeFirst()
    }
    guard let first = words.first else {
      throw CronSyntaxError(
        column: 1,
        message: "the expression is empty; write five fields such as `0 9 * * mon-fri`, or `@daily`")
    }
    guard first.text.hasPrefix("@") else {
      rule = .expression(try CronExpression(fields: words))
      return
    }
    let (rule, used) = try Self.macro(words)
    guard words.count == used else {
      throw CronSyntaxError(
        column: words[used].column, message: "nothing may follow `\(rule)`, got `\(words[used].text)`")
    }
    self.rule = rule
  }

  private static func zone(in word: String) -> String? {
    for prefix in ["CRON_TZ=", "TZ="] where word.hasPrefix(prefix) {
      return String(word.dropFirst(prefix.count))
    }
    return nil
  }

  /// The rule at the front of `words`, whose first starts with `@`, and how many words it took.
  static func macro(_ words: [CronWord]) throws(CronSyntaxError) -> (rule: CronRule, used: Int) {
    let name = words[0].text.lowercased()
    switch name {
    case "@reboot": return (.start, 1)
    case "@every":
      guard words.count > 1 else {
        throw CronSyntaxError(
          column: words[0].column, message: "`@every` needs a time span such as 90s behind it")
      }
      do {
        let span = try TimeSpan.parse(words[1].text)
        guard span > .zero else {
          throw CronSyntaxError(column: words[1].column, message: "`@every` needs a span above zero")
        }
        return (.every(span), 2)
      } catch let error as CronSyntaxError { throw error } catch {
        throw CronSyntaxError(
          column: words[1].column, message: "`@every` needs a time span such as 90s, got `\(words[1].text)`")
      }
    default:
      guard let fields = macros[name] else {
        let known = macros.keys.sorted() + ["@every", "@reboot"]
        throw CronSyntaxError(
          column: words[0].column,
          message: "there is no `\(words[0].text)`" + Suggestion.clause(for: name, among: known))
      }
      let expression = try CronExpression(fields: cronWords(fields), named: name)
      return (.expression(expression), 1)
    }
  }

  /// What crontab(5) says each stands for.
  private static let macros = [
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
  ]
}
