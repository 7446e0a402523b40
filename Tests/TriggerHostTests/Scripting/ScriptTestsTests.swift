import Testing
import TriggerCore
import TriggerHost
import TriggerTestKit

/// `*_test.lua` files: what passes, what fails and what it says.
@Suite struct ScriptTestsTests: RunsScriptTests {
  @Test(arguments: ["\u{FEFF}", "#!/usr/bin/env lua\n", "\u{FEFF}#!/usr/bin/env lua\r\n"])
  func whatStandsBeforeTheText(start: String) async {
    let file = await run("\(start)it('x', function() end)")
    #expect(file.isGood && file.results.count == 1, "\(file)")
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
