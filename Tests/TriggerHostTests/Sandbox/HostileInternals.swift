/// Scripts that were once stronger than what holds them: what they hit was memory, state that nobody put back, or time
/// that no hook saw.
extension HostileScript {
  static let internals: [HostileScript] = names + cuts + chunks + unhooked + finalizers + sources + growth

  private static func well(
    _ name: String, _ body: String, head: String = "", memory: String? = "64mb"
  ) -> HostileScript { HostileScript(name: name, body: body, memory: memory, head: head) }

  private static func fails(
    _ name: String, _ body: String, _ error: String, head: String = "", memory: String? = "64mb"
  ) -> HostileScript { HostileScript(name: name, body: body, error: error, memory: memory, head: head) }

  // MARK: Metafields of the wrong type

  private static let odd = "local odd = setmetatable({}, { __name = 5 })"

  static let names: [HostileScript] = [
    well(
      "__name that is no text, in a format beyond the stack's buffer",
      "\(odd) string.format('%s%s%s', ('x'):rep(5000), odd, ('y'):rep(500000))"),
    well(
      "__name that is no text, printed often",
      "\(odd) local t = {} for i = 1, 5000 do t[i] = odd end print(table.unpack(t))"),
    well(
      "__name of every kind",
      "for _, name in ipairs { 5, 0.5, true, {}, print, coroutine.create(print) } do local odd = setmetatable({}, { __name = name }) assert(tostring(odd) == 'table' and ('%s|'):format(odd) == 'table|') end"
    ),
    well(
      "__name that is no text, in %s of a width",
      "\(odd) assert(('[%8s]'):rep(200):format(table.unpack((function() local t = {} for i = 1, 200 do t[i] = odd end return t end)())):sub(1, 10) == '[   table]')"
    ),
    fails("__name that is no text, as an error", "\(odd) error(odd)", "table"),
    fails(
      "__name that is no text, in a coroutine's error",
      "\(odd) coroutine.wrap(function() error(odd) end)()", "table"),
    fails(
      "__name that is no text, as a key", "\(odd) ctx:store('s'):put(odd, 1)", "must be a string, not table"),
    fails("__name that is no text, as a name", "\(odd) ctx:store(odd)", "must be a string, not table"),
    fails("__name that is no text, as a field", "\(odd) return ctx[odd]", "no field 'table'"),
    fails("__name that is no text, as a global", "\(odd) _ENV[odd] = 1", "global 'table' is read-only"),
    fails(
      "__name that is no text, as an argument", "\(odd) string.rep(odd, 2)",
      "string expected, got table"),
    fails(
      "__tostring that gives a table, printed",
      "print(setmetatable({}, { __tostring = function() return {} end }))", "must return a string"),
    fails(
      "__tostring that is no function", "print(setmetatable({}, { __tostring = 5 }))",
      "attempt to call a number value"),
    well(
      "__tostring that gives a number",
      "assert(('%s%s'):format(('x'):rep(5000), setmetatable({}, { __tostring = function() return 5 end })):sub(-2) == 'x5')"
    ),
    fails(
      "__pairs that is no function", "for _ in pairs(setmetatable({}, { __pairs = 5 })) do end",
      "attempt to call a number value"),
    fails("__index that is no table", "return setmetatable({}, { __index = 5 }).x", "attempt to index"),
    fails(
      "__close that is no function", "local t <close> = setmetatable({}, { __close = 5 })",
      "call a number value"),
    fails(
      "__len that gives text", "table.insert(setmetatable({}, { __len = function() return 'x' end }), 1)",
      "not an integer"),
    well(
      "__metatable of every kind",
      "for _, value in ipairs { 5, 'x', {}, print } do local t = setmetatable({}, { __metatable = value }) assert(getmetatable(t) == value and not pcall(setmetatable, t, {})) end"
    ),
  ]

  // MARK: Texts that are cut

  static let cuts: [HostileScript] = [
    well("a log line of continuation bytes", "print(('\\x80'):rep(70000))"),
    well(
      "log lines cut at any byte",
      "for i = 65530, 65550 do for _, tail in ipairs { '\\xe4\\xba\\xba', '\\xf0\\x9f\\x98\\x80', '\\xbf\\xbf\\xbf\\xbf\\xbf', '\\xc3' } do print(('x'):rep(i) .. tail:rep(10)) end end",
      memory: "256mb"),
    well("a warning of continuation bytes", "warn(('\\xbf'):rep(70000)) io.write(('\\xbf'):rep(70000))"),
    fails("an error of continuation bytes", "error(('\\x80'):rep(70000))", "(cut)"),
    fails(
      "a key of continuation bytes in what cannot be stored",
      "ctx:store('s'):put('k', { [('\\x80'):rep(70000)] = print })", "not UTF-8 text"),
    fails(
      "a chunk's name of continuation bytes", "load('error(1, 1)', '=' .. ('\\x80'):rep(70000))()", "1"),
  ]

