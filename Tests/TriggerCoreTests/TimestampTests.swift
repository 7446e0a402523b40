import Testing

import TriggerCore

@Suite struct TimestampTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
    ("1970-01-01T00:00:00.000000001Z", 1, "1970-01-01T00:00:00.000000001Z"),
    ("1969-12-31T23:59:59.999999999Z", -1, "1969-12-31T23:59:59.999999999Z"),
    ("2026-07-01T10:00:00.25+02:00", 1_782_892_800_250_000_000, "2026-07-01T08:00:00.250Z"),
    ("2026-07-01 08:00:00z", 1_782_892_800_000_000_000, "2026-07-01T08:00:00Z"),
    ("2000-02-29t00:00:00-00:30", 951_784_200_000_000_000, "2000-02-29T00:30:00Z"),
    ("2262-04-11T23:47:16.854775807Z", Int64.max, "2262-04-11T23:47:16.854775807Z"),
    ("1677-09-21T00:12:43.145224192Z", Int64.min, "1677-09-21T00:12:43.145224192Z"),
  ])
  func parsesAndFormats(text: String, nanoseconds: Int64, formatted: String) throws {
    let timestamp = try Timestamp(parsing: text)
    #expect(timestamp.nanoseconds == nanoseconds)
    #expect(timestamp.description == formatted)
  }

  @Test(arguments: [
    ("tomorrow", "expected a time like 2026-07-01T08:00:00Z, got \"tomorrow\""),
    ("2026-07-01", "expected a time like 2026-07-01T08:00:00Z, got \"2026-07-01\""),
    ("2026-07-01T08:00:00", "expected Z or an offset like +02:00 at the end of \"2026-07-01T08:00:00\""),
    ("2026-02-29T08:00:00Z", "the time \"2026-02-29T08:00:00Z\" names a day that does not exist"),
    ("2026-01-01T24:00:00Z", "the time \"2026-01-01T24:00:00Z\" names a time that does not exist"),
    ("2016-12-31T23:59:60Z", "the time \"2016-12-31T23:59:60Z\" is a leap second, which Unix time lacks"),
    ("2026-01-01T00:00:00+24:00", "the time \"2026-01-01T00:00:00+24:00\" has an offset beyond 23:59"),
    (
      "2262-04-11T23:47:16.854775808Z",
      "the time \"2262-04-11T23:47:16.854775808Z\" is outside the years 1678 to 2261"
    ),
    ("0000-01-01T00:00:00Z", "the time \"0000-01-01T00:00:00Z\" is outside the years 1678 to 2261"),
    (
      "2026-01-01T00:00:00.1234567890Z",
      "the time \"2026-01-01T00:00:00.1234567890Z\" has more than 9 digits of fraction"
    ),
  ])
  func refuses(text: String, message: String) {
    let error = #expect(throws: ValueError.self) { try Timestamp(parsing: text) }
    #expect(error?.code == .badTimestamp)
    #expect(error?.message == message)
  }

  @Test func localTimes() throws {
    guard case .local(let civil) = try ParsedTime(parsing: "2026-03-29T02:30:00.5") else {
      Issue.record("expected a local time")
      return
    }
    #expect(civil.description == "2026-03-29T02:30:00.500")
    #expect(Timestamp(civil, offsetSeconds: 3_600)?.description == "2026-03-29T01:30:00.500Z")
    #expect(Timestamp(civil, offsetSeconds: 3_600)?.civil(offsetSeconds: 3_600) == civil)
  }

  @Test func everyDayOfEightHundredYears() throws {
    var expected = try #require(CivilDate(year: 1600, month: 1, day: 1))
    #expect(expected.weekday == 6)
    let first = expected.daysSinceEpoch
    #expect(first == -135_140)
    for days in first..<first + 2 * 146_097 {
      let date = CivilDate(daysSinceEpoch: days)
      try #require(date == expected && date.daysSinceEpoch == days)
      try #require(date.weekday == (days - first + 6) % 7)
      expected = try #require(
        CivilDate(year: date.year, month: date.month, day: date.day + 1)
          ?? CivilDate(year: date.year, month: date.month + 1, day: 1)
          ?? CivilDate(year: date.year + 1, month: 1, day: 1))
    }
    #expect(CivilDate(daysSinceEpoch: -719_468 - 1).description == "0000-02-29")
  }

  @Test func randomInstantsRoundTrip() throws {
    try forSeeds(0..<3_000) { seed, random in
      let timestamp = Timestamp(nanoseconds: Int64(bitPattern: random.next()))
      try #require(try Timestamp(parsing: timestamp.description) == timestamp, "seed \(seed)")
      try #require(Timestamp(timestamp.utc) == timestamp, "seed \(seed)")
    }
  }
}
