import ArgumentParser
import Foundation
import HostConfig
import TriggerCore
import TriggerHost
import TriggerRuntime

/// `trigger-host cron next|check|explain`.
struct CronCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cron", abstract: "Look at cron expressions and cron files without running anything.",
    discussion: """
      An expression has five fields (minute hour day month weekday), or six with seconds first, or is one of \
      @hourly @daily @weekly @monthly @yearly, "@every 90s", @reboot. Quote it, so that the shell leaves the \
      stars alone:

        trigger-host cron next "30 9 * * mon-fri" --tz Europe/Berlin
        trigger-host cron explain "0 6 LW * ?"
        trigger-host cron check cron.yaml
      """,
    subcommands: [Next.self, CheckFile.self, Explain.self])

  /// One expression from the command line, and its zone.
  struct Expression: ParsableArguments {
    @Argument(help: "The expression, in quotes.") var expression: String
    @Option(
      help: "IANA time zone, such as Europe/Berlin. Default: the expression's CRON_TZ=, or this machine's.")
    var tz: String?

    func parsed() throws -> (text: CronText, zone: Zone) {
      let text: CronText
      do { text = try CronText(parsing: expression) } catch {
        // Tabs stay tabs, so that the mark stands below its column.
        let indent = String(expression.prefix(error.column - 1).map { $0 == "\t" ? "\t" : " " })
        Output.problem("\(expression)\n\(indent)^ \(error.message)")
        throw ExitCode(1)
      }
      let zones = try [tz, text.zone].compactMap { $0 }.map { name in
        guard let zone = Zone(name) else {
          throw ValidationError(
            "unknown time zone '\(name)'\(Suggestion.clause(for: name, among: Zone.names))")
        }
        return zone
      }
      return (text, zones.first ?? .host)
    }
  }

  struct Next: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print when an expression fires next.")

    @OptionGroup var expression: Expression
    @Option(help: "How many fires.") var count = 5
    @Option(help: "Count from this RFC 3339 time. Default: now.") var from: String?
    @Option(help: "What a fixed-time job does when clocks change: skip, once or both.")
    var dst = "once"
    @Flag(help: "Print a JSON array of RFC 3339 times.") var json = false

    func validate() throws {
      guard (1...10_000).contains(count) else { throw ValidationError("--count is 1 to 10000, got \(count)") }
      guard WallSchedule.OnClockChange(rawValue: dst) != nil else {
        throw ValidationError("--dst is skip, once or both, got '\(dst)'")
      }
    }

    func run() throws {
      let (text, zone) = try expression.parsed()
      let onClockChange = WallSchedule.OnClockChange(rawValue: dst)!
      var time = try start()
      let rule: ScheduledJob.Rule
      switch text.rule {
      case .expression(let expression):
        rule = .wall(WallSchedule(expression, zone: zone, onClockChange: onClockChange))
      case .every(let span): rule = .every(span, from: time)
      case .start:
        if json { Output.result("[]") } else { Output.result("once, when the host starts") }
        return
      }
      var fires: [Timestamp] = []
      while fires.count < count, let next = rule.next(after: time) {
        fires.append(next)
        time = next
      }
      if json {
        Output.json(.array(fires.map { .string(zone.format($0)) }))
      } else {
        for fire in fires { Output.result("\(zone.format(fire))") }
      }
    }

    private func start() throws -> Timestamp {
      guard let from else { return Timestamp(nanoseconds: SystemClock().now()) }
      do { return try Timestamp(parsing: from) } catch { throw ValidationError("--from: \(error)") }
    }
  }

  struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say in English when an expression fires.")

    @OptionGroup var expression: Expression

    func run() throws {
      let (text, zone) = try expression.parsed()
      Output.result("\(text.rule.explanation)")
      guard case .expression(let expression) = text.rule else { return }
      Output.result(
        expression.isFixedTime
          ? "a fixed time: skipped by a change of clocks it fires right after the gap, repeated it fires once"
          : "follows the clock: does not fire at times that a change of clocks skips, fires in both passes")
      Output.result("time zone \(self.expression.tz ?? text.zone ?? "\(zone)")")
    }
  }

  struct CheckFile: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Find mistakes in a cron file: YAML with schedules:, or a crontab.")

    @Argument(help: "The cron file.") var file: String

    func run() throws {
      let cron = loadCronFile(path: file)
      try report(cron.report)
      for entry in cron.entries {
        let next = entry.job.rule.next(after: Timestamp(nanoseconds: SystemClock().now()))
        let words = next.map { "next \(Self.shown($0, entry.job.rule))" } ?? Self.otherwise(entry.job.rule)
        Output.result("\(entry.job.name): \(words)")
      }
      Output.result("\(counted(cron.entries.count, "schedule")) found, everything is in order.")
    }

    /// As clocks show it where the job counts, and here.
    private static func shown(_ time: Timestamp, _ rule: ScheduledJob.Rule) -> String {
      guard case .wall(let schedule) = rule else { return Zone.host.format(time) }
      let (there, here) = (schedule.zone.format(time), Zone.host.format(time))
      return "\(there) \(schedule.zone)\(there == here ? "" : ", here \(here)")"
    }

    private static func otherwise(_ rule: ScheduledJob.Rule) -> String {
      if case .start = rule { return "when the host starts" }
      return "never: its time is past"
    }
  }
}
