import Testing
import TriggerLua

/// No state survives an execution, whatever a script keeps it in; and what is kept behaves as if new.
struct StateTests {
  static let counters: [(String, String)] = [
    ("assigned local", "local n = 0; local function f() n = n + 1; return n end"),
    ("table field", "local t = {n = 0}; local function f() t.n = t.n + 1; return t.n end"),
    ("nested table", "local t = {a = {b = {}}}; local function f() t.a.b[#t.a.b + 1] = 1; return #t.a.b end"),
    (
      "closure",
      "local function new() local c = 0; return function() c = c + 1; return c end end; local f = new()"
    ),
    ("module table", "local m = require 'lib.m'; local function f() m.n = (m.n or 0) + 1; return m.n end"),
    ("module closure", "local m = require 'lib.counter'; local f = m.count"),
    ("late require", "local function f() return require('lib.counter').count() end"),
    (
      "caught write",
      "local t = {n = 0}; local function f() pcall(function() t.n = t.n + 1 end); return t.n end"
    ),
    ("rawset", "local t = {n = 0}; local function f() rawset(t, 'n', t.n + 1); return t.n end"),
    (
      "memo in __index",
      "local t = setmetatable({}, {__index = function(t, k) t[k] = (t.n or 0) + 1; return t[k] end, n = 0});"
        + "local t2 = setmetatable({n = 0}, {__index = function(t, k) t.n = t.n + 1; t[k] = t.n; return t.n end});"
        + "local function f() return t2.x end"
    ),
    (
      "coroutine",
      "local c = coroutine.wrap(function() local i = 0; while true do i = i + 1; coroutine.yield(i) end end);"
        + "local function f() return c() end"
    ),
    (
      "metatable as store",
      "local C = {}; C.__index = C; local o = setmetatable({}, C);"
        + "local function f() local m = getmetatable(o); m.n = (m.n or 0) + 1; return o.n end"
    ),
    ("gmatch iterator", "local it = ('123'):gmatch('%d'); local function f() return it() + 0 end"),
    ("pairs iterator", "local step, t = pairs({7, 8, 9}); local function f() return (step(t, 0)) end"),
    (
      "iterator in a module", "local it = require('lib.digits'); local function f() return it() + 0 end"
    ),
    (
      "library as metatable",
      "local function f() local m = getmetatable(setmetatable({}, string));"
        + "pcall(function() m.n = (m.n or 0) + 1 end); pcall(rawset, m, 'n', (m.n or 0) + 1); return (m.n or 0) + 1 end"
    ),
    (
      "globals as metatable",
      "local function f() local m = getmetatable(setmetatable({}, _ENV));"
        + "pcall(function() m.leak = (m.leak or 0) + 1 end); return (leak or 0) + 1 end"
    ),
    (
      "library as metatable of what is kept",
      "local t = setmetatable({}, string);"
        + "local function f() pcall(function() getmetatable(t).n = 1 end); return #string.rep('x', (string.n or 0) + 1) end"
    ),
    ("own environment", "local print = print; local _ENV = {n = 0}; function f() n = n + 1; return n end"),
  ]

  /// Objects as keys go by the chunk that made them, executions last, and then as they were made: whatever was loaded on
  /// the worker before, in which order, and whether the chunks run anew.
  @Test(arguments: [[], ["first"], ["second", "first"], ["first", "second", "second"]], [false, true])
  func objectsAsKeysGoAsTheyWereMade(before: [String], isAnew: Bool) throws {
    let host = DictionaryHost()
    for name in ["a", "b", "c"] {
      host.files["lib/\(name).lua"] =
        "local two = {name = '\(name)2'} return {one = setmetatable({name = '\(name)3'}, {}), two = two}"
    }
    host.files["triggers/first.lua"] = "require 'lib.c' require 'lib.b' return {execute = function() end}"
    host.files["triggers/second.lua"] =
      "return {execute = function() return {}, require 'lib.b', require 'lib.a' end}"
    let source = """
      local b, a, runs = require 'lib.b', require 'lib.a', 0
      local mine = {name = 'mine'}
      return {execute = function(e, ctx)
        \(isAnew ? "runs = runs + 1" : "")
        local set, names = {[{name = 'late'}] = 1, [b.one] = 1, [mine] = 1, [a.one] = 1}, {}
        set[a.two], set[b.two], set[require('lib.c').one], set[{name = 'last'}] = 1, 1, 1, 1
        for o in pairs(set) do names[#names + 1] = o.name end
        local key
        for i = 1, #names do key = next(set, key) assert(key.name == names[i]) end
        return ctx:store('s'):put('k', table.concat(names, ' '))
      end}
      """
    _ = try host.load("return {execute = function() end}", path: "triggers/none.lua")
    let tree = host.newTree().new
    for name in before {
      _ = try host.run(try host.worker.load("triggers/\(name).lua", of: tree, limits: host.limits))
    }
    host.files["triggers/test.lua"] = source
    let trigger = try host.worker.load("triggers/test.lua", of: tree, limits: host.limits)
    let wanted = "a2 a3 b2 b3 c3 mine late last"
    for _ in 0..<3 {
      let value = try host.run(trigger)[0].value
      let bytes = Array(wanted.utf8).withUnsafeBytes { $0.hex }
      #expect(value == "78" + String(wanted.utf8.count, radix: 16) + bytes)
    }
  }

