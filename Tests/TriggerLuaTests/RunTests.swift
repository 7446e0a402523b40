import Foundation
import Testing
import TriggerLua

/// Limits, errors, the API and require.
struct RunTests {
  // --- limits

  /// Runs a body that does not end, and kills it from another thread once it has logged something.
  private func killed(_ body: String) throws -> Failure {
    let host = DictionaryHost()
    let trigger = try host.load("return {execute = function(event, ctx)\nlocal n = 0\n\(body)\nend}")
    let control = host.worker.control
    let isInLoop = DispatchSemaphore(value: 0)
    host.whenLogged = { isInLoop.signal() }
    let watchdog = Thread {
      isInLoop.wait()
      let running = control.running
      while control.running == running {
        control.kill(running, reason: .timeout)
        sched_yield()
      }
    }
    watchdog.start()
    do {
      _ = try host.run(trigger)
      return Failure(status: .ok, text: "")
    } catch let failure as Failure {
      #expect(try host.encode("1") == "01", "the worker goes on")
      return failure
    }
  }

  /// Said in the middle of a loop, not before it.
  private static let turn = "n = n + 1 if n == 100 then print(n) end"

  @Test(arguments: [
    "while true do \(turn) end",
    "while true do pcall(function() while true do \(turn) end end) end",
    "local function f() \(turn) return f() end return f()",
    "local t = setmetatable({}, {__index = function(t, k) while true do \(turn) end end}) return t.x",
  ])
  func aKillCannotBeSwallowed(body: String) throws {
    let failure = try killed(body)
    #expect(failure.status == .killed)
    #expect(failure.text.contains("timeout: the attempt used up its time"))
    #expect(failure.text.contains("triggers/test.lua:"))
  }

  @Test(arguments: [
    "local t = {} for i = 1, 1e9 do t[i] = {i} end",
    "local t = {} pcall(function() for i = 1, 1e9 do t[i] = {i} end end) t = nil return {}",
    "local s = ('x'):rep(1000) for i = 1, 60 do s = s .. s end",
  ])
  func memoryIsBounded(body: String) throws {
    let host = DictionaryHost()
    let error = #expect(throws: Failure.self) { try host.execute(body) }
    #expect(error?.status == .outOfMemory, "\(error?.text ?? "")")
    #expect(host.worker.memory < 2 << 20)
    #expect(try host.encode("1") == "01")
  }

  /// A table that is made weak after it was given its metatable, and so much garbage that it is collected, far from the
  /// limit and near it: by our hook, never by Lua itself, which could free entries twice.
  @Test(arguments: [(8, 12), (3, 40)])
  func weakTablesAreStrong(limit: Int, garbage: Int) throws {
    let host = DictionaryHost()
    host.limits.memoryBytes = limit << 20
    let body = """
      local mt = {}
      local weak = setmetatable({}, mt)
      mt.__mode = "v"
      for i = 1, 100 do weak[i] = {i} end
      for i = 1, \(garbage) * 1024 do local junk = ("x"):rep(1024) .. i end
      assert(#weak == 100, #weak)
      """
    #expect(host.failure(body) == "")
  }

