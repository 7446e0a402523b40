import Foundation
import Testing

/// `cron next`, `cron explain`, `cron check`.
@Suite struct CronTests {
  private static let weekdays = [
    "2026-03-27T09:30:00+01:00", "2026-03-30T09:30:00+02:00", "2026-03-31T09:30:00+02:00",
  ]

  @Test func nextCountsFromAGivenTime() async throws {
    let arguments = [
      "cron", "next", "30 9 * * mon-fri", "--tz", "Europe/Berlin", "--from", "2026-03-27T00:00:00Z",
      "--count",
      "3",
    ]
    let ended = try await RunningCommand(arguments).end()
    #expect(ended.status == 0)
    #expect(ended.lines == Self.weekdays)
    let json = try await RunningCommand(arguments + ["--json"]).end()
    #expect(json.status == 0)
    #expect(try json.json() as? [String] == Self.weekdays)
  }

  /// On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00, on 2026-10-25 from 03:00 to 02:00.
  @Test(arguments: [
    ("once", "2026-03-28T12:00:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
    ("skip", "2026-03-28T12:00:00Z", ["2026-03-30T02:30:00+02:00", "2026-03-31T02:30:00+02:00"]),
    ("once", "2026-10-24T12:00:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ("both", "2026-10-24T12:00:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]),
  ])
  func nextKnowsWhenClocksChange(_ dst: String, _ from: String, _ fires: [String]) async throws {
    let ended = try await triggerHost(
      "cron", "next", "CRON_TZ=Europe/Berlin 30 2 * * *", "--dst", dst, "--from", from, "--count", "2")
    #expect(ended.status == 0)
    #expect(ended.lines == fires)
  }

  @Test func nextOfIntervalsAndStarts() async throws {
    let every = try await triggerHost(
      "cron", "next", "@every 90s", "--from", "2026-01-01T00:00:00Z", "--count", "2")
    #expect(every.lines == ["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"])
    #expect(try await triggerHost("cron", "next", "@reboot").lines == ["once, when the host starts"])
    #expect(try await triggerHost("cron", "next", "@reboot", "--json").output == "[]\n")
  }

  @Test(arguments: [
    (
      ["30 9 * * mon-fri", "--tz", "Europe/Berlin"],
      [
        "at 09:30 on weekdays",
        "a fixed time: skipped by a change of clocks it fires right after the gap, repeated it fires once",
        "time zone Europe/Berlin",
      ]
    ),
    (
      ["*/15 * * * *", "--tz", "UTC"],
      [
        "every 15 minutes",
        "follows the clock: does not fire at times that a change of clocks skips, fires in both passes",
        "time zone UTC",
      ]
    ),
    (["@every 90s"], ["every 1m30s, by elapsed time"]), (["@reboot"], ["once, when the host starts"]),
  ])
  func explainSaysItInEnglish(_ arguments: [String], _ lines: [String]) async throws {
    let ended = try await RunningCommand(["cron", "explain"] + arguments).end()
    #expect(ended.status == 0)
    #expect(ended.lines == lines)
  }

  @Test(arguments: ["next", "explain"])
  func aBadExpressionIsMarkedBelowItsColumn(_ command: String) async throws {
    for (expression, mark, words) in [
      ("61 * * * *", "^ ", "minute 61 is out of range 0-59"),
      ("0 9 * * monn", "        ^ ", "did you mean 'mon'?"),
      ("0\t25 * * *", " \t^ ", "hour 25 is out of range 0-23"), ("@evry 5s", "^ ", "did you mean '@every'?"),
      ("5 0 * *", "^ ", "got 4"), ("", "^ ", "the expression is empty"),
      ("CRON_TZ=Europe/Berlin 0 9 32 * *", "                          ^ ", "day of month 32 is out of range"),
    ] {
      let ended = try await triggerHost("cron", command, expression)
      #expect(ended.status == 1)
      #expect(ended.output == "")
      let lines = ended.errors.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.first.map(String.init) == expression)
      #expect(lines[1].hasPrefix(mark) && lines[1].contains(words), "\(ended.errors)")
    }
  }

  @Test(arguments: [
    (
      ["* * * * *", "--tz", "Europe/Berlni"],
      "unknown time zone 'Europe/Berlni'; did you mean 'Europe/Berlin'?"
    ),
    (
      ["CRON_TZ=Europe/Pariss * * * * *", "--tz", "UTC"],
      "unknown time zone 'Europe/Pariss'; did you mean 'Europe/Paris'?"
    ),
    (["CRON_TZ=Europe/Pariss * * * * *"], "unknown time zone 'Europe/Pariss'; did you mean 'Europe/Paris'?"),
    (
      ["* * * * *", "--from", "yesterday"],
      "--from: expected a time like 2026-07-01T08:00:00Z, got \"yesterday\""
    ),
    (["* * * * *", "--count", "0"], "--count is 1 to 10000, got 0"),
    (["* * * * *", "--dst", "twice"], "--dst is skip, once or both, got 'twice'"),
  ])
  func aUsageMistakeEndsWith2(_ arguments: [String], _ message: String) async throws {
    let ended = try await RunningCommand(["cron", "next"] + arguments).end()
    #expect(ended.status == 2)
    #expect(ended.errorLines.first == "Error: \(message)")
    #expect(ended.errors.contains("See 'trigger-host cron next --help' for more information."))
  }

  @Test func checkReadsBothKindsOfFile() async throws {
    let directory = try TemporaryDirectory([
      "good.yaml": """
      schedules:
        - { name: often, every: 1s, trigger: a }
        - { name: past, at: 2020-01-01T00:00:00Z, trigger: a }
        - { name: far, cron: "30 9 1 1 *", timezone: Asia/Tokyo, trigger: a }
        - { name: near, cron: "30 9 1 1 *", timezone: Europe/London, trigger: a }
      """, "crontab": "@reboot a\n",
      "bad.yaml": "schedules:\n  - { name: a, evry: 1s, trigger: a }\n",
      "bad.crontab": "\n* * * * 9 a\n* *\n",
    ])
    let good = try await RunningCommand(
      ["cron", "check", "good.yaml"], in: directory.path, environment: ["TZ": "UTC"]
    ).end()
    #expect(good.status == 0)
    #expect(good.lines[0].hasPrefix("often: next 2"))
    let years = good.lines.filter { $0.contains(": next 2") }.map { $0.split(separator: " ")[2].prefix(4) }
    #expect(
      good.lines.dropFirst() == [
        "past: never: its time is past",
        "far: next \(years[1])-01-01T09:30:00+09:00 Asia/Tokyo, here \(years[1])-01-01T00:30:00Z",
        "near: next \(years[2])-01-01T09:30:00Z Europe/London", "4 schedules found, everything is in order.",
      ])
    let tab = try await triggerHost("cron", "check", "crontab", in: directory.path)
    #expect(tab.lines == ["a @reboot: when the host starts", "1 schedule found, everything is in order."])

    let bad = try await triggerHost("cron", "check", "bad.yaml", in: directory.path)
    #expect(bad.status == 1)
    #expect(bad.errorLines.first == "bad.yaml:2: unknown key `schedules[0].evry`; did you mean 'every'?")
    let badTab = try await triggerHost("cron", "check", "bad.crontab", in: directory.path)
    #expect(badTab.status == 1)
    #expect(badTab.errorLines.map { $0.split(separator: ":")[1] } == ["2", "3"])
    let missing = try await triggerHost("cron", "check", "gone", in: directory.path)
    #expect(missing.status == 1)
    #expect(missing.errorLines == ["gone: cannot be read: no such file or directory"])
  }
}