  /// A failed require can be caught, and a search finds any file: what chunks look for may lead back to them, or on for
  /// longer than the C stack goes.
  @Test func chunksThatLookForEachOtherGoOverToANewTree() throws {
    let host = DictionaryHost()
    host.files["lib/a.lua"] = "pcall(require, 'lib.b') return {}"
    host.files["lib/b.lua"] = "pcall(require, 'lib.a') return {}"
    for n in 0..<20_000 {
      host.files["n\(n).lua"] = "package.searchpath('n\(n + 1)', '?.lua') return \(n)"
    }
    let source = """
      pcall(require, 'triggers.test') require 'lib.a'
      for n = 19000, 0, -1 do require('n' .. n) end
      """
    host.limits.memoryBytes = 64 << 20
    let first = try host.load("\(source) return {execute = function() end}")
    _ = try host.run(first)
    let (old, new) = host.newTree()
    host.worker.adopt(into: new, from: old, changed: ["n19000.lua"])
    _ = try host.run(try host.worker.load("triggers/test.lua", of: new, limits: host.limits))
  }

  @Test(arguments: counters)
  func nothingSurvives(name: String, script: String) throws {
    let host = DictionaryHost()
    host.files["lib/m.lua"] = "return {}"
    host.files["lib/digits.lua"] = "return ('123'):gmatch('%d')"
    host.files["lib/counter.lua"] = "local n = 0; return {count = function() n = n + 1; return n end}"
    let trigger = try host.load(
      "\(script)\nreturn {execute = function(e, ctx) return ctx:store('s'):put('k', f()) end}")
    for _ in 0..<3 { #expect(try host.run(trigger)[0].value == "01", "\(name)") }
  }

  @Test func classesWorkWhenFrozen() throws {
    let host = DictionaryHost()
    host.files["lib/point.lua"] = """
      local Point = {}
      Point.__index = Point
      Point.__add = function(a, b) return Point.new(a.x + b.x) end
      Point.__len = function(p) return p.x end
      Point.__call = function(p, y) return p.x * y end
      function Point.new(x) return setmetatable({x = x}, Point) end
      function Point:twice() return self.x * 2 end
      Point.origin = Point.new(5)
      local Named = setmetatable({}, {__index = Point})
      Named.__index = Named
      function Named.new(x) local o = Point.new(x); return setmetatable(o, Named) end
      Point.Named = Named
      return Point
      """
    let trigger = try host.load(
      """
      local Point = require "lib.point"
      return { execute = function(e, ctx)
        local p = Point.new(1) + Point.origin
        assert(getmetatable(p) == Point and getmetatable(Point.origin) == Point)
        assert(Point.Named.new(4):twice() == 8)
        return ctx:store("s"):put("k", {p.x, p:twice(), #p, p(3), Point.origin:twice(), #Point.origin, Point.origin(2)})
      end }
      """)
    for _ in 0..<3 { #expect(try host.run(trigger)[0].value == "87060c06120a050a") }
  }

  @Test func logsOfAnAbandonedRunAppearOnce() throws {
    let host = DictionaryHost()
    let trigger = try host.load(
      "local t = {}; return {execute = function() print('a'); t.x = 1; print('b') end}")
    _ = try host.run(trigger)
    #expect(host.logs.map { $0.split(separator: " ")[2] } == ["a", "b"])
  }

  @Test func frozenTablesIterate() throws {
    let host = DictionaryHost()
    let trigger = try host.load(
      """
      local t = {10, 20, 30}
      return { execute = function(e, ctx)
        local n = 0
        for i, v in ipairs(t) do n = n + v * i end
        return ctx:store("s"):put("k", {n, #t})
      end }
      """)
    for _ in 0..<2 { #expect(try host.run(trigger)[0].value == "82188c03") }
  }

  @Test func globalsAndLibrariesAreReadOnly() {
    let host = DictionaryHost()
    #expect(host.failure("x = 1").hasPrefix("triggers/test.lua:2: global 'x' is read-only"))
    #expect(host.failure("print = 1").hasPrefix("triggers/test.lua:2: global 'print' is read-only"))
    #expect(host.failure("string.rep = 1").hasPrefix("triggers/test.lua:2: 'string.rep' is read-only"))
    #expect(host.failure("assert(undefined_name == nil)") == "")
  }

  @Test func markingAKeptTableIsAWrite() throws {
    let host = DictionaryHost()
    let trigger = try host.load(
      """
      local t = {}
      return { execute = function(e, ctx)
        local s = ctx:store("s")
        return { s:put("before", t), s:put("after", array(t)) }
      end }
      """)
    for _ in 0..<2 { #expect(try host.run(trigger).map(\.value) == ["a0", "80"]) }
  }
}
