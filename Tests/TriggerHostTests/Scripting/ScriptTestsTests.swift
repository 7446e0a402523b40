import Dispatch
import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// `*_test.lua` files: what passes, what fails and what it says.
@Suite struct ScriptTestsTests {
  private static let scripts = [
    "counter.lua": """
    return {
      on = { event = "page/visit" },
      execute = function(event, ctx)
        ctx:log("info", "seen", { page = event.page })
        return { ctx:store("visits"):add(event.page, 1), ctx:emit("visited", { page = event.page }) }
      end,
    }
    """,
    "order.lua": """
    return {
      on = { event = "order" },
      execute = function(event, ctx)
        return { ctx:store("bills"):add(event.what, event.units * ctx:store("prices"):get(event.what)) }
      end,
    }
    """,
    "remind.lua": """
    return {
      on = { every = "24h" },
      execute = function(event, ctx)
        for what in ctx:store("bills"):scan() do ctx:log("warning", what .. " is not paid") end
      end,
    }
    """,
    "endless.lua": "return { timeout = '30ms', execute = function() while true do end end }",
    "chance.lua":
      "return { execute = function(_, ctx) return { ctx:store('s'):put('n', math.random(1000000)) } end }",
    "lib/twice.lua": "return function(x) return 2 * x end",
  ]

  private func run(_ source: String, timeout: Duration = .seconds(300)) async -> ScriptTestFile {
    var files = Self.scripts
    files["a_test.lua"] = source
    var tests = ScriptTests(tree: ScriptTree(files: files.mapValues { Array($0.utf8) }))
    tests.timeout = timeout
    return await tests.run("a_test.lua")
  }

  @Test(arguments: ["\u{FEFF}", "#!/usr/bin/env lua\n", "\u{FEFF}#!/usr/bin/env lua\r\n"])
  func whatStandsBeforeTheText(start: String) async {
    let file = await run("\(start)it('x', function() end)")
    #expect(file.isGood && file.results.count == 1, "\(file)")
  }

  /// The one failure of a test with this body.
  private func failure(_ body: String) async throws -> ScriptTestFailure {
    let file = await run("it(\"x\", function()\n\(body)\nend)")
    let result = try #require(file.results.first, "\(file)")
    #expect(result.status == .failed && result.error == nil, "\(file)")
    return try #require(result.failures.first, "\(file)")
  }

  /// The error of a test with this body.
  private func error(_ body: String) async throws -> String {
    let file = await run("it(\"x\", function()\n\(body)\nend)")
    return try #require(file.results.first?.error, "\(file)")
  }

  @Test func theExamplesOfTheReferencePass() async throws {
    var count = 0
    for function in LuaAPI.testFunctions {
      guard let example = function.example else { continue }
      let file = await run(example.code)
      #expect(file.isGood && !file.results.isEmpty, "\(function.name): \(file)")
      count += 1
    }
    for method in LuaAPI.testClasses.flatMap(\.methods) {
      guard let example = method.example else { continue }
      let file = await run("it(\"x\", function() \(example.code) end)")
      #expect(file.isGood, "\(method.name): \(file)")
      // Turned round it fails: so it looks at something.
      let negated = example.code.replacing("):\(method.name)", with: ").never:\(method.name)")
      #expect(await !run("it(\"x\", function() \(negated) end)").isGood, "\(method.name)")
      count += 1
    }
    #expect(count > 12)
  }