  // MARK: What a chunk sees, after it failed

  /// `lib/fails.lua` draws a number, and fails.
  static let modules = [
    "lib/fails.lua": "math.random() error('on purpose')",
    "lib/needs.lua": "return require 'lib.fails'",
    "lib/closes.lua":
      "local x <close> = setmetatable({}, { __close = function() error('closing') end }) error('on purpose')",
    "lib/good.lua": "return { load = function() return require 'lib.fails' end }",
    "lib/loops.lua": "while true do end",
  ]

  /// Calls `fail` again and again; what the execution sees stays what it was.
  private static func chunk(_ name: String, _ fail: String) -> HostileScript {
    well(
      "a module that fails, \(name)",
      """
      local function fail() \(fail) end
      local time, kept = os.time(), {}
      local function numbers() math.randomseed(7) local a = math.random() fail() return a, math.random() end
      local first, second = numbers()
      math.randomseed(7)
      assert(math.random() == first and math.random() == second, "chance is the chunk's")
      for i = 1, 30 do
        fail()
        assert(os.time() == time, "the clock is the chunk's")
        for j = 1, 60 do kept[1] = ("x"):rep(20000) .. i .. j end
      end
      local ok, message = pcall(require, "lib.fails")
      assert(not ok and message:find("on purpose") and not message:find("cycle"), message)
      """)
  }

  static let chunks: [HostileScript] = [
    chunk("in pcall", "assert(not pcall(require, 'lib.fails'))"),
    chunk(
      "in a coroutine", "assert(not coroutine.resume(coroutine.create(function() require 'lib.fails' end)))"),
    chunk("as a coroutine", "assert(not coroutine.resume(coroutine.create(require), 'lib.fails'))"),
    chunk("in wrap", "assert(not pcall(coroutine.wrap(function() require 'lib.fails' end)))"),
    chunk("two deep", "assert(not coroutine.resume(coroutine.create(function() require 'lib.needs' end)))"),
    chunk(
      "in coroutines within coroutines",
      "assert(not coroutine.wrap(function() return coroutine.resume(coroutine.create(function() require 'lib.needs' end)) end)())"
    ),
    chunk(
      "in a coroutine that is closed then",
      "local co = coroutine.create(function() require 'lib.closes' end) assert(not coroutine.resume(co)) local ok, e = coroutine.close(co) assert(not ok)"
    ),
    chunk(
      "in a coroutine that is closed later",
      "local co = coroutine.create(function() require 'lib.closes' end) assert(not coroutine.resume(co)) if last then coroutine.close(last) end"
    ),
    chunk(
      "in pcall after a yield",
      "local co = coroutine.wrap(function() pcall(function() coroutine.yield() require 'lib.fails' end) return 'done' end) co() assert(co() == 'done')"
    ),
    chunk(
      "in xpcall after a yield",
      "local co = coroutine.wrap(function() xpcall(function() coroutine.yield() require 'lib.needs' end, print) return 'done' end) co() assert(co() == 'done')"
    ),
    chunk(
      "in a __close",
      "pcall(function() local x <close> = setmetatable({}, { __close = function() require 'lib.fails' end }) end)"
    ),
    chunk(
      "in a __tostring",
      "pcall(tostring, setmetatable({}, { __tostring = function() require 'lib.fails' end }))"),
    chunk("while a deep stack ends", "local function f() pcall(f) require 'lib.fails' end pcall(f)"),
    chunk("in a comparator", "pcall(table.sort, { 1, 2, 3 }, function() require 'lib.fails' end)"),
    chunk("through another module", "pcall(require('lib.good').load)"),
    HostileScript(
      name: "a module that loops in a coroutine",
      body: "coroutine.wrap(function() require 'lib.loops' end)()",
      error: "timeout", isEndless: true),
    HostileScript(
      name: "modules that fail, for ever",
      body: "while true do coroutine.resume(coroutine.create(require), 'lib.needs') end", error: "timeout",
      isEndless: true),
  ]

  // MARK: Where hooks are off

  private static func endless(_ name: String, _ body: String, head: String = "") -> HostileScript {
    HostileScript(name: name, body: body, error: "timeout", isEndless: true, head: head)
  }

  private static let closing =
    "local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end"
  private static let victim =
    "local victim = coroutine.create(function() local x <close> = closing(loop) while true do end end)"

