import Testing

@testable import HostConfig

@Suite struct CronFileTests {
  static let yaml = "schedules:\n  - { name: a, cron: '@daily', trigger: t }\n"

  @Test(arguments: ["cron.yaml", "jobs.YML", "jobs"])
  func readsYAML(name: String) {
    let cron = parseCronFile(text: "# jobs\n\n" + Self.yaml, file: name)
    #expect(cron.report.problems.isEmpty)
    #expect(cron.entries.map(\.rule) == [.cron("@daily")])
    #expect(cron.entries.map(\.line) == [4])
  }

  @Test func anythingElseIsACrontab() {
    for (name, text) in [("crontab", Self.yaml), ("jobs", "*/5 * * * * report\n"), ("a.cron", "")] {
      let report = parseCronFile(text: text, file: name).report
      #expect(report.description.contains("a plain crontab cannot be read yet"))
    }
  }

  @Test func badJobsAreReportedAndGoodOnesKept() {
    let text = Self.yaml + "  - { name: b }\n  - { name: a, every: 1s, event: e }\nschedule: x\n"
    let cron = parseCronFile(text: text, file: "cron.yaml")
    #expect(cron.entries.count == 2)
    #expect(
      cron.report.description == """
        cron.yaml:3: schedules[1]: one of `cron`, `every` or `at` must say when it fires
        cron.yaml:3: schedules[1]: one of `trigger` or `event` must say what it starts
        cron.yaml:4: the schedule name `a` is used twice; first on line 2
        cron.yaml:5: unknown key `schedule`; did you mean `schedules`?
        """)
  }
}

@Suite struct SmallParserTests {
  @Test(arguments: [
    ("250ms", Duration.milliseconds(250)), ("2s", .seconds(2)), ("1.5m", .seconds(90)),
    ("1h", .seconds(3600)),
    ("7d", .seconds(604_800)), ("10us", .microseconds(10)), ("0s", .zero),
  ])
  func timeSpans(text: String, span: Duration) {
    #expect(parseTimeSpan(text) == span)
  }

  @Test(arguments: ["", "5", "ms", "-1s", ".5s", "5.s", "1.2.3s", "1 s", "1S", "1s ", "999999999d", "٣s"])
  func badTimeSpans(text: String) {
    #expect(parseTimeSpan(text) == nil)
  }

  @Test func sizes() {
    #expect(parseByteSize("64mb") == 64 << 20)
    #expect(parseByteSize("1.5KB") == 1536)
    #expect(parseByteSize("1gb") == 1 << 30)
    #expect(parseByteSize("12b") == 12)
    for text in ["", "64", "mb", "-1mb", "1tb", "99999999gb"] { #expect(parseByteSize(text) == nil) }
  }

  @Test func times() {
    #expect(parseTime("1970-01-01T00:00:00Z")?.timeIntervalSince1970 == 0)
    #expect(parseTime("2024-02-29T12:00:00-05:30")?.timeIntervalSince1970 == 1_709_227_800)
    #expect(parseTime("1969-12-31T23:59:59.5Z")?.timeIntervalSince1970 == -0.5)
    for text in [
      "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
      "2026-01-01T00:00:00+2:00", "2100-02-29T00:00:00Z",
    ] { #expect(parseTime(text) == nil) }
  }

  @Test func closeWords() {
    let words = ["scripts", "stores", "schedules"]
    #expect(closestMatch(to: "sripts", in: words) == "scripts")
    #expect(closestMatch(to: "sotres", in: words) == "stores")
    #expect(closestMatch(to: "Schedule", in: words) == "schedules")
    #expect(closestMatch(to: "banana", in: words) == nil)
    #expect(closestMatch(to: "", in: words) == nil)
  }
}