  @Test func keptWeakTablesAreStrong() throws {
    let host = DictionaryHost()
    let trigger = try host.load(
      """
      local mt = {}
      local weak = setmetatable({}, mt)
      mt.__mode = "kv"
      for i = 1, 100 do weak[i] = {i} end
      return { execute = function(event, ctx)
        for i = 1, 12 * 1024 do local junk = ("x"):rep(1024) .. i end
        return ctx:store("s"):put("k", #weak)
      end }
      """)
    for _ in 0..<2 { #expect(try host.run(trigger)[0].value == "1864") }
  }

  /// Lua counts the C calls of a coroutine from where it was resumed: not here.
  @Test func chainsOfClosesAreBounded() throws {
    let host = DictionaryHost()
    host.limits.memoryBytes = 512 << 20
    let failure = host.failure(
      """
      local all = {}
      local function close(i)
        local ok, message = coroutine.close(all[i])
        if not ok then error(message, 0) end
      end
      for i = 60000, 1, -1 do
        all[i] = coroutine.create(function()
          local x <close> = setmetatable({}, {__close = function() if all[i + 1] then close(i + 1) end end})
          coroutine.yield()
        end)
        coroutine.resume(all[i])
      end
      close(1)
      """)
    #expect(failure.contains("C stack overflow"), "\(failure.prefix(300))")
    #expect(try host.encode("1") == "01")
  }

  /// From the fewest to more than the Lua stack has free: each as it comes out of `unpack`.
  @Test func printTakesAnyNumberOfValues() throws {
    let host = DictionaryHost()
    host.limits.memoryBytes = 64 << 20
    _ = try host.execute(
      "for n = 0, 700 do print(table.unpack({}, 1, n)) end print(table.unpack({}, 1, 100000))")
    #expect(host.logs.count == 702)
    #expect(host.logs[3].contains("nil\tnil\tnil"))
  }

  @Test func whatTheHostHoldsIsMemory() throws {
    let host = DictionaryHost()
    host.heldPerRead = 3 << 20
    #expect(host.failure("for _ = 1, 3 do ctx:store('s'):get('k') end").contains("out of memory"))
    // What an earlier run of the attempt made the host hold does not count.
    #expect(host.failure("for _ = 1, 2 do ctx:store('s'):get('k') end") == "")
    host.heldPerRead = 0
    #expect(host.failure("local t = {} for i = 1, 100 do t = {t} end ctx:store('s'):get('k')") == "")
  }

  @Test func longLogLinesAreCut() throws {
    let host = DictionaryHost()
    _ = try host.execute("print(('\u{e9}'):rep(40000))")
    #expect(host.logs[0].contains("... (cut)"))
    #expect(host.logs[0].utf8.count < 66_000)
  }

  @Test(arguments: [
    ("\u{feff}return { execute = function() error('here') end }", "triggers/test.lua:1: here"),
    ("#!/usr/bin/env lua\nreturn { execute = function() error('here') end }", "triggers/test.lua:2: here"),
    (
      "\u{feff}#!/usr/bin/env lua\nreturn { execute = function() error('here') end }",
      "triggers/test.lua:2: here"
    ),
    ("\u{1b}Lua", "triggers/test.lua:1: bytecode is not loaded, only Lua text"),
    ("#", "triggers/test.lua: a script returns a table with execute, this one returned nothing"),
  ])
  func whatStandsBeforeTheText(source: String, text: String) throws {
    let host = DictionaryHost()
    do {
      _ = try host.run(try host.load(source))
    } catch let failure as Failure {
      #expect(failure.text.hasPrefix(text), "\(failure.text)")
    } catch { #expect("\(error)".hasPrefix(text), "\(error)") }
  }

  @Test func garbageIsNotMemory() throws {
    #expect(DictionaryHost().failure("for i = 1, 1000000 do local t = {i} end") == "")
  }

  @Test func intentsAreBounded() {
    let text = DictionaryHost().failure("for i = 1, 101 do ctx:store('s'):put('k', i) end")
    #expect(text.contains("more than 100 intents in one execution"))
  }

  // --- errors

  @Test func errorsNamePlaceAndTraceback() {
    let text = DictionaryHost().failure("local function inner(x) return x.y.z end\ninner({})")
    #expect(text.hasPrefix("triggers/test.lua:2: attempt to index a nil value (field 'y')\nstack traceback:"))
    #expect(text.contains("triggers/test.lua:3: in function"))
  }

  @Test func anyErrorObjectBecomesText() {
    let host = DictionaryHost()
    #expect(host.failure("error({code = 1})").hasPrefix("table"))
    #expect(host.failure("error(nil)").hasPrefix("nil"))
    #expect(
      host.failure("error(setmetatable({}, {__tostring = function() return 'mine' end}))").hasPrefix("mine\n")
    )
    #expect(
      host.failure("error(setmetatable({}, {__tostring = function() error('x') end}))").contains(
        "__tostring failed"))
    #expect(host.failure("error(('x'):rep(100000))").utf8.count < 8192)
    #expect(host.failure("local function f() return 1 + f() end f()").contains("endless recursion?"))
    host.limits.memoryBytes = 128 << 20
    #expect(host.failure("local function f() return 1 + f() end f()").contains("stack overflow"))
  }

