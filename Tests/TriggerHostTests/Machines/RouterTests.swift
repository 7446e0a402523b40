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
