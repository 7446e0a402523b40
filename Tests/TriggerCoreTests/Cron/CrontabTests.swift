import Testing

import TriggerCore

@Suite struct CrontabTests {
  @Test func jobs() throws {
    let tab = Crontab(
      parsing: """
        # the market's jobs

        */5 * * * * report
        30 0 9 * * mon-fri open {"exchange": "XETRA"}
        CRON_TZ = "Europe/Berlin"
        @daily event:day.end
        CRON_TZ=
        \t@every 90s\tping
        @reboot warm-up {}
        """)
    #expect(tab.problems.isEmpty)
    #expect(tab.jobs.map(\.target) == ["report", "open", "day.end", "ping", "warm-up"])
    #expect(tab.jobs.map(\.line) == [3, 4, 6, 8, 9])
    #expect(
      tab.jobs.map(\.rule.description) == [
        "*/5 * * * *", "30 0 9 * * mon-fri", "@daily", "@every 1m30s", "@reboot",
      ])
    #expect(tab.jobs.map(\.zone) == [nil, nil, "Europe/Berlin", nil, nil])
    #expect(tab.jobs.map(\.isEvent) == [false, false, true, false, false])
    #expect(tab.jobs[1].payload == ["exchange": "XETRA"])
  }

  /// What follows a target is an object, so a target may look like a field.
  @Test(arguments: [
    ("* * * * * sun {\"a\": 1}", "sun", "* * * * *"), ("* * * * * 5 {}", "5", "* * * * *"),
    ("* * * * * 5", "5", "* * * * *"), ("0 9 * * sun sun", "sun", "0 9 * * sun"),
    ("30 0 9 * * sun 5", "5", "30 0 9 * * sun"), ("30 0 9 * * 5 sun {\"a\":1}", "sun", "30 0 9 * * 5"),
    ("@daily sun {}", "sun", "@daily"),
  ])
  func targetsThatLookLikeFields(line: String, target: String, rule: String) throws {
    let tab = Crontab(parsing: line)
    #expect(tab.problems.isEmpty)
    let job = try #require(tab.jobs.first)
    #expect(job.target == target && job.rule.description == rule)
  }

  @Test(arguments: [
    ("*/5 * * * *", 12, "the trigger to start is missing"), ("61 * * * * a", 1, "minute 61"),
    ("* * * * report", 9, "`report` is no day of week"), ("@dialy a", 1, "did you mean '@daily'?"),
    ("* * * * * /usr/bin/true", 11, "commands of a shell cannot run here"),
    ("* * * * * a {\"x\":", 13, "as JSON"), ("* * * * * a [1]", 13, "a JSON object"),
    ("@every a", 8, "a time span"), ("nonsense", 1, "got 1"),
  ])
  func wrong(line: String, column: Int, message: String) throws {
    let tab = Crontab(parsing: "@daily good\n" + line + "\n@hourly good")
    #expect(tab.jobs.count == 2)
    let problem = try #require(tab.problems.first)
    #expect(problem.line == 2)
    #expect(problem.column == column)
    #expect(problem.message.contains(message), "\(problem.message)")
  }

  @Test func otherSettingsAreWarnings() {
    let tab = Crontab(parsing: "MAILTO=root\nSHELL=/bin/sh\n@daily a")
    #expect(tab.jobs.count == 1)
    #expect(tab.problems.map(\.isWarning) == [true, true])
  }
}
