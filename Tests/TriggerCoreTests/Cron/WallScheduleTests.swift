import Foundation
import TestSupport
import Testing

import TriggerCore

@Suite struct WallScheduleTests {
  typealias OnClockChange = WallSchedule.OnClockChange

  private func fires(
    _ text: String, _ zone: String, from: String, to: String, _ onClockChange: OnClockChange = .once
  ) throws -> [String] {
    let zone = try #require(Zone(zone))
    let schedule = WallSchedule(try CronExpression(parsing: text), zone: zone, onClockChange: onClockChange)
    var (time, end) = (try Timestamp(parsing: from), try Timestamp(parsing: to))
    var found: [String] = []
    while let next = schedule.next(after: time), next <= end {
      found.append(zone.format(next))
      time = next
    }
    return found
  }

  /// Berlin, 29 March 2026: 02:00 becomes 03:00.
  @Test(arguments: [
    (
      OnClockChange.once,
      ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    ),
    (.both, ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
    (.skip, ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"]),
  ])
  func fixedTimeInTheGap(onClockChange: OnClockChange, expected: [String]) throws {
    #expect(
      try fires(
        "30 2 * * *", "Europe/Berlin", from: "2026-03-28T00:00:00Z", to: "2026-03-30T12:00:00Z", onClockChange
      )
        == expected)
  }

  /// Berlin, 25 October 2026: 03:00 becomes 02:00.
  @Test(arguments: [
    (OnClockChange.once, ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    (.skip, ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    (.both, ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"]),
  ])
  func fixedTimeInTheRepeatedHour(onClockChange: OnClockChange, expected: [String]) throws {
    #expect(
      try fires(
        "30 2 * * *", "Europe/Berlin", from: "2026-10-24T12:00:00Z", to: "2026-10-26T12:00:00Z", onClockChange
      )
        == expected)
  }

  @Test func wildcardJobsGoByElapsedTime() throws {
    #expect(
      try fires("*/30 * * * *", "Europe/Berlin", from: "2026-03-29T00:15:00Z", to: "2026-03-29T01:30:00Z")
        == ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"])
    #expect(
      try fires("30 * * * *", "Europe/Berlin", from: "2026-10-25T00:00:00Z", to: "2026-10-25T02:00:00Z")
        == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"])
    // The hour is fixed but the minute starts with a star: a skipped hour stays skipped.
    #expect(
      try fires("*/30 2 * * *", "Europe/Berlin", from: "2026-03-29T00:00:00Z", to: "2026-03-30T00:15:00Z")
        == ["2026-03-30T02:00:00+02:00"])
  }

  @Test func manyTimesInOneGapFireOnce() throws {
    #expect(
      try fires(
        "0,15,30,45 2 * * *", "Europe/Berlin", from: "2026-03-29T00:00:00Z", to: "2026-03-29T23:00:00Z")
        == ["2026-03-29T03:00:00+02:00"])
    // A fire that the gap moves to an instant with a fire of its own is one fire.
    #expect(
      try fires("30 2,3 * * *", "Europe/Berlin", from: "2026-03-29T00:00:00Z", to: "2026-03-29T23:00:00Z")
        == ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"])
    #expect(
      try fires("0 2,3 * * *", "Europe/Berlin", from: "2026-03-29T00:00:00Z", to: "2026-03-29T23:00:00Z")
        == ["2026-03-29T03:00:00+02:00"])
  }

