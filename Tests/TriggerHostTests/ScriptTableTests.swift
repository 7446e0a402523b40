import TestSupport
import Testing

import TriggerHost

/// What is wrong with the table that a script returns: all of it at once, each with its line.
@Suite struct ScriptTableTests {
  private func problems(_ text: String) -> [String] {
    ScriptTree(files: ["s.lua": Array(text.utf8)]).problems.map { $0.description }
  }

  /// A host says what its scripts may have; what a script leaves out is the host's own word.
  @Test func aScriptCannotRaiseItsLimits() {
    var defaults = TriggerOptions()
    (defaults.timeout, defaults.memory) = (.seconds(5), 2 << 30)
    defaults.ceilings = TriggerOptions.Ceilings(timeout: .seconds(1), memory: 64 << 20, priority: .normal)
    func problems(_ fields: String) -> [String] {
      let text = "return {\n  on = { event = 'x' },\n  \(fields)\n  execute = function() end }"
      return ScriptTree(files: ["s.lua": Array(text.utf8)], defaults: defaults).problems.map {
        $0.description
      }
    }
    #expect(problems("") == [])
    #expect(problems("timeout = '1s', memory = '64mb', priority = 'low',") == [])
    #expect(
      problems("priority = 'high',\n  memory = '1000gb',\n  timeout = '1001ms',") == [
        "s.lua:3: priority: high is more than limits.max_priority allows (normal)",
        "s.lua:4: memory: 1000gb is more than limits.max_memory allows (64mb)",
        "s.lua:5: timeout: 1s1ms is more than limits.max_timeout allows (1s)",
      ])
    // Without ceilings, as what was recorded is read: anything.
    defaults.ceilings = nil
    #expect(problems("memory = '1000gb', timeout = '1h', priority = 'critical',") == [])
  }

  @Test func oneMistakeHidesNoOther() {
    let found = problems(
      """
      return {
        on = {
          cron = { "0 9 * * *", "0 25 * * *", "* *" },
          evnt = "x",
          every = "soon",
          start = 1,
        },
        priority = "hihg",
        timeuot = "1s",
        timeout = 5,
        retry = { atempts = 2, backoff = "x",
          attempts = 0 },
        memory = "lots",
        execute = function() end,
      }
      """)
    #expect(
      found == [
        "s.lua:3: on.cron '0 25 * * *': column 3: hour 25 is out of range 0-23",
        "s.lua:3: on.cron '* *': column 1: a cron expression has 5 fields (minute hour day month weekday) or 6 (with seconds first), got 2",
        "s.lua:4: on has no 'evnt'; did you mean 'event'?",
        "s.lua:5: on.every must be a time span above zero like \"250ms\", \"2s\", \"5m\" or \"1h\", got \"soon\"",
        "s.lua:6: on.start must be true, got 1",
        "s.lua:8: priority is one of critical, high, normal, low, got \"hihg\"; did you mean 'high'?",
        "s.lua:9: unknown field 'timeuot'; did you mean 'timeout'?",
        "s.lua:10: timeout must be a string, got 5",
        "s.lua:11: retry has no 'atempts'; did you mean 'attempts'?",
        "s.lua:11: retry.backoff must be a time span above zero like \"250ms\", \"2s\", \"5m\" or \"1h\", got \"x\"",
        "s.lua:12: retry.attempts must be a whole number from 1 to 100, got 0",
        "s.lua:13: memory: expected a size like 512kb, 64mb or 1gb, got \"lots\"",
      ])
  }

  @Test func whatHasNoExecuteMayHaveMoreWrong() {
    #expect(
      problems("return {\n  on = { evnt = 'x' },\n  excute = function() end,\n}\n") == [
        "s.lua:1: no execute function", "s.lua:2: on has no 'evnt'; did you mean 'event'?",
        "s.lua:3: unknown field 'excute'; did you mean 'execute'?",
      ])
    #expect(
      problems("return {\n  on = { event = 'x' },\n  execute = 'run',\n}\n") == [
        "s.lua:3: execute must be a function, got a string"
      ])
    // What has no `on` either may be a module: its names are its own.
    #expect(
      problems("local M = { run = print }\nM.__index = M\nreturn M\n") == ["s.lua:3: no execute function"])
  }

  @Test func aCommitIsBoundByStoreAndKey() {
    #expect(
      problems("return { on = { commit = { 'orders/*',\n 'orders', '**' } }, execute = function() end }") == [
        "s.lua:2: on.commit names keys as store/key, got \"orders\"; write \"orders/**\" for all of a store"
      ])
  }

  /// Every event, and every key of every commit, is compared with them.
  @Test func bindingsAreBounded() {
    let stars = String(repeating: "*a", count: 400)
    let long = String(repeating: "a", count: 400)
    #expect(
      problems(
        "return { on = { commit = { 's/*',\n 's/\(stars)' }, event = '\(long)' }, execute = function() end }")
        == [
          "s.lua:2: on.commit a pattern with * has at most 256 bytes, this one 802: \"s/\(stars.prefix(95))...\""
        ])
    let many = (0..<101).map { "'e\($0)'" }.joined(separator: ", ")
    #expect(
      problems("return { on = { event = { \(many) } }, execute = function() end }") == [
        "s.lua:1: on.event more than 100 patterns: use * for what they have in common"
      ])
  }

  /// `timeout = 5` is wrong in each; it is on line 3 in each.
  @Test(arguments: [
    "-- timeout = 5\nreturn { on = { event = 'x' },\n  timeout = 5, execute = function() end }",
    "local timeout = 5\nreturn { on = { event = 'x' },\n  ['timeout'] = timeout, execute = function() end }",
    "--[[\nreturn { timeout = 5 } ]] return { execute = function() local timeout = 1 end,\n  timeout = 5, on = {} }",
    "local s = [==[ \\]]\nreturn { timeout = 5 } ]==] local t = { on = { event = 'x' },\n timeout = 5 } t.execute = print return t",
    "local t = { on = { timeout = 5 } }\nfunction t.execute() t.timeout = 6 end\nt.timeout = 5\nt.on = { event = 'x' } return t",
    "local function f(t) return t end\nreturn f { on = { event = 'x' },\n timeout = 5, execute = function() end }",
    "return { on = { event = 'x' }, timeout = '1s', -- the later counts\n\n timeout = 5, execute = function() end }",
    "return { on = { event = 'a\\'b\\\nc' },\n timeout = 5, execute = function() if 1 == 2 then end end }",
  ]) func theLineIsThatOfTheField(text: String) {
    #expect(problems(text) == ["s.lua:3: timeout must be a string, got 5"], "\(text)")
  }

  /// Errors that name no place have that of whoever raised them.
  @Test(arguments: [
    ("\n\nerror({})", "s.lua:3: table"), ("\nerror('odd', 0)", "s.lua:2: odd"), ("error()", "s.lua:1: nil"),
    ("\nrequire 'lib.odd'", "lib/odd.lua:2: odd"),
    (
      "local t = { execute = print, on = {} }\nt.mine = t return t",
      "s.lua:2: mine: "
    ),
    (
      "return {\n on = {}, execute = print, 5 }",
      "s.lua:1: the script's table: a table with holes, or with both"
    ),
    (
      "return {\r on = { event = '\\xff' },\r execute = print }",
      "s.lua:2: on.event must be a string or a list"
    ),
    ("return { on = {}, execute = print,\r\n priority = ('x'):rep(1e6) }", "s.lua:2: priority is one of"),
  ]) func everyMistakeHasAPlace(text: String, problem: String) {
    let files = ["s.lua": text, "lib/odd.lua": "\nerror('odd', 0)"]
    let found = ScriptTree(files: files.mapValues { Array($0.utf8) }).problems.map(\.description)
    #expect(found.first?.hasPrefix(problem) == true, "\(found)")
    #expect(found.allSatisfy { $0.utf8.count < 400 })
    if text.contains("require") { #expect(found.last == "s.lua:2: needs lib/odd.lua, which does not load") }
  }

  @Test func eachOfAListHasItsLine() {
    let text =
      "return { execute = function(e, ctx) return {} end, on = {\n cron = {\n  '@daily',\n  'x',\n  '@daily', 'y' } } }"
    #expect(problems(text).map { $0.prefix(12) } == ["s.lua:4: on.", "s.lua:5: on."].map { $0.prefix(12) })
  }

  /// Whatever can be cut into tokens can be looked at, however it goes on.
  @Test func anyTextHasLines() {
    let seed = testSeed()
    var random = SplitMix64Seeded(seed)
    let parts = [
      "return", " {", "}", " on", " =", " [", "]", "[[", "]]", "'", "\"", "\\", "\n", "--", "[=[", "]=]",
      " end",
      " function", "(", ")", ",", "x", ".", "1", "é", "\0",
    ]
    for _ in 0..<2000 {
      let text = (0..<random.below(30)).map { _ in parts[random.below(parts.count)] }.joined()
      let lines = ScriptTableLines(Array(text.utf8))
      let count = text.split(separator: "\n", omittingEmptySubsequences: false).count
      for line in [lines.end, lines.line(of: ["on"]), lines.line(of: ["on", "x", "1"])] {
        #expect((1...count).contains(line), "seed \(seed): \(text)")
      }
    }
  }
}
