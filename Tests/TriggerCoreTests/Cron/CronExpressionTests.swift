import TestSupport
import Testing

import TriggerCore

@Suite struct CronExpressionTests {
  private func time(_ text: String) -> CivilDateTime {
    guard case .local(let civil)? = try? ParsedTime(parsing: text) else { fatalError("bad time \(text)") }
    return civil
  }

  /// The next three matches from 2026-01-01T00:00:00, a Thursday.
  @Test(arguments: [
    ("*/15 * * * *", ["2026-01-01T00:00:00", "2026-01-01T00:15:00", "2026-01-01T00:30:00"]),
    ("30 9 * * mon-fri", ["2026-01-01T09:30:00", "2026-01-02T09:30:00", "2026-01-05T09:30:00"]),
    ("0 0 1 * *", ["2026-01-01T00:00:00", "2026-02-01T00:00:00", "2026-03-01T00:00:00"]),
    // Either day: neither field starts with a star.
    ("0 0 13 * 5", ["2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"]),
    // Both days: one field starts with a star.
    ("0 0 */2 * 1", ["2026-01-05T00:00:00", "2026-01-19T00:00:00", "2026-02-09T00:00:00"]),
    ("0 0 1-7 * */7", ["2026-01-04T00:00:00", "2026-02-01T00:00:00", "2026-03-01T00:00:00"]),
    ("0 0 ? * 7", ["2026-01-04T00:00:00", "2026-01-11T00:00:00", "2026-01-18T00:00:00"]),
    ("0 0 L * ?", ["2026-01-31T00:00:00", "2026-02-28T00:00:00", "2026-03-31T00:00:00"]),
    ("0 0 L-3 * ?", ["2026-01-28T00:00:00", "2026-02-25T00:00:00", "2026-03-28T00:00:00"]),
    ("0 0 LW * ?", ["2026-01-30T00:00:00", "2026-02-27T00:00:00", "2026-03-31T00:00:00"]),
    // 15 February and 15 March 2026 are Sundays; 1 August 2026 is a Saturday.
    ("0 0 15W * ?", ["2026-01-15T00:00:00", "2026-02-16T00:00:00", "2026-03-16T00:00:00"]),
    ("0 0 1W 8 ?", ["2026-08-03T00:00:00", "2027-08-02T00:00:00", "2028-08-01T00:00:00"]),
    ("0 0 ? * 5L", ["2026-01-30T00:00:00", "2026-02-27T00:00:00", "2026-03-27T00:00:00"]),
    ("0 0 ? * fri#3", ["2026-01-16T00:00:00", "2026-02-20T00:00:00", "2026-03-20T00:00:00"]),
    ("0 0 ? * 1#5", ["2026-03-30T00:00:00", "2026-06-29T00:00:00", "2026-08-31T00:00:00"]),
    ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
    ("10/20 5 * * *", ["2026-01-01T05:10:00", "2026-01-01T05:30:00", "2026-01-01T05:50:00"]),
    ("*/20 30 12 * * *", ["2026-01-01T12:30:00", "2026-01-01T12:30:20", "2026-01-01T12:30:40"]),
    ("0 22 * * fri-sun", ["2026-01-02T22:00:00", "2026-01-03T22:00:00", "2026-01-04T22:00:00"]),
    ("0 0 1 JAN,Jul *", ["2026-01-01T00:00:00", "2026-07-01T00:00:00", "2027-01-01T00:00:00"]),
    ("0 0 1-10/4 * *", ["2026-01-01T00:00:00", "2026-01-05T00:00:00", "2026-01-09T00:00:00"]),
  ])
  func next(text: String, expected: [String]) throws {
    let expression = try CronExpression(parsing: text)
    var from = time("2026-01-01T00:00:00")
    for wanted in expected {
      let found = try #require(expression.next(from: from))
      #expect("\(found)" == wanted)
      from = CivilDateTime(secondsSinceEpoch: found.secondsSinceEpoch + 1)
    }
  }