  static let unhooked: [HostileScript] = [
    endless(
      "a killed coroutine that a __close closes",
      """
      \(closing) \(victim)
      local outer = coroutine.create(function()
        local last <close> = closing(function() coroutine.close(victim) end)
        local first <close> = closing(function() coroutine.resume(victim) end)
        coroutine.yield()
      end)
      coroutine.resume(outer) coroutine.close(outer)
      """),
    endless(
      "a killed coroutine that a __close closes, again and again",
      """
      \(closing) \(victim)
      local outer = coroutine.create(function()
        local last <close> = closing(function() while true do pcall(coroutine.close, victim) end end)
        local first <close> = closing(function() coroutine.resume(victim) end)
        coroutine.yield()
      end)
      coroutine.resume(outer) coroutine.close(outer)
      """),
    endless(
      "a killed coroutine that is wrapped in a __close",
      """
      \(closing)
      local step = coroutine.wrap(function() local x <close> = closing(loop) while true do end end)
      local outer = coroutine.create(function()
        local last <close> = closing(function() while true do pcall(step) end end)
        local first <close> = closing(function() step() end)
        coroutine.yield()
      end)
      coroutine.resume(outer) coroutine.close(outer)
      """),
    endless(
      "a killed coroutine with many to close",
      """
      \(closing)
      local inner = coroutine.create(function()
        local a <close> = nil local b <close> = closing(loop)
        local c <close> = closing(loop) local d <close> = closing(coroutine.wrap(loop))
        loop()
      end)
      local e <close> = closing(function() coroutine.close(inner) end)
      local f <close> = closing(coroutine.wrap(function() coroutine.close(inner) loop() end))
      coroutine.resume(inner)
      """),
    endless(
      "__close of a suspended coroutine, in a __close on the way out",
      """
      \(closing)
      local sleeper = coroutine.create(function() local x <close> = closing(loop) coroutine.yield() end)
      coroutine.resume(sleeper)
      local x <close> = closing(function() coroutine.close(sleeper) end)
      loop()
      """),
    endless(
      "__close that resumes, on the way out",
      "\(closing) local x <close> = closing(function() while true do coroutine.wrap(loop)() end end) loop()"),
    HostileScript(
      name: "a __close that loops after memory is gone",
      body: """
        \(closing) local x <close> = closing(loop)
        coroutine.wrap(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)()
        """, error: "memory"),
  ]

  // MARK: Finalizers

  /// Collections follow: by garbage in the execution, and between executions.
  private static let garbage = "for i = 1, 300 do local junk = ('x'):rep(100000) .. i end"

  static let finalizers: [HostileScript] = [
    well(
      "__gc set after setmetatable, kept", "\(garbage) assert(getmetatable(object).__gc) return object.x",
      head: "local mt = {} local object = setmetatable({}, mt) mt.__gc = function() while true do end end"),
    well(
      "__gc that was no function at first", "\(garbage) return object.x, mt",
      head: "local mt = {} local object = setmetatable({}, mt) mt.__gc = true"),
    well(
      "__gc in a class that is kept", "\(garbage) return Class.new()",
      head:
        "local Class = {} Class.__index = Class function Class.new() return {} end local object = setmetatable({ 1 }, Class) Class.object = object Class.__gc = function() while true do end end"
    ),
    well(
      "__gc of an object that is its own metatable", "\(garbage) return object.x",
      head: "local object = {} setmetatable(object, object) object.__gc = function() while true do end end"),
    well(
      "__gc under an __index that is kept", "\(garbage) return object.x",
      head:
        "local mt = {} local base = setmetatable({}, mt) local object = setmetatable({}, { __index = base }) mt.__gc = function() while true do end end"
    ),
    fails(
      "__gc given at once", "setmetatable({}, { __gc = function() while true do end end })",
      "__gc is not available"),
    fails("__gc that is false, given at once", "setmetatable({}, { __gc = false })", "__gc is not available"),
    fails(
      "__gc of what is kept, given at once", "setmetatable({}, mt)", "__gc is not available",
      head: "local mt = { __gc = function() while true do end end }"),
    well(
      "__gc set after setmetatable, in an execution",
      "local mt = {} for i = 1, 100 do setmetatable({}, mt) end mt.__gc = function() while true do end end \(garbage)"
    ),
  ]

  // MARK: Sources that take the parser long

  private static let levels = """
    local levels = {}
    for level = 1, 60 do
      local names = {}
      for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
      levels[level] = "local " .. table.concat(names, ",") .. "\\nlocal function f() "
    end
    local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
    """