  @Test func oddZones() throws {
    // Lord Howe moves by half an hour, at 02:00 standard time.
    #expect(
      try fires("15 2 * * *", "Australia/Lord_Howe", from: "2026-10-03T00:00:00Z", to: "2026-10-04T00:00:00Z")
        == ["2026-10-04T02:30:00+11:00"])
    // Samoa left out 30 December 2011.
    #expect(
      try fires("0 12 * * *", "Pacific/Apia", from: "2011-12-29T12:00:00Z", to: "2011-12-31T12:00:00Z")
        == ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"])
    // Nepal has no clock changes and three quarters of an hour.
    #expect(
      try fires("0 0 * * *", "Asia/Kathmandu", from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z")
        == ["2026-01-02T00:00:00+05:45"])
  }

  /// Against a walk over every minute of three days around a change of clocks.
  @Test func agreesWithAWalkOverEveryMinute() throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let changes = [
      ("Europe/Berlin", "2026-03-29T01:00:00Z"), ("Europe/Berlin", "2026-10-25T01:00:00Z"),
      ("America/New_York", "2026-03-08T07:00:00Z"), ("America/New_York", "2026-11-01T06:00:00Z"),
      ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
      ("America/Santiago", "2026-09-06T04:00:00Z"), ("Asia/Tehran", "2022-09-21T19:30:00Z"),
    ]
    for _ in 0..<200 {
      let (name, instant) = changes.randomElement(using: &random)!
      let text = randomCronExpression(&random)
      let policy = OnClockChange.allCases.randomElement(using: &random)!
      guard let expression = try? CronExpression(parsing: text) else { continue }
      let schedule = WallSchedule(expression, zone: Zone(name)!, onClockChange: policy)
      let change = Int(try Timestamp(parsing: instant).nanoseconds / 1_000_000_000)
      let (start, end) = (change - 36 * 3600, change + 36 * 3600)
      var found: [Int] = []
      var time = start - 1
      while let next = schedule.next(after: Timestamp(nanoseconds: Int64(time) * 1_000_000_000)) {
        time = Int(next.nanoseconds / 1_000_000_000)
        if time > end { break }
        found.append(time)
      }
      let walked = walk(expression, TimeZone(identifier: name)!, policy, start, end)
      #expect(found == walked, "seed \(seed): `\(text)` in \(name), \(policy)")
    }
  }

  /// The definition, literally: which UTC minutes show which wall times.
  private func walk(
    _ expression: CronExpression, _ zone: TimeZone, _ policy: OnClockChange, _ start: Int, _ end: Int
  ) -> [Int] {
    var passes: [Int: [Int]] = [:]  // wall minute -> instants
    for second in stride(from: start - 3600 * 48, through: end + 3600 * 48, by: 60) {
      passes[second + zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))), default: []]
        .append(second)
    }
    let walls = passes.keys.sorted()
    var fires: Set<Int> = []
    for wall in stride(from: walls[0], through: walls[walls.count - 1], by: 60)
    where expression.matches(CivilDateTime(secondsSinceEpoch: wall)) {
      let instants = passes[wall] ?? []
      if !expression.isFixedTime || policy == .both { fires.formUnion(instants) }
      if expression.isFixedTime, let first = instants.min() { fires.insert(first) }
      if expression.isFixedTime, instants.isEmpty, policy != .skip {
        let next = walls.first { $0 > wall }!
        fires.insert(passes[next]!.min()!)
      }
    }
    return fires.filter { $0 >= start && $0 <= end }.sorted()
  }

  /// Only names of zones are understood in `TZ`.
  @Test func zonesOfTheEnvironment() {
    for name in ["Europe/Berlin", "UTC", "EST5EDT"] { #expect(Zone.fault(ofEnvironment: name) == nil) }
    #expect(Zone.fault(ofEnvironment: nil) == nil)
    for name in ["Foo/Bar", "CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST", "/usr/share/zoneinfo/Asia/Tokyo", ""] {
      #expect(Zone.fault(ofEnvironment: name)?.hasPrefix("TZ is '\(name)', which names no time zone") == true)
    }
    #expect(Zone.fault(ofEnvironment: ":Europe/Paris")?.contains("write Europe/Paris") == true)
    #expect(Zone.fault(ofEnvironment: "Europe/Berlim")?.contains("did you mean 'Europe/Berlin'?") == true)
    let winter = Timestamp(nanoseconds: 1_767_225_600_000_000_000)
    #expect(Zone("Europe/Berlin")!.described(at: winter) == "Europe/Berlin (+01:00)")
    #expect(Zone("America/St_Johns")!.described(at: winter) == "America/St_Johns (-03:30)")
  }
}