  @Test(arguments: [
    ("", 1, "a cron expression has 5 fields"), ("* * * *", 1, "got 4"), ("* * * * * * *", 1, "got 7"),
    ("60 * * * *", 1, "minute 60 is out of range 0-59"), ("* 24 * * *", 3, "hour 24 is out of range 0-23"),
    ("* * 0 * *", 5, "day of month 0 is out of range 1-31"), ("* * * 13 *", 7, "month 13"),
    ("* * * * 8", 9, "day of week 8 is out of range 0-7 (0 and 7 are Sunday)"),
    ("*/0 * * * *", 3, "a number from 1 up"), ("1, * * * *", 3, "a value is missing"),
    ("1-  * * * *", 3, "a minute is missing"), ("30-10 * * * *", 1, "goes backwards; write 30-59,0-10"),
    ("* * * * 7-1", 9, "goes backwards; write 0-1"), ("* * * * sat-2", 9, "write 6-6,0-2"),
    ("* * * jna *", 7, "`jna` is no month (1-12, or jan-dec); did you mean 'jan'?"),
    ("? * * * *", 1, "`?` is for the day of month"), ("* * L-31 * *", 7, "needs a number from 1 to 30"),
    ("* * 32W * *", 5, "needs a number from 1 to 31"), ("* * * * 1#6", 11, "needs a number from 1 to 5"),
    ("0~30 * * * *", 1, "use `jitter`"), ("0 0 30 2 *", 5, "it would never fire"),
    ("0 0 31 4,6,9,11 ?", 5, "it would never fire"), ("+5 * * * *", 1, "`+5` is no minute"),
    ("٣ * * * *", 1, "is no minute"),
  ])
  func wrong(text: String, column: Int, message: String) {
    let error = #expect(throws: CronSyntaxError.self) { try CronExpression(parsing: text) }
    #expect(error?.column == column)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  @Test func nextIsTheFirstMatch() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for _ in 0..<300 {
      let text = randomCronExpression(&random)
      guard let expression = try? CronExpression(parsing: text) else { continue }
      let start = CivilDateTime(
        secondsSinceEpoch: Int.random(in: 0...2_000_000_000, using: &random) / 60 * 60)
      let found = try #require(expression.next(from: start))
      #expect(expression.matches(found), "seed \(seed): \(text) from \(start)")
      var minute = start.secondsSinceEpoch
      let limit = min(found.secondsSinceEpoch, minute + 20_000 * 60)
      while minute < limit {
        let earlier = CivilDateTime(secondsSinceEpoch: minute)
        #expect(!expression.matches(earlier), "seed \(seed): \(text) from \(start) passed over \(earlier)")
        minute += 60
      }
    }
  }

  @Test(
    arguments: [
      ("@hourly", "@hourly", "every hour"), ("@daily", "@daily", "at 00:00"),
      ("@Weekly", "@weekly", "at 00:00 on Sundays"),
      ("@monthly", "@monthly", "at 00:00 on the 1st of the month"),
      ("@yearly", "@yearly", "at 00:00 on the 1st of the month in January"),
      ("@every 90s", "@every 1m30s", "every 1m30s, by elapsed time"),
      ("@reboot", "@reboot", "once, when the host starts"),
      // Times of day.
      ("* * * * *", nil, "every minute"), ("*/5 * * * *", nil, "every 5 minutes"),
      ("30 9 * * *", nil, "at 09:30"), ("30 9,17 * * *", nil, "at 09:30 and 17:30"),
      ("0,30 9 * * *", nil, "at 09:00 and 09:30"), ("30 * * * *", nil, "every hour at minute 30"),
      ("0 */2 * * *", nil, "every 2 hours"), ("15 */6 * * *", nil, "every 6 hours at minute 15"),
      // The last step of these is shorter: no rhythm.
      ("0 */5 * * *", nil, "at 00:00, 05:00, 10:00, 15:00 and 20:00"),
      ("*/25 * * * *", nil, "at minutes 0, 25 and 50 of every hour"),
      ("*/7 * * * *", nil, "every 7 minutes from minute 0 to 56 of the hour"),
      ("7/10 * * * *", nil, "at minutes 7, 17, 27, 37, 47 and 57 of every hour"),
      ("10-50/5 * * * *", nil, "every 5 minutes from minute 10 to 50 of the hour"),
      ("0-5,30,40,41 * * * *", nil, "at minutes 0 to 5, 30, 40 and 41 of every hour"),
      ("*/15 9-17 * * *", nil, "every 15 minutes from 09:00 to 17:45"),
      ("* 9,17 * * *", nil, "every minute from 09:00 to 09:59 and from 17:00 to 17:59"),
      ("0 9-17 * * *", nil, "every hour from 09:00 to 17:00"),
      ("5 8-20/2 * * *", nil, "every 2 hours from 08:05 to 20:05"),
      ("*/10 */2 * * *", nil, "every 10 minutes in every 2nd hour from midnight"),
      ("5,20 9-12 * * *", nil, "at minutes 5 and 20 from 09:05 to 12:20"),
      // Seconds.
      ("* * * * * *", nil, "every second"), ("*/10 * * * * *", nil, "every 10 seconds"),
      ("30 * * * * *", nil, "at second 30 of every minute"), ("0 0 * * * *", nil, "every hour"),
      ("15 30 9 * * *", nil, "at 09:30:15"), ("* 30 9 * * *", nil, "every second of the minute 09:30"),
      ("*/20 */5 * * * *", nil, "every 20 seconds in every 5th minute"),
      // Days of the week.
      ("30 9 * * mon-fri", nil, "at 09:30 on weekdays"), ("0 10 * * sat,sun", nil, "at 10:00 at weekends"),
      ("0 10 * * 6-7", nil, "at 10:00 at weekends"),
      ("0 9 * * 1,3,5", nil, "at 09:00 on Mondays, Wednesdays and Fridays"),
      ("0 9 * * mon-thu", nil, "at 09:00 from Monday to Thursday"),
      ("0 9 * * fri-sun", nil, "at 09:00 from Friday to Sunday"),
      ("0 9 * * */2", nil, "at 09:00 on Tuesdays, Thursdays, Saturdays and Sundays"),
      ("0 0 ? * fri#3", nil, "at 00:00 on the third Friday of the month"),
      ("0 0 ? * 5L", nil, "at 00:00 on the last Friday of the month"),
      ("0 0 ? * mon,5L", nil, "at 00:00 on Mondays and on the last Friday of the month"),
      // Days of the month.
      ("0 0 1,15 * *", nil, "at 00:00 on the 1st and the 15th of the month"),
      ("0 0 1-7 * *", nil, "at 00:00 on the 1st to 7th of the month"),
      ("0 0 */2 * *", nil, "at 00:00 on every 2nd day from the 1st of the month"),
      ("0 0 3-21/3 * *", nil, "at 00:00 on every 3rd day from the 3rd to the 21st of the month"),
      ("0 0 L * ?", nil, "at 00:00 on the last day of the month"),
      ("0 0 L-1 * ?", nil, "at 00:00 on the day before the last of the month"),
      ("0 0 L-3 * ?", nil, "at 00:00 on the day 3 days before the last of the month"),
      ("0 0 15W * ?", nil, "at 00:00 on the weekday (Monday to Friday) nearest to the 15th of the month"),
      (
        "0 6 LW 1,12 ?", nil,
        "at 06:00 on the last weekday (Monday to Friday) of the month in January and December"
      ),
      // Both: either will do, unless one has a star.
      ("0 0 13 * 5", nil, "at 00:00 on the 13th of the month and also on Fridays"),
      ("0 0 */2 * mon", nil, "at 00:00 on every 2nd day from the 1st of the month, but only on Mondays"),
      // Months.
      ("0 0 * 3-5 *", nil, "at 00:00 from March to May"),
      ("0 0 * */6 *", nil, "at 00:00 in January and July"),
      ("0 9 * jun mon-fri", nil, "at 09:00 on weekdays in June"),
    ] as [(String, String?, String)])
  func words(text: String, name: String?, explanation: String) throws {
    let parsed = try CronText(parsing: text)
    #expect(parsed.rule.description == name ?? text)
    #expect(parsed.rule.explanation == explanation)
  }

  @Test func zoneInFront() throws {
    #expect(try CronText(parsing: "CRON_TZ=Europe/Berlin 0 9 * * *").zone == "Europe/Berlin")
    #expect(try CronText(parsing: "TZ=UTC @daily").zone == "UTC")
    #expect(try CronText(parsing: "@daily").zone == nil)
  }

  @Test(arguments: [
    ("@dayly", 1, "there is no `@dayly`; did you mean '@daily'?"), ("@every", 1, "needs a time span"),
    ("@every soon", 8, "such as 90s, got `soon`"), ("@every 0s", 8, "above zero"),
    ("@daily x", 8, "nothing may follow `@daily`"), ("  ", 1, "is empty"),
  ])
  func wrongMacros(text: String, column: Int, message: String) {
    let error = #expect(throws: CronSyntaxError.self) { try CronText(parsing: text) }
    #expect(error?.column == column)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }
}

/// Five fields of every form the grammar has; now and then of a day that does not exist.
func randomCronExpression(_ random: inout SplitMix64) -> String {
  func field(_ range: ClosedRange<Int>, _ special: [String] = []) -> String {
    let (a, b) = (Int.random(in: range, using: &random), Int.random(in: range, using: &random))
    switch Int.random(in: 0..<7, using: &random) {
    case 0, 1: return "*"
    case 2: return "*/\(Int.random(in: 1...12, using: &random))"
    case 3: return "\(min(a, b))-\(max(a, b))"
    case 4: return "\(min(a, b))-\(max(a, b))/\(Int.random(in: 1...5, using: &random))"
    case 5 where !special.isEmpty: return special.randomElement(using: &random)!
    default: return a == b ? "\(a)" : "\(a),\(b)"
    }
  }
  return [
    field(0...59), field(0...23), field(1...31, ["L", "LW", "L-5", "15W", "1W", "31W", "?"]), field(1...12),
    field(0...7, ["?", "5L", "1#3", "sat#5", "L"]),
  ].joined(separator: " ")
}
