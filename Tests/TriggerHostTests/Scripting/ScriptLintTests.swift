import Testing
import TriggerCore
import TriggerHost
import TriggerWorkshop

/// Mistakes that the compiled code shows, each on its line, and code that is no mistake.
@Suite struct ScriptLintTests {
  /// Findings as `path:line: severity: message`.
  private func findings(
    _ files: [String: String], stores: [String] = [], isStrict: Bool = false, notes: Bool = false
  ) -> [String] {
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    return ScriptLint(tree, stores: stores, isStrict: isStrict).findings
      .filter { notes || $0.severity != .note }
      .map { "\($0.path):\($0.line): \($0.severity.rawValue): \($0.message)" }
  }

  /// Findings in the body of `execute`, which begins on line 1.
  private func body(_ body: String, stores: [String] = [], isStrict: Bool = false) -> [String] {
    findings(
      ["t.lua": "return { on = { event = 'x' }, execute = function(event, ctx) \(body)\nend }"],
      stores: stores,
      isStrict: isStrict
    ).map { String($0.dropFirst(6)) }
  }

  @Test func storesThatCommitsAreBoundTo() {
    let script = "return { on = {\n commit = { 'chart/*', '*/x', '**' } }, execute = function() end }"
    let message = "the configuration has no store 'chart'; did you mean 'charts'?"
    #expect(findings(["t.lua": script], stores: ["charts"]) == ["t.lua:2: warning: \(message)"])
    #expect(
      findings(["t.lua": script], stores: ["charts"], isStrict: true) == ["t.lua:2: error: \(message)"])
    #expect(findings(["t.lua": script]) == [])
  }

  @Test func theBytecodeIsUnderstood() { #expect(ScriptLint.knowsBytecode) }

  @Test(arguments: [
    (
      "\npritn('x')",
      "2: error: nothing is named 'pritn': it is neither local nor a global; did you mean 'print'?"
    ),
    ("\nlocal y = x1", "2: error: nothing is named 'x1': it is neither local nor a global"),
    (
      "\n\ncount = 1",
      "3: error: 'count' is a global, and those cannot be assigned: write local count, or keep state in a store"
    ),
    (
      "function helper() end",
      "1: error: 'helper' is a global, and those cannot be assigned: write local helper, or keep state in a store"
    ),
    (
      "local f = io.open('x')",
      "1: error: 'io.open' is not there: a script has no files: keep data in stores, let feeds and events bring it"
    ),
    ("return unpack({})", "1: error: 'unpack' is not there: use table.unpack"),
    ("return string.formt('x')", "1: error: 'string.formt' is not there; did you mean 'format'?"),
    ("string.trim = print", "1: error: 'string.trim' cannot be set: Lua's libraries are read-only"),
    (
      "local s = string\nfor i = 1, 2 do s.repp('x') end",
      "2: error: 'string.repp' is not there; did you mean 'rep'?"
    ),
    ("return math.pow(2, 3)", "1: error: 'math.pow' is not there: use x ^ y"),
  ])
  func names(code: String, finding: String) { #expect(body(code) == [finding]) }

  /// What is wrong with the table is no reason to say nothing of the code on the same line.
  @Test func besideMistakesOfTheTable() {
    #expect(
      findings(["t.lua": "return { mode = 1, execute = function(event, ctx) pritn(1) end }"]) == [
        "t.lua:1: error: nothing is named 'pritn': it is neither local nor a global; did you mean 'print'?"
      ])
    // What loading has shown is not said twice.
    #expect(findings(["t.lua": "pritn(1)"]) == [])
  }

  @Test(arguments: [
    ("ctx:stor('a')", "1: error: ctx has no 'stor'; did you mean 'store'?"),
    (
      "local s = ctx:store('a')\nif event then return s:gett('k') end",
      "2: error: store has no 'gett'; did you mean 'get'?"
    ),
    (
      "local s = ctx:store('a')\nlocal function f() return s:gett('k') end\nreturn f()",
      "2: error: store has no 'gett'; did you mean 'get'?"
    ),
    ("ctx:store('a'):sett('k', 1)", "1: error: store has no 'sett'"),
    ("return ctx.sequence", "1: error: ctx has no 'sequence'"),
    ("ctx.store('a')", "1: error: call it with a colon: ctx:store(name)"),
    ("local s = ctx:store('a')\nreturn s.get('k')", "2: error: call it with a colon: store:get(key)"),
    ("return ctx:store('a'):put('k')", "1: error: store:put(key, value) needs 2 arguments, got 1"),
    (
      "return ctx:store('a'):get('k', 0)",
      "1: warning: store:get(key) takes one argument, got 2: the rest is ignored"
    ),
    ("return ctx:store()", "1: error: ctx:store(name) needs an argument, got 0"),
    (
      "ctx:log('inf', 'x')",
      "1: error: ctx:log(level, message, fields?): level is one of debug, info, warn, warning, error, got \"inf\"; did you mean 'info'?"
    ),
    ("return ctx:now(1)", "1: warning: ctx:now() takes no argument, got 1: the rest is ignored"),
  ])
  func members(code: String, finding: String) { #expect(body(code) == [finding]) }

  @Test func theExecutesContextIsKnownUnderAnyName() {
    let direct = "return { on = { event = 'x' }, execute = function(e, c) return c:stor('a') end }"
    let named =
      "local function run(e, c)\n  return c:stor('a')\nend\nreturn { on = { event = 'x' }, execute = run }"
    let helper =
      "local function help(ctx) return ctx:emitt('x') end\nreturn { on = { event = 'x' }, execute = function(e, ctx) return help(ctx) end }"
    #expect(findings(["t.lua": direct]) == ["t.lua:1: error: ctx has no 'stor'; did you mean 'store'?"])
    #expect(findings(["t.lua": named]) == ["t.lua:2: error: ctx has no 'stor'; did you mean 'store'?"])
    #expect(findings(["t.lua": helper]) == ["t.lua:1: error: ctx has no 'emitt'; did you mean 'emit'?"])
  }

  /// Right, or right for all that can be known.
  @Test(arguments: [
    "local s = ctx:store('a') s = { gett = print } return s:gett()",
    "local s = event and ctx:store('a') or { gett = print } return s:gett()",
    "local s for i = 1, 2 do s = ctx:store('a') end return s:get('k')",
    "local s = ctx:store('a') local function swap() s = { gett = print } end swap() return s:gett()",
    "local put = ctx:store('a').put return put(ctx:store('a'), 'k', 1)",
    "ctx.log(ctx, 'info', 'x') ctx:log('warn', 'x') ctx:log(event.level, 'x')",
    "return ctx:store('a'):put(table.unpack({ 'k', 1 }))",
    "if jit then return jit.x end",
    "if not setfenv then return end",
    "local unpack = table.unpack or unpack",
    "if type(ngx) == 'table' then return end",
    "local x = _G.whatever or rawget(_G, 'other')",
    "if string.trim then return string.trim('x') end",
    "local string = { trim = print } return string.trim('x')",
    "local _ENV = { f = print } f() g = 1",
    "local ctx = { stor = print } return ctx:stor()",
    "goto done do local x = y_ or 1 end ::done::",
    "for k, v in ctx:store('a'):scan() do print(k, v) end for _, k in ipairs(ctx:store('a'):keys('p')) do print(k) end",
    "return { ctx:store('a'):add('k', 1), ctx:emit('x', {}), ctx:store(event.name):put('k', nil) }",
  ])
  func noFalseAlarm(code: String) {
    let found = body(code).filter { !$0.contains("'y_'") && !$0.contains("'g'") }
    #expect(found.isEmpty, "\(found)")
  }

  @Test func storesAreThoseOfTheConfiguration() {
    let code = "\nreturn ctx:store('chart'):get('k')"
    #expect(body(code) == [])
    #expect(
      body(code, stores: ["charts"]) == [
        "2: warning: the configuration has no store 'chart'; did you mean 'charts'?"
      ])
    #expect(
      body(code, stores: ["charts"], isStrict: true) == [
        "2: error: the configuration has no store 'chart'; did you mean 'charts'?"
      ])
    #expect(body(code, stores: ["orders"]) == [])
    #expect(
      body(code, stores: ["orders"], isStrict: true) == ["2: error: the configuration has no store 'chart'"])
  }

  @Test func emittedNamesThatLookMisspelt() {
    let good = "return { on = { event = { 'order.placed', 'bars/*' } }, execute = function(e, ctx) end }"
    func emitter(_ name: String) -> String {
      "return { on = { event = 'go' }, execute = function(e, ctx)\n return ctx:emit('\(name)') end }"
    }
    #expect(
      findings(["a.lua": good, "b.lua": emitter("order.placd")]) == [
        "b.lua:2: warning: no trigger is bound to the event 'order.placd'; did you mean 'order.placed'?"
      ])
    for name in ["order.placed", "bars/x", "somebody.else"] {
      #expect(findings(["a.lua": good, "b.lua": emitter(name)]) == [])
    }
  }

  // MARK: Modules

  private static let user =
    "local m = require 'lib.a'\nreturn { on = { event = 'x' }, execute = function() return m end }"

  @Test func modulesThatAreMissingOrNotUsed() {
    let missing = "return { on = { event = 'x' }, execute = function()\n local j = require 'lib.jsn' end }"
    #expect(
      findings(["t.lua": missing, "lib/json.lua": "return {}"]) == [
        "lib/json.lua:1: warning: nothing requires this module",
        "t.lua:2: error: there is no module 'lib.jsn'; did you mean 'lib.json'?",
      ])
    #expect(
      findings(["t.lua": Self.user, "lib/a.lua": "return require 'b'", "lib/b.lua": "return {}"]) == [])
    // Asked for in another way, or with a name that is made.
    let soft =
      "local ok, m = pcall(require, 'lib.a')\nreturn { on = { event = 'x' }, execute = function() end }"
    #expect(findings(["t.lua": soft, "lib/a.lua": "return {}"]) == [])
    let computed =
      "local m = require('lib.' .. 'a')\nreturn { on = { event = 'x' }, execute = function() end }"
    #expect(findings(["t.lua": computed, "lib/a.lua": "return {}"]) == [])
    // Used by a test alone; parts of a library.
    #expect(
      findings([
        "t.lua": Self.user, "lib/a.lua": "return 1", "lib/b.lua": "return 1", "b_test.lua": "require 'lib.b'",
      ]) == [])
    let library = "local l = require 'pl.List'\nreturn { on = { event = 'x' }, execute = function() end }"
    #expect(
      findings(["t.lua": library, "lib/pl/List.lua": "return {}", "lib/pl/Set.lua": "return {}"]) == [])
  }

  @Test func cyclesAreNamedWithTheirLines() {
    let cycle = [
      "t.lua": "return { on = { event = 'x' }, execute = function() end }",
      "lib/a.lua": "local b = require 'lib.b'\nreturn {}", "lib/b.lua": "\nlocal c = require 'c'\nreturn {}",
      "lib/c.lua": "return require 'lib.a'",
    ]
    #expect(
      findings(cycle).filter { $0.contains("cycle") } == [
        "lib/c.lua:1: error: module cycle: lib/a.lua:1 -> lib/b.lua:2 -> lib/c.lua:1 -> lib/a.lua; move what both need into a third module"
      ])
    // Needed later is no cycle.
    let late = cycle.merging(["lib/c.lua": "return function() return require 'lib.a' end"]) { $1 }
    #expect(!findings(late).contains { $0.contains("cycle") })
    // A trigger that loads it says so; once is enough.
    let loaded = cycle.merging(["t.lua": "local a = require 'lib.a'\nreturn { execute = function() end }"]) {
      $1
    }
    #expect(!findings(loaded).contains { $0.contains("cycle") })
  }

  @Test func whatModulesLackIsANote() {
    let files = [
      "t.lua": Self.user,
      "lib/a.lua":
        "local f = function(x) return io.open(x) end\nlocal g = function(x) return io.open(x) end\nreturn f or g",
    ]
    #expect(findings(files) == [])
    #expect(
      findings(files, notes: true) == [
        "lib/a.lua:1: note: 'io.open' is not there: a script has no files: keep data in stores, let feeds and events bring it"
      ])
    #expect(findings(["t.lua": Self.user, "lib/a.lua": "return function() pritn() end"]).count == 1)
  }

  @Test func testsAreLookedAtToo() {
    let t = "return { on = { event = 'x' }, execute = function() end }"
    #expect(
      findings(["t.lua": t, "t_test.lua": "it('x'"]) == ["t_test.lua:1: error: ')' expected near <eof>"])
    #expect(
      findings(["t.lua": t, "t_test.lua": "\nexpct(1)"]) == [
        "t_test.lua:2: error: nothing is named 'expct': it is neither local nor a global; did you mean 'expect'?"
      ])
    #expect(
      findings(["t.lua": t, "t_test.lua": "mine = 1\nit('x', function() expect(mine):equals(1) end)"]) == [])
  }

  @Test func manyConstantsAreFollowed() {
    // Beyond 255 constants Lua names things in another way.
    let filler = (0..<300).map { "local x = 'c\($0)'" }.map { "do \($0) end" }.joined(separator: " ")
    #expect(
      body("\(filler)\npritn('x')") == [
        "2: error: nothing is named 'pritn': it is neither local nor a global; did you mean 'print'?"
      ])
    #expect(body("\(filler)\nctx:stor('x')") == ["2: error: ctx has no 'stor'; did you mean 'store'?"])
  }
}
