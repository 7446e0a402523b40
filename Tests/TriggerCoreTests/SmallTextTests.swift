import Testing

@testable import TriggerCore

@Suite struct TimeSpanTests {
  @Test(arguments: [
    ("250ms", Duration.milliseconds(250)), ("2s", .seconds(2)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
    ("1d", .seconds(86_400)), ("1h30m", .seconds(5_400)),
    ("1d2h3m4s5ms6us7ns", .nanoseconds(93_784_005_006_007)),
    ("0s", .zero), ("106751d", .seconds(106_751 * 86_400)),
  ])
  func bothWays(text: String, span: Duration) throws {
    #expect(try TimeSpan.parse(text) == span)
    #expect(TimeSpan.format(span) == text)
  }

  @Test func formatsTheShortest() throws {
    let span = try TimeSpan.parse("90m")
    #expect(TimeSpan.format(span) == "1h30m")
    #expect(TimeSpan.format(.milliseconds(-1_500)) == "-1s500ms")
  }

  @Test(arguments: [
    "", "5 minutes", "5", "m", "1.5s", "-1s", "+1s", "1m1h", "1s1s", "1S", " 1s", "1s ", "5min",
    "99999999999999999999s",
  ])
  func refuses(text: String) {
    let error = #expect(throws: ValueError.self) { try TimeSpan.parse(text) }
    #expect(error?.code == .badTimeSpan)
    #expect(error?.message == "expected a time span like 250ms, 2s, 5m or 1h, got \"\(text)\"")
  }

  @Test func refusesWhatDoesNotFit() {
    let error = #expect(throws: ValueError.self) { try TimeSpan.parse("106752d") }
    #expect(error?.message == "the time span \"106752d\" is longer than 292 years")
    #expect(throws: ValueError.self) { try TimeSpan.parse("106751d24h") }
  }
}

@Suite struct ByteSizeTests {
  @Test(arguments: [
    ("64mb", 64 << 20, "64mb"), ("512KB", 512 << 10, "512kb"), ("1gb", 1 << 30, "1gb"), ("2KiB", 2048, "2kb"),
    ("1536k", 1_572_864, "1536kb"), ("1024", 1024, "1kb"), ("1000b", 1000, "1000b"), ("0", 0, "0b"),
    ("3TiB", 3 << 40, "3tb"),
  ])
  func parsesAndFormats(text: String, bytes: Int, formatted: String) throws {
    let size = try ByteSize(parsing: text)
    #expect(size.bytes == bytes)
    #expect(size.description == formatted)
  }

  @Test(arguments: ["", "mb", "1.5mb", "-1kb", "64 mb", "64mbit", "1kb1b"])
  func refuses(text: String) {
    let error = #expect(throws: ValueError.self) { try ByteSize(parsing: text) }
    #expect(error?.message == "expected a size like 512kb, 64mb or 1gb, got \"\(text)\"")
  }

  @Test func refusesWhatDoesNotFit() {
    let error = #expect(throws: ValueError.self) { try ByteSize(parsing: "9000000000gb") }
    #expect(error?.message == "the size \"9000000000gb\" is beyond 64 bits")
  }
}

@Suite struct SuggestionTests {
  @Test func findsTheClosest() {
    let names = ["memory", "file", "database", "listen"]
    #expect(Suggestion.closest(to: "memroy", among: names) == "memory")
    #expect(Suggestion.closest(to: "Databse", among: names) == "database")
    #expect(Suggestion.closest(to: "fil", among: names) == "file")
    #expect(Suggestion.closest(to: "zebra", among: names) == nil)
    #expect(Suggestion.closest(to: "", among: names) == nil)
    #expect(Suggestion.closest(to: "x", among: ["y"]) == nil)
    #expect(Suggestion.hint(for: "lsiten", among: names) == "did you mean 'listen'?")
    #expect(Suggestion.closest(to: String(repeating: "a", count: 1_000), among: names) == nil)
  }

  @Test func distances() {
    func distance(_ left: String, _ right: String) -> Int { Suggestion.distance(Array(left), Array(right)) }
    #expect(distance("", "") == 0)
    #expect(distance("", "abc") == 3)
    #expect(distance("abc", "") == 3)
    #expect(distance("ab", "ba") == 1)
    #expect(distance("kitten", "sitting") == 3)
    #expect(distance("ca", "abc") == 3)
  }
}

@Suite struct SplitMix64Tests {
  @Test func referenceSequence() {
    var random = SplitMix64(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
    #expect((0..<1_000).allSatisfy { _ in (0..<1).contains(random.nextUnit()) })
  }
}