  @Test func theDefinitionIsWhatTestsHave() async throws {
    let functions = LuaAPI.testFunctions.map { "expect(\($0.name)).never:is_nil()" }
    let matchers = LuaAPI.testClasses[0].methods.map {
      "expect(type(one.\($0.name))):equals 'function'"
    }
    let methods = LuaAPI.testClasses.first { $0.name == "Host" }!.methods.map {
      "expect(type(host.\($0.name))):equals 'function'"
    }
    let file = await run(
      "it('x', function() local one = expect(1):equals(1) \((functions + matchers + methods).joined(separator: "\n")) end)"
    )
    #expect(file.isGood, "\(file)")
    // And no more than that: what a misspelt name lists.
    let names = try await error("expect(1):equal(1)")
    let listed = names.split(separator: "there are ")[1].split(separator: "\n")[0].split(separator: ", ").map(
      String.init)
    #expect(Set(listed) == Set(LuaAPI.testClasses[0].names))
    // Fields of a result.
    let fields = LuaAPI.testClasses.first { $0.name == "Result" }!.fields.map(\.name).sorted()
    let result = await run(
      """
      it("x", function()
        local names = {}
        for name in pairs(run("counter", {})) do names[#names + 1] = name end
        table.sort(names)
        print(table.concat(names, " "))
      end)
      """)
    #expect(result.results[0].output == [fields.joined(separator: " ")])
  }

  @Test(arguments: [
    ("expect(1).equals(1)", "call it with a colon: expect(...):equals(...)"),
    ("expect(1):equals()", "equals needs a value"),
    ("expect(5):succeeds()", "succeeds needs a function or a result of run or host, not number"),
    ("expect('a'):matches('(')", "matches: \"(\" is no pattern: unfinished capture"),
    ("expect(1 == 1)", "expect(...) alone looks at nothing: say what is expected, as expect(a):equals(b)"),
    (
      "local _ = expect(1).never",
      "expect(...) alone looks at nothing: say what is expected, as expect(a):equals(b)"
    ),
    ("host.send('x')", "call it with a colon: host:send(...)"),
    ("host.advance('1s')", "call it with a colon: host:advance(...)"),
    ("host:sned('x')", "a host has no 'sned'; there are advance, now, results, send, settle, store, waiting"),
    (
      "host { at = '2026-01-01T00:00:00Z' }:sned('x')",
      "a host has no 'sned'; there are advance, now, results, send, settle, store, waiting"
    ),
    ("run('counter', {}, { store = {} })", "run has no option 'store'; there are at, name, seed, stores"),
    ("error({})", "table"), ("error('no bread', 0)", "no bread"), ("error()", "nil"),
    ("local x; x.y = 1", "attempt to index a nil value (local 'x')"),
  ])
  func whatIsWrongHasThePlaceInTheTest(code: String, message: String) async throws {
    #expect(try await error(code) == "a_test.lua:2: " + message)
  }

  @Test func aCallKeepsItsTraceback() async throws {
    let text = try await error("local function f()\n local x; x.y = 1\nend\nf()")
    #expect(text.contains("stack traceback:") && text.contains("a_test.lua:5: in "), "\(text)")
  }

