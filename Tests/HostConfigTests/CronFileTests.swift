import Testing
import TriggerCore
import TriggerHost

import HostConfig

@Suite struct CronFileTests {
  static let yaml = "schedules:\n  - { name: a, cron: '@daily', trigger: t }\n"

  @Test(arguments: [
    "*/5 * * * * report", "# x\n\nCRON_TZ=Europe/Berlin\n", "@daily report", "0 9 * * mon-fri\treport",
  ])
  func aCrontabWithTheNameOfYAMLIsSaid(text: String) {
    let file = parseCronFile(text: text, file: "cron.yaml")
    let line = text.hasPrefix("#") ? 3 : 1
    #expect(
      file.report.problems.map { "\($0)" } == [
        "cron.yaml:\(line): this is a line of a crontab, and the file's name says YAML: call it crontab, or NAME.cron"
      ])
  }

  @Test(arguments: ["cron.yaml", "jobs.YML", "jobs"])
  func readsYAML(name: String) throws {
    let cron = parseCronFile(text: "# jobs\n\n" + Self.yaml, file: name)
    #expect(cron.report.problems.isEmpty)
    #expect(cron.entries.map(\.job.rule) == [try .init(cron: "@daily")])
    #expect(cron.entries.map(\.line) == [4])
  }

  @Test(arguments: [("crontab", ""), ("jobs", "# mine\n"), ("a.cron", "")])
  func anythingElseIsACrontab(name: String, head: String) throws {
    let text =
      head + "CRON_TZ=Europe/Berlin\n*/5 * * * * report {\"depth\": 3}\n@every 2s event:tick\n@reboot warm\n"
    let cron = parseCronFile(text: text, file: name)
    #expect(cron.report.problems.isEmpty)
    let jobs = cron.entries.map(\.job)
    #expect(jobs.map(\.name) == ["report */5 * * * *", "tick @every 2s", "warm @reboot"])
    #expect(jobs.map(\.action) == [.trigger("report"), .event("tick"), .trigger("warm")])
    #expect(jobs[0].rule == (try .init(cron: "*/5 * * * *", zone: Zone("Europe/Berlin"))))
    #expect(jobs[0].payload == ["depth": 3])
    #expect(jobs[1].rule == .every(.seconds(2)))
    #expect(jobs[2].rule == .start)
  }

  /// One trigger at one time, with another payload or in another zone, is another job; the same line twice is a mistake.
  @Test func linesThatDifferInPayloadOrZoneAreJobs() {
    let text = """
      0 9 * * * report {"of": "a"}
      0 9 * * * report {"of": "b"}
      CRON_TZ=Asia/Tokyo
      0 9 * * * report {"of": "b"}
      0 9 * * * report {"of": "b"}
      """
    let file = parseCronFile(text: text, file: "crontab")
    #expect(
      file.entries.prefix(3).map(\.job.name) == [
        "report 0 9 * * *", "report 0 9 * * * {\"of\":\"b\"}", "report 0 9 * * * Asia/Tokyo {\"of\":\"b\"}",
      ])
    #expect(file.entries.map { $0.job.payload["of"] } == ["a", "b", "b", "b"])
    #expect(
      file.report.description
        == "crontab:5: the schedule name `report 0 9 * * * Asia/Tokyo {\"of\":\"b\"}` is used twice; first on line 4"
    )
  }

  @Test func crontabMistakes() {
    let text = "MAILTO=me\n61 * * * * a\nCRON_TZ=Europe/Berln\n@daily b\n"
    #expect(
      parseCronFile(text: text, file: "crontab").report.description == """
        crontab:1: warning: `MAILTO` has no effect here; only CRON_TZ has
        crontab:2: column 1: minute 61 is out of range 0-59
        crontab:4: unknown time zone `Europe/Berln`; did you mean 'Europe/Berlin'?
        """)
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
        cron.yaml:5: unknown key `schedule`; did you mean 'schedules'?
        """)
  }
}