  /// Refused, with the line; and a text of a megabyte that is only long is not.
  private static func source(_ name: String, _ text: String, _ error: String) -> HostileScript {
    fails(name, "\(levels)\nassert(load(\(text), '@big.lua'))", error, memory: "256mb")
  }

  static let sources: [HostileScript] = [
    source(
      "constants looked for in the depth", "'local K <const> = 1\\n' .. deep(('z=K '):rep(240000))",
      "big.lua:62: too many names are looked for"),
    source(
      "globals looked for in the depth", "deep(('x() '):rep(240000))",
      "big.lua:61: too many names are looked for"),
    source(
      "names declared by functions",
      "('local function a() end '):rep(150):rep(40, 'local function f() ') .. ('x() '):rep(240000)",
      "big.lua:1: too many names are looked for"),
    source(
      "jumps without end", "'while x do ' .. ('break '):rep(160000) .. 'end'",
      "big.lua:1: a function has more than 10000"),
    source(
      "gotos without end", "('goto a '):rep(140000) .. '::a::'", "big.lua:1: a function has more than 10000"),
    source(
      "labels without end",
      "(function() local t = {} for i = 1, 30000 do t[i] = '::a' .. i .. '::;x=1 ' end return table.concat(t) end)()",
      "big.lua:1: a function has more than 10000"),
    source(
      "elseif without end", "'if a then ' .. ('elseif a then '):rep(70000) .. 'end'",
      "big.lua:1: a function has more than 10000"),
    source(
      "or without end", "'return ' .. ('a or '):rep(200000) .. 'a'",
      "big.lua:1: a function has more than 50000"),
    source(
      "a source of many megabytes", "('x = 1\\n'):rep(1000000)", "big.lua:1: a source is larger than 4 MiB"),
    source(
      "constants that fall together",
      "(function() local t = {} for i = 1, 70000 do t[i] = i * 131071 end return 'return {' .. table.concat(t, ',') .. '}' end)()",
      "hash alike"),
    well(
      "sources that are only long",
      #"""
      local row = "{ id = 1, name = 'end function do', [[function function]], --[==[ local a, b ]==] v = a and 1 or 2 },\n"
      assert(load("return {" .. row:rep(9000) .. "}")) assert(load(("local function f(a, b) return a or b end\n"):rep(150)))
      assert(load(("function f(a, b) for i = 1, 2 do if a then break elseif b then goto c end ::c:: end end\n"):rep(9000)))
      assert(load(("do local a, b, c = 1, 2, 3 x = a + b + c end\n"):rep(9000)))
      """#, memory: "256mb"),
    endless(
      "sources without end", "\(levels) local text = deep(('z=K '):rep(10000)) while true do load(text) end"),
  ]

  // MARK: Tables whose growth would take long

  static let growth: [HostileScript] = [
    fails(
      "keys that collide in the next size",
      "local t, k = {}, (1 << 18) - 1 for i = 1, 131072 do t[i * k] = 1 end t.x = 1",
      "hash alike", memory: "256mb"),
    fails(
      "keys that collide in the next size, in pcall",
      "local t, k = {}, (1 << 17) - 1 for i = 1, 65536 do t[i * k] = 1 end pcall(function() t.x = 1 end) t.y = 1",
      "hash alike", memory: "256mb"),
    fails(
      "negative keys that collide in the next size",
      "local t, k = {}, (1 << 17) - 1 for i = 1, 65536 do t[math.mininteger + 1 + (i * k * 2)] = 1 end t.x = 1",
      "hash alike", memory: "256mb"),
    fails(
      "keys that collide in a smaller size",
      "local t, k = {}, (1 << 16) - 1 for i = 1, 70000 do t['s' .. i] = 1 end for i = 1, 70000 do t['s' .. i] = nil end for i = 1, 65000 do t[i * k] = 1 end local n = 0 while n < 200000 do n = n + 1 t['n' .. n] = 1 t['n' .. n] = nil end",
      "hash alike", memory: "256mb"),
    fails(
      "keys that collide, moved by a library",
      "local t, k = {}, (1 << 18) - 1 for i = 1, 131072 do t[i * k] = 1 end rawset(t, 'x', 1)", "hash alike",
      memory: "256mb"),
    endless("floats that collide", "local t = {} for i = 1, 1e9 do t[1 + i * 2.0^-50] = i end"),
    well(
      "large tables of honest keys",
      "local t = {} for i = 1, 140000 do t[i * 1000 + 7] = i end local f = {} for i = 1, 70000 do f[1.7e9 + i / 50] = i end local s = {} for i = 1, 70000 do s[-i * 65536] = i end",
      memory: "256mb"),
  ]
}