  @Test func syntaxErrorsComeFromLoad() {
    let error = #expect(throws: LuaWorker.LoadError.self) {
      try DictionaryHost().load("return {\n  x = = 1\n}")
    }
    #expect(error?.description.hasPrefix("triggers/test.lua:2: unexpected symbol near '='") == true)
  }

  @Test func specLeavesOutExecute() throws {
    let host = DictionaryHost()
    let trigger = try host.load("return {on = {event = 'e'}, f = function() end, execute = function() end}")
    let bytes = try host.worker.spec(of: trigger)
    #expect(bytes.withUnsafeBytes { $0.hex } == "a261666866756e6374696f6e626f6ea1656576656e746165")
    let bare = try host.load("return {}")
    #expect(throws: LuaWorker.LoadError.self) { try host.worker.spec(of: bare) }
  }

  // --- API

  static let misuse: [(String, String)] = [
    ("return ctx.sotre", "ctx has no field 'sotre'; did you mean 'store'?"),
    ("return ctx:store('s'):gte('k')", "store has no field 'gte'; did you mean 'get'?"),
    ("return 'x'", "execute returned a string: expected a list of intents"),
    (
      "return {ctx:store('s'):put('k', 1), false, 'x'}",
      "execute returned a string at [3]: expected a list of intents"
    ),
    ("return {{1}}", "execute returned a number at [1][1]"),
    ("return {a = 1}", "execute returned a table that is no list"),
    ("local i = ctx:store('s'):put('k', 1) return {i, {i}}", "the same intent twice at [2][1]"),
    ("return ctx:store('refused')", "store 'refused': not in the config"),
    ("ctx:store('s'):put('', 1)", "store:put: the key must not be empty"),
    ("ctx:store('s'):put('k')", "store:put: a value is missing (nil deletes the key)"),
    ("ctx:store('s'):add('k', 'x')", "store:add: a number is needed, not string"),
    ("ctx:store('s').get('k')", "call it with a colon: store:get(...)"),
    ("ctx:store('s'):prepare_commit(3, {})", "seq 3 was not read from this store"),
    ("ctx:log('loud', 'x')", "ctx:log: no level 'loud'"),
    ("ctx.x = 1", "ctx cannot be changed"),
  ]

  @Test(arguments: misuse)
  func misuseIsExplained(body: String, text: String) {
    let failure = DictionaryHost().failure(body)
    #expect(failure.contains(text), "\(failure)")
  }

  @Test func everyIntent() throws {
    let changes = try DictionaryHost().execute(
      """
      local s = ctx:store("passing")
      local seq, data = s:read_snapshot()
      return { s:put("a", 1), {s:delete("b"), false, {s:add("c", 2)}}, s:max("d", 3), s:min("e", 4.5),
        s:append("f", "x"), s:prepare_commit(seq, {k = 1}), ctx:emit("e.x", {p = true}), s:put("g", nil) }
      """)
    #expect(
      changes.map(\.action.change) == [.put, .delete, .add, .max, .min, .append, .replace, nil, .delete])
    #expect(changes[7].action == .emit)
    #expect(changes.map(\.key) == ["a", "b", "c", "d", "e", "f", "", "e.x", "g"])
    #expect(changes.map(\.value) == ["01", "", "02", "03", "f94480", "6178", "a1616b01", "a16170f5", ""])
  }

  @Test func reads() throws {
    let host = DictionaryHost()
    for (key, value) in [("a1", "01"), ("a2", "02"), ("b", "03")] { host.set("s", key, value) }
    let changes = try host.execute(
      """
      local s, out = ctx:store("s"), {}
      for k, v in s:scan("a") do out[#out + 1] = k .. v end
      for k, v in s:scan("", 1) do out[#out + 1] = k end
      local seq, data = s:read_snapshot()
      return s:put("k", {out, s:keys(), s:count("a"), seq, data.b, s.name, s:get("none") == nil,
        ctx.seq, ctx.time, ctx:now(), ctx.trigger, tostring(null), tostring(s:put("x", 1))})
      """)
    #expect(changes[0].value.hasPrefix("8d83636131316361323262613183626131"))
    #expect(changes[0].value.contains("0209036173f50cf93e00f93e00"))
    #expect(changes[0].value.hasSuffix("6474657374646e756c6c6e696e74656e742070757420732f78"))
  }

  @Test func logNamesItsPlace() throws {
    let host = DictionaryHost()
    _ = try host.execute("print('a', 1, nil)\nctx:log('warn', 'low', {level = 3})")
    #expect(
      host.logs == [
        "info triggers/test.lua:2 a\t1\tnil ", "warning triggers/test.lua:3 low a1656c6576656c03",
      ])
  }

  // --- require

  @Test func modulesAreFound() throws {
    let host = DictionaryHost()
    host.files["lib/a.lua"] = "return {name = ..., path = select(2, ...)}"
    host.files["lib/b/init.lua"] = "return 'b'"
    host.files["top.lua"] = "return 'top'"
    let changes = try host.execute(
      "local a = require 'lib.a' return ctx:store('s'):put('k', {a.name, a.path, require 'a' == a, require 'b', require 'top'})"
    )
    #expect(changes[0].value == "85656c69622e61696c69622f612e6c7561f5616263746f70")
  }

  @Test func missingModulesAndCyclesAreExplained() {
    let host = DictionaryHost()
    host.files["lib/a.lua"] = "return require 'lib.b'"
    host.files["lib/b.lua"] = "return require 'lib.a'"
    host.files["lib/bad.lua"] = "local x\nlocal y = x.z"
    #expect(host.failure("require 'lib.a'").contains("module cycle: lib/a.lua -> lib/b.lua -> lib/a.lua"))
    #expect(
      host.failure("require 'c'").contains(
        "(tried c.lua, c/init.lua, lib/c.lua, lib/c/init.lua, lua_modules/"))
    #expect(host.failure("require '../c'").contains("is not a module name"))
    #expect(
      host.failure("require 'lib.bad'").hasPrefix("lib/bad.lua:2: attempt to index a nil value (local 'x')"))
    #expect(host.failure("for i = 1, 2 do pcall(require, 'lib.bad') end") == "")
  }
}
