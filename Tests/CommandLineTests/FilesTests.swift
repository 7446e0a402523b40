import Foundation
import Testing

/// The files example from end to end: what a year leaves in the directory, and what becomes of edits.
@Suite struct FilesTests {
  /// The example, and the home example that its readings come from.
  private func example() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    _ = try directory.copy(example: "home")
    _ = try directory.copy(example: "files")
    try directory.edit("files/host.yaml") { text in
      text.split(separator: "\n").filter { !$0.contains("rate:") }.joined(separator: "\n")
        + "\norder: strict\nlimits: { timeout: 1m }\n"
    }
    return directory
  }

  @Test func aYearLeavesTheFilesThatArithmeticSays() async throws {
    let directory = try example()
    let config = directory("files/host.yaml")
    let ended = try await triggerHost(
      "run", "--config", config, "--quiet", "--exit-when-idle", "--data", directory("data"))
    #expect(ended.status == 0 && ended.errors.isEmpty, "\(ended)")
    let days = try Self.days(directory.read("home/data/seattle_temps_1h.csv"))
    #expect(days.count == 364)
    for month in 1...12 {
      let name = String(format: "2010-%02d", month)
      let lines = days.filter { $0.date.hasPrefix(name) }.map { "\($0.date),\($0.mean),\($0.target)\n" }
      let path = "files/conf/\(month < 12 ? "archive" : "months")/\(name).csv"
      #expect(try directory.read(path) == "date,mean,target\n" + lines.joined(), "\(name)")
    }
    let last = try #require(days.last)
    let settings = try directory.read("files/conf/thermostat.ini")
    #expect(settings.contains("target = \(last.target)\n") && settings.contains("date = 2010-12-30\n"))
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: directory("files/conf/months")) == ["2010-12.csv"])

    try await edits(directory, config)
    // Its clock's job, once, without a host.
    let index = try await triggerHost(
      "exec", "index", "--config", config, "--data", directory("data"), "--commit", "--event",
      #"{"fire_time": "now"}"#)
    #expect(index.status == 0, "\(index)")
    #expect(try directory.read("files/conf/INDEX.txt").hasPrefix("16 files, "))
    let verified = try await triggerHost("replay", "--data", directory("data"), "--verify")
    #expect(verified.status == 0, "\(verified)")
  }

  private func edits(_ directory: TemporaryDirectory, _ config: String) async throws {
    let host = try RunningCommand(["run", "--config", config, "--data", directory("data")])
    try await host.line(containing: "Serving")
    let good = "[thermostat]\nlowest = 62\nhighest = 65.5\n"
    try directory.write("files/conf/limits.ini", good)
    try await host.line(containing: "taken up with seq")
    try directory.write("files/conf/limits.ini", good.replacing("65.5", with: "655"))
    try await host.line(containing: "limits.ini is put back")
    try FileManager.default.removeItem(atPath: directory("files/conf/thermostat.ini"))
    try await host.line(containing: "thermostat.ini is put back")
    host.signal(SIGTERM)
    let ended = try await host.end()
    #expect(ended.status == 0, "\(ended)")
    #expect(try directory.read("files/conf/limits.ini") == good)
    #expect(
      try directory.read("files/conf/refused/limits.ini")
        == "; [thermostat] highest: expected 40 to 90 degrees, got 655\n"
        + good.replacing("65.5", with: "655"))
    #expect(try directory.read("files/conf/thermostat.ini").contains("target = 65.5\n"))
  }

  /// Of each day that is over its mean, and what comes of it within 62 to 71 degrees.
  private static func days(_ text: String) throws -> [(date: String, mean: String, target: String)] {
    var days: [(date: String, sum: Double, count: Double)] = []
    for row in text.split(separator: "\n").dropFirst() {
      let cells = row.split(separator: ",")
      let (date, degrees) = (String(cells[0].prefix(10)), try #require(Double(cells[1])))
      if days.last?.date != date { days.append((date, 0, 0)) }
      days[days.count - 1].sum += degrees
      days[days.count - 1].count += 1
    }
    return days.dropLast().map { day in
      let mean = day.sum / day.count
      let target = min(max(((70 - (mean - 40) * 0.2) * 2 + 0.5).rounded(.down) / 2, 62), 71)
      return (day.date, String(format: "%.1f", mean), String(format: "%.1f", target))
    }
  }

  @Test func itsOwnTestsPass() async throws {
    let directory = try example()
    let ended = try await triggerHost("test", directory("files"), "--timeout", "2m")
    #expect(ended.status == 0, "\(ended)")
    #expect(ended.lines.last?.contains(" 0 failed") == true)
    let checked = try await triggerHost("check", directory("files"))
    #expect(checked.status == 0 && checked.output.hasSuffix("everything is in order.\n"), "\(checked)")
  }
}
