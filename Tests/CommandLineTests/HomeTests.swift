import Foundation
import Testing

/// The home example from end to end, against the same arithmetic in plain Swift with Foundation's calendar.
@Suite struct HomeTests {
  @Test func aYearOfTemperaturesComesToWhatArithmeticSays() async throws {
    let directory = try TemporaryDirectory()
    let home = try directory.copy(example: "home")
    // At once, one after the other, and without the report that is due at some time of the day.
    try directory.edit("\(home)/host.yaml") { text in
      text.split(separator: "\n").filter { !$0.contains("rate:") && !$0.hasPrefix("cron:") }
        .joined(separator: "\n") + "\norder: strict\nlimits: { timeout: 1m }\n"
    }
    let data = directory("data")
    let ended = try await triggerHost(
      "run", "--config", directory("home/host.yaml"), "--exit-when-idle", "--data", data)
    #expect(ended.status == 0, "\(ended)")
    #expect(
      ended.errorLines.contains {
        $0.hasPrefix("8759 rows fed; 35036 seqs: 35036 committed, 0 failed, 0 skipped")
      }, "\(ended)")

    let year = try Year(readings: directory.read("home/data/seattle_temps_1h.csv"))
    let stores = try await triggerHost("replay", "--data", data, "--json").jsonObject()
    let summaries = try #require(stores["summaries"] as? [String: [String: Any]])
    // The last day never ends in the file.
    #expect(summaries.count == 364 && year.days.count == 365)
    for (date, day) in year.days where date != "2010-12-31" {
      let summary = try #require(summaries[date], "\(date)")
      for (field, expected) in day.fields {
        let value = try #require(summary[field] as? Double, "\(date) \(field): \(summary)")
        #expect(abs(value - expected) < 1e-9, "\(date) \(field): \(value), arithmetic says \(expected)")
      }
      #expect(summary["is_whole"] as? Bool == true, "\(date)")
    }
    #expect(year.days["2010-03-14"]?.hours == 23 && year.days["2010-03-14"]?.readings == 23)
    #expect(year.days["2010-11-07"]?.hours == 25 && year.days["2010-11-07"]?.readings == 24)

    let alerts = try #require(stores["alerts"] as? [String: Any])
    for (name, expected) in [("heat", year.heatAlerts), ("cold", year.coldAlerts)] {
      let history = try #require(alerts["history/\(name)"] as? [[String: Any]])
      #expect(history.map { $0["from"] as? String } == expected)
    }
    #expect(year.heatAlerts.count > 10 && year.coldAlerts.count > 3, "the year has some of both")
  }

  @Test func itsOwnTestsPass() async throws {
    let directory = try TemporaryDirectory()
    let home = directory(try directory.copy(example: "home"))
    let ended = try await triggerHost("test", home, "--timeout", "2m")
    #expect(ended.status == 0, "\(ended)")
    #expect(ended.lines.last?.contains(" 0 failed") == true)
  }
}

/// What the example's scripts should come to: heating on below 50 and off above 54 degrees, alerts above 75 (cleared
/// below 72) and below 38 (cleared above 40), days in Pacific time, every reading holding until the next.
private struct Year {
  struct Day {
    var hours = 0.0
    var degreeHours = 0.0
    var readings = 0.0
    var min = Double.infinity
    var max = -Double.infinity
    var heatingHours = 0.0
    var switches = 0.0

    var fields: [String: Double] {
      [
        "hours": hours, "mean": degreeHours / hours, "readings": readings, "min": min, "max": max,
        "heating_hours": heatingHours, "heating_switches": switches,
      ]
    }
  }

  private(set) var days: [String: Day] = [:]
  private(set) var heatAlerts: [String] = []
  private(set) var coldAlerts: [String] = []

  init(readings text: String) throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "America/Los_Angeles"))
    let rows = try text.split(separator: "\n").dropFirst().map { row in
      let cells = row.split(separator: ",")
      let numbers = cells[0].split { !$0.isNumber }.compactMap { Int($0) }
      let parts = DateComponents(year: numbers[0], month: numbers[1], day: numbers[2], hour: numbers[3])
      // A time in the gap is moved on by Foundation too: 02:00 becomes 03:00.
      return (
        time: String(cells[0]), at: try #require(calendar.date(from: parts)),
        degrees: try #require(Double(cells[1]))
      )
    }
    var isOn = false
    var (isHot, isCold) = (false, false)
    for (index, row) in rows.enumerated() {
      let date = String(row.time.prefix(10))
      if row.degrees < 50, !isOn {
        (isOn, days[date, default: Day()].switches) = (true, days[date, default: Day()].switches + 1)
      }
      if row.degrees > 54, isOn {
        (isOn, days[date, default: Day()].switches) = (false, days[date, default: Day()].switches + 1)
      }
      if row.degrees > 75, !isHot { (isHot, heatAlerts) = (true, heatAlerts + [row.time]) }
      if row.degrees < 72 { isHot = false }
      if row.degrees < 38, !isCold { (isCold, coldAlerts) = (true, coldAlerts + [row.time]) }
      if row.degrees > 40 { isCold = false }
      let hours = index + 1 < rows.count ? rows[index + 1].at.timeIntervalSince(row.at) / 3600 : 0
      var day = days[date] ?? Day()
      day.hours += hours
      day.degreeHours += row.degrees * hours
      day.readings += 1
      day.min = Swift.min(day.min, row.degrees)
      day.max = Swift.max(day.max, row.degrees)
      if isOn { day.heatingHours += hours }
      days[date] = day
    }
  }
}
