import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct RouterTests {
  @Test(arguments: [
    ("bars/EURUSD", "bars/EURUSD", true), ("bars/*", "bars/EURUSD", true), ("bars/*", "bars/", true),
    ("bars/*", "bars", false), ("bars/*", "bars/EUR/USD", false), ("bars/**", "bars/EUR/USD", true),
    ("*", "anything", true),
    ("*", "any/thing", false), ("**", "any/thing", true), ("", "", true), ("", "x", false),
    ("a*c", "abbbc", true),
    ("a*c", "abbb", false), ("*a*a*", "banana", true), ("a*b*c", "a/b/c", false), ("a**c", "a/b/c", true),
    ("ä*", "äx", true),
    ("[a]", "a", false),
  ])
  func patterns(pattern: String, name: String, matches: Bool) {
    #expect(EventPattern(.event, pattern).matches(name) == matches)
  }

  /// The readable definition: every way a star could go.
  private static func fits(_ pattern: Substring, _ name: Substring) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    guard first == "*" else { return name.first == first && fits(pattern.dropFirst(), name.dropFirst()) }
    let rest = pattern.drop { $0 == "*" }
    let crosses = pattern.hasPrefix("**")
    if fits(rest, name) { return true }
    guard let next = name.first, crosses || next != "/" else { return false }
    return fits(pattern, name.dropFirst())
  }

  @Test func patternsAgreeWithTheirDefinition() {
    for seed in 0..<4000 as Range<UInt64> {
      var random = SplitMix64(seed: seed)
      func text(_ letters: String, _ most: Int) -> String {
        String(
          (0..<Int(random.next() % UInt64(most + 1))).map { _ in letters.randomElement(using: &random)! })
      }
      let (pattern, name) = (text("ab/**", 7), text("aab/", 8))
      #expect(
        EventPattern(.event, pattern).matches(name) == Self.fits(pattern[...], name[...]),
        "seed \(seed): \(pattern) \(name)")
    }
  }

  /// Names come from outside: no pattern makes one expensive.
  @Test func manyStarsAreNoWork() {
    let pattern = String(repeating: "*a", count: 40) + "b"
    #expect(!EventPattern(.event, pattern).matches(String(repeating: "a", count: 1000)))
    #expect(EventPattern(.event, pattern).matches(String(repeating: "a", count: 1000) + "b"))
  }

  /// A pattern of more bits than a word has.
  @Test func longPatternsAgreeWithTheirDefinition() {
    for seed in 0..<300 as Range<UInt64> {
      var random = SplitMix64(seed: seed)
      func text(_ letters: String, _ count: Int) -> String {
        String((0..<count).map { _ in letters.randomElement(using: &random)! })
      }
      let (start, end) = (text("ab/", 60 + Int(seed % 10)), text("ab/", 70))
      let pattern = "*" + start + ["*", "**", "a*b"].randomElement(using: &random)! + end
      let name = text("ab", 2) + start + ["", "a", "ab", "a/b", "b"].randomElement(using: &random)! + end
      #expect(
        EventPattern(.event, pattern).matches(name) == Self.fits(pattern[...], name[...]),
        "seed \(seed): \(pattern) \(name)")
    }
  }

  @Test func namesAreToldApartByTheirBytes() {
    let router = Router(triggers: [trigger("a", EventPattern(.event, "caf\u{e9}"))])
    #expect(router.route(.event, "cafe\u{301}").isEmpty)
    #expect(router.route(.event, "caf\u{e9}").map(\.name) == ["a"])
  }

  private func trigger(_ name: String, _ patterns: EventPattern...) -> LoadedTrigger {
    var options = TriggerOptions()
    options.on = patterns
    return LoadedTrigger(index: 0, name: name, body: .missing, options: options)
  }

  @Test func routes() {
    let router = Router(triggers: [
      trigger("a", EventPattern(.data, "bars/*")), trigger("b", EventPattern(.event, "bars/EURUSD")),
      trigger("c", EventPattern(.message, "bars/*"), EventPattern(.commit, "orders/*")), trigger("d"),
    ])
    // A binding to `event` takes data and messages of that name too; the others only their own.
    #expect(router.route(.data, "bars/EURUSD").map(\.name) == ["a", "b"])
    #expect(router.route(.message, "bars/EURUSD").map(\.name) == ["b", "c"])
    #expect(router.route(.data, "bars/GBPUSD").map(\.name) == ["a"])
    #expect(router.route(.data, "bars/GBPUSD").map(\.name) == ["a"], "the same from the cache")
    #expect(router.route(.cron, "bars/EURUSD").isEmpty)
    #expect(router.commitTriggers.map(\.name) == ["c"])
  }
}

@Suite struct PaceTests {
  @Test func conflictsNarrowTheWindowAndCommitsWidenIt() {
    var pace = Pace(limit: 256)
    #expect(pace.window == 256)
    for _ in 0..<2000 { pace.conflict() }
    #expect(pace.window == 1)
    for _ in 0..<2000 { pace.commits(1) }
    #expect(pace.window == 256)
  }

  /// With w attempts on one key, (w-1)/w conflict: the window comes to rest at two.
  @Test func oneKeyForAllComesToRest() {
    var pace = Pace(limit: 256)
    for _ in 0..<20_000 {
      for _ in 1..<max(pace.window, 1) where pace.window > 1 { pace.conflict() }
      pace.commits(1)
    }
    #expect((1...4).contains(pace.window))
  }
}