  @Test func storesOfATestAreThoseOfTheConfiguration() async throws {
    var tests = ScriptTests(
      tree: ScriptTree(files: [
        "a.lua": Array("return { on = { event = 'a' }, execute = function() end }".utf8),
        "a_test.lua": Array("it('x', function() run('a', {}, { stores = { vists = {} } }) end)".utf8),
      ]))
    tests.stores = ["visits"]
    tests.timeout = .seconds(300)
    #expect(await tests.run("a_test.lua").isGood)
    tests.configuration.strictStores = true
    let error = await tests.run("a_test.lua").results.first?.error
    #expect(
      error
        == "a_test.lua:1: no store 'vists' is configured and strict_stores is on; did you mean 'visits'?")
  }

  @Test func aFailureNamesTheFirstPlaceThatDiffers() async throws {
    let failure = try await failure(
      "local r = run(\"counter\", { page = \"home\" })\nexpect(r.intents):equals { { store = \"visits\", kind = \"add\", key = \"home\", value = 2 } }"
    )
    #expect(failure.place == "a_test.lua:3")
    #expect(failure.what == "equals")
    #expect(failure.path == "[1].value")
    #expect(failure.expected == "2" && failure.got == "1")
    #expect(failure.whole?.got == "{ { key = \"home\", kind = \"add\", store = \"visits\", value = 1 } }")
  }

  @Test func failuresSayWhatWasExpected() async throws {
    let cases: [(code: String, expected: String, got: String)] = [
      ("expect({ a = 1 }):equals { a = 1, b = 2 }", "2", "nil"),
      ("expect({ a = 1, b = 2 }):equals { a = 1 }", "nil", "2"),
      ("expect({ 1, 2 }):equals { 1 }", "nil", "2"),
      ("expect(\"1\"):equals(1)", "1", "\"1\""),
      ("expect({}):is({})", "{}", "{}"),
      ("expect(false):is_nil()", "nil", "false"),
      ("expect(1):is_true()", "true", "1"),
      ("expect(nil):is_false()", "false", "nil"),
      ("expect(1.1):is_near(1, 0.01)", "1, give or take 0.01", "1.1"),
      ("expect(2):is_above(2)", "more than 2", "2"),
      ("expect(2):is_below(2)", "less than 2", "2"),
      ("expect(\"abc\"):contains(\"d\")", "something with \"d\"", "\"abc\""),
      ("expect({ { a = 1 } }):contains { a = 2 }", "something with { a = 2 }", "{ { a = 1 } }"),
      ("expect(\"abc\"):matches(\"%d\")", "a text that matches \"%d\"", "\"abc\""),
      ("expect({ 1 }):has_length(2)", "length 2", "length 1: { 1 }"),
      ("expect(function() end):fails_with(\"x\")", "an error with \"x\"", "no error"),
      ("expect(function() error(\"no\", 0) end):succeeds()", "no error", "no"),
      ("expect(1).never:equals(1)", "anything but 1", "1"),
    ]
    for (code, expected, got) in cases {
      let failure = try await failure(code)
      #expect(failure.expected == expected && failure.got == got, "\(code): \(failure)")
      #expect(failure.place == "a_test.lua:2", "\(code)")
    }
  }

  @Test func longTextsSayWhereTheyPart() async throws {
    let failure = try await failure("expect((\"x\"):rep(70) .. \"a\"):equals((\"x\"):rep(70) .. \"b\")")
    #expect(failure.note == "equal up to byte 70, then \"b\" expected and \"a\" got")
  }

  @Test func errorsKeepTheirPlace() async throws {
    #expect(
      try await error("local t\nreturn t.x")
        == "a_test.lua:3: attempt to index a nil value (local 't')")
    #expect(
      try await error("run(\"countr\")").hasPrefix(
        "a_test.lua:2: no trigger is named 'countr'; did you mean 'counter'?"))
    #expect(
      try await error("run(\"counter\", {}, { store = {} })").hasPrefix(
        "a_test.lua:2: run has no option 'store'"))
    #expect(try await error("run(\"counter\", {}, { at = \"noon\" })").hasPrefix("a_test.lua:2: "))
    #expect(
      try await error("host:advance(\"soon\")").hasPrefix("a_test.lua:2: host:advance takes a span like"))
    #expect(
      try await error("host:send(\"x\", { f = print })").contains(
        "send.payload.f: a function cannot be stored"))
  }

  @Test func oneTestDoesNotTouchAnother() async throws {
    let file = await run(
      """
      local log = {}
      before_each(function() log[#log + 1] = "before" end)
      after_each(function() log[#log + 1] = "after" end)
      describe("group", function()
        before_each(function() log[#log + 1] = "inner" end)
        it("one", function() host:send("page/visit", { page = "a" }) error("broken") end)
        it("two", function()
          expect(log):equals { "before", "inner", "after", "before", "inner" }
          host:send("page/visit", { page = "a" })
          expect(host:store("visits")):equals { a = 1 }
        end)
      end)
      pending("three", function() end)
      """)
    #expect(file.results.map(\.status) == [.failed, .passed, .pending])
    #expect(file.results.map(\.names) == [["group", "one"], ["group", "two"], ["three"]])
    #expect(file.results[0].place == "a_test.lua:6")
  }

  @Test func whatDoesNotEndIsEnded() async throws {
    let file = await run(
      "it('a', function() while true do end end)\nit('b', function() while true do pcall(function() while true do end end) end end)\nit('c', function() end)",
      timeout: .milliseconds(500))
    #expect(file.results.map(\.status) == [.failed, .failed, .passed])
    #expect(file.results[1].error?.contains("timeout: it does not end") == true, "\(file)")
    #expect(file.results[0].error?.hasPrefix("a_test.lua:1: timeout: it does not end") == true, "\(file)")
    let whole = await run("\nwhile true do end", timeout: .milliseconds(100))
    #expect(whole.error?.hasPrefix("a_test.lua:2: timeout") == true, "\(whole)")
    let memory = await run(
      "it('a', function() local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end end)")
    #expect(memory.results[0].error?.contains("out of memory") == true, "\(memory)")
  }

  // MARK: What waits for the clock

  private static let waiting = [
    "typed.lua": """
    return { on = { event = "key" }, debounce = "5s", execute = function(event, ctx)
      return { ctx:store("s"):add("typed", 1), ctx:store("s"):put("text", event.text or null), ctx:emit("saved", {}) }
    end }
    """,
    "slow.lua": """
    return { on = { event = "move" }, throttle = "10s", execute = function(event, ctx)
      return { ctx:store("s"):append("moves", event.n) }
    end }
    """,
    "flaky.lua": """
    return { on = { event = "call" }, retry = { attempts = 3, backoff = "1s" }, execute = function(event, ctx)
      if (ctx:store("s"):get("up") or false) ~= true then error("down") end
      return { ctx:store("s"):put("called", true) }
    end }
    """,
    "up.lua":
      "return { on = { at = '2026-01-01T00:00:02Z' }, execute = function(_, ctx) return { ctx:store('s'):put('up', true) } end }",
    "echo.lua":
      "return { on = { event = 'saved' }, debounce = '1m', execute = function(_, ctx) return { ctx:emit('key', { text = 'again' }) } end }",
    "spin.lua":
      "return { on = { event = 'spin' }, timeout = '1h', execute = function() while true do end end }",
    "tick.lua": "return { on = { event = 'never', every = '1ms' }, execute = function() end }",
  ]

  /// Of the files above those that a test is about.
  private func run(
    with names: [String], _ body: String, timeout: Duration = .seconds(300)
  ) async throws -> ScriptTestFile {
    var files = Self.waiting.filter { names.contains($0.key.replacing(".lua", with: "")) }
    try #require(files.count == names.count)
    files["a_test.lua"] = body
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    var tests = ScriptTests(tree: tree)
    tests.timeout = timeout
    return await tests.run("a_test.lua")
  }

  @Test func theClockMovesWhatWaits() async throws {
    let file = try await run(
      with: ["typed", "slow", "flaky", "up"],
      """
      it("debounce", function()
        expect(host:send("key", { text = "a" })):equals {}
        expect(host:advance("4s")):has_length(1) -- up.lua has its time
        host:send("key", { text = "ab" })
        expect(host:advance("4s")):equals {}
        expect(host:store("s").typed):is_nil()
        local waiting = host:waiting()
        expect(waiting):equals { { trigger = "typed", event = "key", reason = "debounce", due = host:now() + 1 } }
        expect(host:advance("1s")):contains { trigger = "typed", outcome = "committed", try = 1 }
        expect(host:store("s")):contains { typed = 1, text = "ab" }
        expect(host:waiting()):equals {}
      end)
      it("throttle", function()
        expect(host:send("move", { n = 1 })):has_length(1)
        for n = 2, 5 do expect(host:send("move", { n = n })):equals {} end
        expect(host:waiting()[1].reason):equals "throttle"
        expect(host:settle()):contains { trigger = "slow" }
        expect(host:store("s").moves):equals { 1, 5 }
        expect(host:now()):equals(1767225610.0)
      end)
      it("retry", function()
        local first = host:send("call")
        expect(first):has_length(1)
        expect(first[1]):contains { outcome = "failed", try = 1 }
        expect(host:waiting()):contains { trigger = "flaky", reason = "retry" }
        local rest = host:settle("1m")
        expect(rest):contains { trigger = "flaky", outcome = "failed", try = 2 }
        expect(rest):contains { trigger = "flaky", outcome = "committed", try = 3 }
        expect(host:store("s")):contains { called = true, up = true }
      end)
      it("run does not wait", function()
        expect(run("typed", { text = "x" })):succeeds()
        expect(run("flaky")):fails_with("down")
      end)
      """)
    #expect(file.isGood && file.results.count == 4, "\(file)")
  }

  /// Each emits an event that the other holds back: a chain that goes on for as long as the clock does, or until it
  /// counts as a loop.
  @Test func chainsOfHeldEventsGoOnWithTheClock() async throws {
    let file = try await run(
      with: ["typed", "echo"],
      """
      it("x", function()
        host:send("key", { text = "a" })
        expect(host:advance("10m")):has_length(19)
        expect(host:store("s").typed):equals(10)
        expect(function() host:settle("10m") end):fails_with("host:settle: the clock has moved on by 10m, and still there waits: debounce of '")
        expect(host:settle("10h")):contains { outcome = "failed" }
        expect(host:waiting()):equals {}
      end)
      """)
    #expect(file.isGood, "\(file)")
  }

  @Test func aFailureSaysWhatWaits() async throws {
    let file = try await run(
      with: ["typed"], "it('x', function() host:send('key') expect(host:store('s').typed):equals(1) end)")
    #expect(
      file.results.first?.waiting == [
        "debounce of 'typed' (event 'key'), due in 5s: host:advance(\"5s\")"
      ], "\(file)")
  }

  /// What a test asks of a host takes no longer than the test may, and says what it waited for. The tests after it
  /// run.
  @Test(.timeLimit(.minutes(1)))
  func noCallOutlastsItsTest() async throws {
    let file = try await run(
      with: ["typed", "spin", "tick"],
      """
      it("send", function() host:send("spin") end)
      it("in pcall", function() while true do pcall(host.send, host, "spin") end end)
      it("in a coroutine", function() coroutine.wrap(function() host:send("spin") end)() end)
      it("run", function() run("spin") end)
      it("advance", function() host:advance("100d") end)
      it("many", function() while true do host:advance("1ms") end end)
      it("with what waits", function() host:send("key") host:send("spin") end)
      it("is good", function() end)
      describe("hooks", function()
        before_each(function() while true do end end)
        it("before", function() end)
      end)
      describe("hooks", function()
        after_each(function() host:send("spin") end)
        it("after", function() end)
      end)
      """, timeout: .seconds(1))
    #expect(file.error == nil)
    let good = file.results.filter { $0.status == .passed }
    #expect(good.map(\.names) == [["is good"]], "\(file)")
    for (number, wanted) in [
      (
        0,
        "a_test.lua:1: timeout: it does not end within 1s: host:send waited, with the clock at 2026-01-01T00:00:00Z; "
      ),
      (1, "a_test.lua:2: timeout: it does not end within 1s: host:send waited"),
      (2, "a_test.lua:3: timeout: it does not end within 1s: host:send waited"),
      (3, "a_test.lua:4: timeout: it does not end within 1s: run waited"),
      (
        4,
        "a_test.lua:5: timeout: it does not end within 1s: host:advance waited, with the clock at 2026-01-01T0"
      ),
      (5, "a_test.lua:6: timeout: it does not end within 1s"),
      (6, "a_test.lua:7: timeout: it does not end within 1s: host:send waited"),
      (8, "a_test.lua:10: timeout: it does not end within 1s"),
      (9, "a_test.lua:14: timeout: it does not end within 1s: host:send waited"),
    ] {
      let error = file.results[number].error ?? ""
      #expect(error.hasPrefix(wanted), "\(error)")
      #expect(file.results[number].duration < .seconds(20))
    }
  }

  @Test func theTextOfAFileIsLimitedToo() async throws {
    let whole = try await run(with: ["spin"], "\nhost:send('spin')", timeout: .milliseconds(300))
    #expect(
      whole.error?.hasPrefix("a_test.lua:2: timeout: it does not end within 300ms: host:send waited") == true,
      "\(whole)")
  }

  /// The thread of a file never comes back: what is known is reported, and the next file runs.
  @Test func aFileThatIsStuckIsGivenUp() async throws {
    let isStuck = Mutex(true)
    let stuck = DispatchSemaphore(value: 0)
    var files = Self.waiting.filter { $0.key == "typed.lua" }
    files["a_test.lua"] =
      "it('good', function() end)\nit('stuck', function() host:now() end)\nit('lost', function() end)"
    files["b_test.lua"] = "it('x', function() expect(host:now()):is_above(0) end)"
    var tests = ScriptTests(tree: ScriptTree(files: files.mapValues { Array($0.utf8) }))
    tests.timeout = .seconds(3)
    tests.grace = .milliseconds(100)
    tests.interruption = { call in
      let waits = isStuck.withLock { isStuck in
        guard call == "now" else { return false }
        defer { isStuck = false }
        return isStuck
      }
      if waits { stuck.wait() }
    }
    let results = await tests.run()
    stuck.signal()
    #expect(results.map(\.path) == ["a_test.lua", "b_test.lua"])
    #expect(results[0].results.map(\.status) == [.passed, .failed], "\(results[0])")
    #expect(
      results[0].results[1].error?.hasPrefix("a_test.lua:2: timeout: it did not end when it was asked to")
        == true)
    #expect(results[0].error?.contains("stuck in C, and the rest of the file with it") == true)
    #expect(results[1].isGood, "\(results[1])")
  }

  @Test(arguments: ["0s", "soon", "300y", "291d2500000h", "1000000d"])
  func spansThatCannotBe(span: String) async throws {
    let error = try await error("host:advance('\(span)')")
    #expect(
      error.hasPrefix("a_test.lua:2: host:advance takes a span like")
        || error == "a_test.lua:2: host:advance: the clock of a test goes to the year 2200, no further",
      "\(error)")
  }

  @Test func whatATestPrintsIsBounded() async throws {
    let file = await run("it('x', function() for i = 1, 5000 do print(i) end end)")
    #expect(file.isGood && file.results[0].output.count == 1001, "\(file)")
    #expect(file.results[0].output.suffix(2) == ["1000", "... (what else it prints is not kept)"])
  }

  @Test func aTriggersLimitsAreReal() async throws {
    let file = await run("it('x', function() expect(run('endless')):fails_with('timeout') end)")
    #expect(file.isGood, "\(file)")
  }

  @Test func chanceAndTimeAreThoseThatTheTestSays() async throws {
    let file = await run(
      """
      local function draw(seed) return run("chance", {}, { seed = seed }).stores.s.n end
      it("x", function()
        expect(draw(1)):equals(draw(1))
        expect(draw(1)).never:equals(draw(2))
        local h = host { at = "2026-03-29T01:30:00+01:00" }
        expect(h:now()):equals(1774744200.0)
        h:advance("1h")
        expect(h:now()):equals(1774747800.0)
        expect(require "lib.twice" (4)):equals(8)
      end)
      """)
    #expect(file.isGood, "\(file)")
  }

  @Test func brokenFilesSayTheirLine() async throws {
    #expect(
      await run("it('x', function()\n").error
        == "a_test.lua:2: 'end' expected (to close 'function' at line 1) near <eof>")
    #expect(
      await run("\nitt('x')").error?.hasPrefix("a_test.lua:2: attempt to call a nil value (global 'itt')")
        == true)
    #expect(
      await run("it('x')").error?.hasPrefix("a_test.lua:1: the body of a test must be a function, not nil")
        == true)
  }
}
