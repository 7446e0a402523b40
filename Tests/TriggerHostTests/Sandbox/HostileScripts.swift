import Testing

/// Scripts that mean harm, or are broken beyond hope. Each is the body of `execute(event, ctx)`.
struct HostileScript: Sendable, CustomTestStringConvertible {
  var name: String
  var body: String
  /// A piece of the error; nil: it ends well.
  var error: String?
  /// It does not end by itself.
  var isEndless = false
  /// When what makes it hostile needs more than the others get.
  var timeout: String?
  var memory: String?
  /// What stands above the table that the script returns.
  var head = ""

  var testDescription: String { name }

  static let all: [HostileScript] =
    endless + memory + held + recursion + deep + nested + errors + escapes + values + harmless + internals

  private static func endless(_ name: String, _ body: String) -> HostileScript {
    HostileScript(name: name, body: body, error: "timeout", isEndless: true)
  }

  // MARK: Without end

  static let endless: [HostileScript] = [
    endless(
      "what cannot be stored, at great length",
      "local t = {} for i = 1, 60 do t = { a = t, b = t } end while true do pcall(function() ctx:store('s'):put('k', { t, print }) end) end"
    ),
    endless("a plain loop", "while true do end"),
    endless("a loop with goto", "::again:: goto again"),
    endless("a numeric for over all integers", "for i = math.mininteger, math.maxinteger do end"),
    endless("repeat until false", "repeat until false"),
    endless("pcall around a loop", "while true do pcall(function() while true do end end) end"),
    endless(
      "xpcall with an endless handler", "xpcall(function() error('x') end, function() while true do end end)"),
    endless(
      "xpcall again and again",
      "while true do xpcall(function() while true do end end, function(e) return e end) end"),
    endless(
      "a handler that fails for ever", "while true do xpcall(error, function() error('again') end) end"),
    endless("a coroutine that never yields", "coroutine.wrap(function() while true do end end)()"),
    endless(
      "coroutines within coroutines",
      """
      local function deeper(n) return coroutine.wrap(function() if n == 0 then while true do end end deeper(n - 1) end)() end
      deeper(20)
      """),
    endless(
      "a coroutine resumed for ever",
      "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end"),
    endless(
      "pcall in a coroutine in pcall",
      "pcall(function() local co = coroutine.create(function() pcall(function() while true do end end) end) while true do coroutine.resume(co) co = coroutine.create(function() while true do end end) end end)"
    ),
    endless(
      "__index that loops",
      "local t = setmetatable({}, { __index = function() while true do end end }) return t.x"),
    endless(
      "__newindex that loops", "setmetatable({}, { __newindex = function() while true do end end }).x = 1"),
    endless(
      "__eq that loops",
      "local m = { __eq = function() while true do end end } return setmetatable({}, m) == setmetatable({}, m)"
    ),
    endless(
      "__lt in a sort",
      "local m = { __lt = function() while true do end end } table.sort({ setmetatable({}, m), setmetatable({}, m) })"
    ),
    endless(
      "__concat that loops", "return setmetatable({}, { __concat = function() while true do end end }) .. 'x'"
    ),
    endless("__len that loops", "return #setmetatable({}, { __len = function() while true do end end })"),
    endless("__call that loops", "setmetatable({}, { __call = function() while true do end end })()"),
    endless(
      "__call that leads back to itself", "local m = {} local t = setmetatable({}, m) m.__call = t pcall(t)"),
    endless("__unm that loops", "return -setmetatable({}, { __unm = function() while true do end end })"),
    endless(
      "__close that loops",
      "local t <close> = setmetatable({}, { __close = function() while true do end end }) error('x')"),
    endless(
      "__close in a coroutine that is closed",
      """
      local co = coroutine.create(function()
        local t <close> = setmetatable({}, { __close = function() while true do end end })
        coroutine.yield()
      end)
      coroutine.resume(co) coroutine.close(co)
      """),
    endless(
      "__pairs that loops",
      "for k in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end"),
    endless("a comparator that loops", "table.sort({ 3, 1, 2 }, function() while true do end end)"),
    endless(
      "a comparator that contradicts itself, often",
      "while true do pcall(table.sort, { 3, 1, 2, 5, 4, 9, 7 }, function() return true end) end"),
    endless("gsub with an endless callback", "string.gsub('abc', '.', function() while true do end end)"),
    endless("gmatch without progress", "while true do for w in string.gmatch('', '') do end end"),
    endless(
      "a pattern that backtracks",
      "string.find(string.rep('a', 28), string.rep('a?', 28) .. string.rep('a', 28))"),
    endless("the same in pcall", "pcall(string.find, string.rep('a', 30), string.rep('a*', 20) .. 'b')"),
    endless("a pattern over a long text", "string.match(string.rep('a', 200000), '.-.-.-.-b')"),
    endless("%b over a long text", "while true do string.find(string.rep('(', 100000), '%b()') end"),
    endless("table.move over a huge range", "table.move({}, 1, 1 << 50, 2)"),
    endless(
      "table.concat over a huge range",
      "table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 50)"),
    endless(
      "table.insert in a table that claims a length",
      "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 'x')"),
    endless(
      "table.remove from a table that claims a length",
      "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)"),
    endless("load with an endless reader", "load(function() return ' ' end)"),
    endless("a reader that loops", "load(function() while true do end end)"),
    endless("os.time in a loop", "local start = os.time() while os.time() == start do end"),
    endless("os.clock in a loop", "while os.clock() < 1e9 do end"),
    endless("reads for ever", "local s = ctx:store('s') while true do s:get('k') end"),
    endless("scans for ever", "local s = ctx:store('s') while true do for k in s:scan('') do end end"),
    endless("logs for ever", "while true do ctx:log('info', 'x') end"),
    endless("prints for ever", "while true do print('x') end"),
  ]

  // MARK: Memory

  static let memory: [HostileScript] = [
    HostileScript(
      name: "a table without end",
      body: "local t = {} for i = 1, math.huge do t[i] = string.rep('x', 1000) end", error: "memory"),
    HostileScript(
      name: "a string that doubles", body: "local s = 'x' while true do s = s .. s end", error: "memory"),
    HostileScript(name: "string.rep of gigabytes", body: "return string.rep('x', 1 << 33)", error: ""),
    HostileScript(
      name: "string.rep that overflows", body: "return string.rep('xy', math.maxinteger)", error: ""),
    HostileScript(
      name: "string.rep with a separator", body: "return string.rep('', 1 << 40, 'x')", error: ""),
    HostileScript(
      name: "string.format with a wide field", body: "return string.format('%99999d', 1)", error: ""),
    HostileScript(
      name: "format that grows",
      body: "local f = '' while true do f = f .. '%s' string.format(f, string.rep('x', 100)) end", error: ""),
    HostileScript(
      name: "many coroutines",
      body:
        "local t = {} while true do local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) t[#t + 1] = co end",
      error: "memory"),
    HostileScript(
      name: "many closures", body: "local t = {} while true do t[#t + 1] = function() return t end end",
      error: "memory"),
    HostileScript(
      name: "table.concat of gigabytes",
      body: "local t = {} for i = 1, 10000 do t[i] = string.rep('x', 100000) end return table.concat(t)",
      error: ""),
    HostileScript(name: "unpack of too much", body: "return table.unpack({}, 1, 1 << 40)", error: ""),
    HostileScript(
      name: "table.pack of too much", body: "return select('#', table.unpack({}, 1, 1e7 // 1 | 0))", error: ""
    ),
    HostileScript(
      name: "gsub that grows", body: "local s = 'x' while true do s = s:gsub('.', '%0%0') end", error: ""),
    HostileScript(
      name: "memory taken in pcall",
      body:
        "while true do pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(10000) end end) end",
      error: ""),
    HostileScript(
      name: "an array of holes",
      body:
        "local t = {} t[1 << 40] = 1 t[1] = 1 for i = 1, 60 do t[1 << i] = i end return { ctx:store('s'):put('k', t) }",
      error: "k"),
    HostileScript(
      name: "utf8.char of a lot",
      body: "local t = {} for i = 1, 100000 do t[i] = 0x10ffff end local s = utf8.char(table.unpack(t))",
      error: nil),
  ]

  static let held: [HostileScript] = [
    HostileScript(
      name: "reads of many keys",
      body: "local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:get('key number ' .. i) end",
      error: "memory"),
    HostileScript(
      name: "many scans",
      body: "local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:scan('prefix ' .. i) end",
      error: "memory"),
    HostileScript(
      name: "many counts",
      body: "local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:count('prefix ' .. i) end",
      error: "memory"),
    HostileScript(
      name: "long log lines", body: "local text = string.rep('x', 60000) while true do print(text) end",
      error: "memory"),
    HostileScript(
      name: "log lines with large fields",
      body: "local text = string.rep('x', 900000) while true do ctx:log('info', 'x', { text = text }) end",
      error: "memory"),
  ]

  // MARK: Recursion

  static let recursion: [HostileScript] = [
    HostileScript(
      name: "deep recursion", body: "local function f() return 1 + f() end return f()",
      error: "endless recursion"),
    HostileScript(
      name: "deep recursion in pcall", body: "local function f() local ok, e = pcall(f) error(e) end f()",
      error: ""),
    HostileScript(
      name: "__index on itself", body: "local t = {} setmetatable(t, { __index = t }) return t.x",
      error: "loop"),
    HostileScript(
      name: "__tostring on itself",
      body:
        "local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) return tostring(t)",
      error: ""),
    HostileScript(
      name: "gsub in gsub in gsub", body: "local function f(s) return (s:gsub('.', f)) end return f('x')",
      error: ""),
    HostileScript(
      name: "sort in sort", body: "local function f() table.sort({ 1, 2 }, f) return true end f()", error: ""),
    HostileScript(
      name: "a deep source",
      body: "assert(load('return ' .. string.rep('(', 300) .. '1' .. string.rep(')', 300)))", error: ""),
    HostileScript(
      name: "a source of deep tables", body: "assert(load('return ' .. string.rep('{', 100000)))", error: ""),
    HostileScript(
      name: "a value nested deep",
      body: "local t = {} for i = 1, 100000 do t = { t } end return { ctx:store('s'):put('k', t) }",
      error: "deep"),
    HostileScript(
      name: "a value in itself", body: "local t = {} t.t = t return { ctx:store('s'):put('k', t) }", error: ""
    ),
    HostileScript(
      name: "a pattern nested deep", body: "return string.find('x', string.rep('(', 100) .. 'x')", error: ""),
  ]

  // MARK: Recursion, with room for some hundred thousand calls

  /// Ends with the error; or, endless, is ended in the depth.
  private static func deep(
    _ name: String, _ body: String, error: String = "stack overflow", isEndless: Bool = false,
    timeout: String? = nil
  ) -> HostileScript {
    let plain = "local function plain(n) return 1 + plain(n + 1) end"
    let at = "local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end"
    return HostileScript(
      name: name, body: "\(plain) \(at) \(body)", error: isEndless ? "timeout" : error,
      isEndless: isEndless, timeout: timeout ?? (isEndless ? "500ms" : nil), memory: "256mb")
  }

  static let deep: [HostileScript] = [
    deep("plain recursion", "plain(1)", error: "calls nested very deep: endless recursion?"),
    deep(
      "plain recursion by two",
      "local f local function g() return 1 + f() end f = function() return 1 + g() end f()"),
    deep("plain recursion with varargs", "local function f(...) return 1 + f(1, ...) end f()"),
    deep("a loop in the depth", "at(150000, function() while true do end end)", isEndless: true),
    deep(
      "pcall in the depth", "at(150000, function() while true do pcall(error) end end)", isEndless: true),
    deep(
      "a level of error in the depth",
      "at(150000, function() while true do pcall(error, 'x', 149990) end end)", isEndless: true),
    deep(
      "a level of error beyond the depth", "at(150000, function() error('far', 1 << 40) end)", error: "far"),
    deep(
      "tracebacks in the depth",
      "at(150000, function() while true do debug.traceback('x', 149000) end end)", isEndless: true),
    deep("logs in the depth", "at(150000, function() while true do warn('x') end end)", isEndless: true),
    deep(
      "a giant message in the depth", "at(150000, function() error(('x'):rep(10000000)) end)", error: "xxx"),
    deep("its traceback", "local _, text = xpcall(plain, debug.traceback, 1) error(text, 0)"),
    deep("its tracebacks", "while true do xpcall(plain, debug.traceback, 1) end", isEndless: true),
    deep("recursion that is caught", "while true do pcall(plain, 1) end", isEndless: true),
    deep(
      "recursion that is caught at every level",
      "local function f() pcall(plain, 1) pcall(f) pcall(f) end f()", isEndless: true),
    deep(
      "depth between protected calls",
      "local function f(n) if n == 150 then while true do end end return at(1500, function() return pcall(f, n + 1) end) end f(1)",
      isEndless: true),
    deep("recursion in a handler", "xpcall(error, plain, 1) error('after')", error: "", timeout: "500ms"),
    deep(
      "recursion in a handler of recursion",
      "local function f() xpcall(plain, f, 1) error('again') end xpcall(f, f) error('after')", error: "",
      timeout: "500ms"),
    deep("recursion in a coroutine", "coroutine.wrap(plain)(1)"),
    deep(
      "the traceback of a coroutine",
      "local co = coroutine.create(plain) local _, text = coroutine.resume(co, 1) error(debug.traceback(co, text), 0)"
    ),
    deep(
      "coroutines in the depth of coroutines",
      "local function f() return at(2000, function() return coroutine.wrap(f)() end) end f()",
      error: "C stack overflow"),
    deep(
      "recursion through __call",
      "local t t = setmetatable({}, { __call = function() return 1 + t() end }) t()"),
    deep(
      "__close at every level",
      "local function f() local x <close> = setmetatable({}, { __close = function() end }) return (1 + f()) end f()"
    ),
    deep(
      "__close that fails at every level",
      "local function f() local x <close> = setmetatable({}, { __close = function() error('e') end }) return (1 + f()) end f()",
      error: "", timeout: "500ms"),
    deep(
      "__close that loops at every level",
      "local function f() local x <close> = setmetatable({}, { __close = function() while true do end end }) return (1 + f()) end f()",
      error: "", timeout: "500ms"),
    deep(
      "__close that recurs at every level",
      "local function f() local x <close> = setmetatable({}, { __close = function() plain(1) end }) return (1 + f()) end f()",
      error: "", timeout: "500ms"),
    deep(
      "a read at every level", "local s = ctx:store('s') local function f() s:get('k') return 1 + f() end f()"
    ),
    deep(
      "recursion in a comparator", "table.sort({ 1, 2, 3 }, function() return plain(1) > 0 end)"),
    deep("recursion in gsub", "(('x'):rep(9)):gsub('.', function() plain(1) end)"),
    deep(
      "recursion caught in gsub", "(('x'):rep(100000)):gsub('.', function() pcall(plain, 1) end)",
      isEndless: true),
    deep(
      "a giant name of a chunk",
      "load('local function f() return 1 + f() end f()', '=' .. ('n'):rep(1000000))()"),
    deep("a deep source, and what it gives", "load('local function f() return 1 + f() end f()', '@x.lua')()"),
  ]

  /// Recursion through what Lua and the libraries call: nested C calls.
  static let nested: [HostileScript] = [
    ("__index", "__index = function(t, k) return t[k] end", "t.x"),
    ("__index with ever longer keys", "__index = function(t, k) return t[k .. 'x'] end", "t.x"),
    ("__newindex", "__newindex = function(t, k, v) t[k] = v end", "(function() t.x = 1 end)()"),
    ("__concat", "__concat = function(a, b) return a .. b end", "t .. 'x'"),
    ("__tostring", "__tostring = function(t) return tostring(t) end", "tostring(t)"),
    ("__eq", "__eq = function(a, b) return a == b end", "t == setmetatable({}, m)"),
    ("__lt", "__lt = function(a, b) return a < b end", "t < t"),
    ("__len", "__len = function(t) return #t end", "#t"),
    ("__unm", "__unm = function(t) return -t end", "-t"),
    ("__pairs", "__pairs = function(t) return pairs(t) end", "pairs(t)"),
    (
      "__index in table.concat", "__index = function(t) return table.concat(t, '', 1, 3) end",
      "table.concat(t, '', 1, 3)"
    ),
    ("__len in table.insert", "__len = function(t) table.insert(t, 1) end", "table.insert(t, 1)"),
    ("__index in unpack", "__index = function(t) return table.unpack(t, 1, 2) end", "table.unpack(t, 1, 2)"),
  ].map { name, field, use in
    HostileScript(
      name: "recursion through \(name)",
      body: "local m = {} local t = setmetatable({}, m) m.\(field)\nreturn \(use)",
      error: "C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:")
  }

  // MARK: Errors of any kind

  static let errors: [HostileScript] = [
    HostileScript(
      name: "__tostring of an error that loops",
      body: "error(setmetatable({}, { __tostring = function() while true do end end }))",
      error: "__tostring failed"),
    HostileScript(
      name: "prepares for ever", body: "local s = ctx:store('s') while true do s:put('k', 1) end",
      error: "intents"),
    HostileScript(name: "error of nil", body: "error()", error: ""),
    HostileScript(name: "error of a table", body: "error({ code = 1 })", error: ""),
    HostileScript(name: "error of a function", body: "error(print)", error: ""),
    HostileScript(name: "error of a coroutine", body: "error(coroutine.create(print))", error: ""),
    HostileScript(name: "a giant message", body: "error(string.rep('x', 1000000))", error: "xxx"),
    HostileScript(name: "a message with zeros and escapes", body: "error('a\\0b\\27[2J\\255')", error: "a"),
    HostileScript(
      name: "a table whose __tostring fails",
      body: "error(setmetatable({}, { __tostring = function() error('inner') end }))", error: ""),
    HostileScript(
      name: "a table whose __tostring gives no string",
      body: "error(setmetatable({}, { __tostring = function() return {} end }))", error: ""),
    HostileScript(
      name: "an error in a coroutine", body: "coroutine.wrap(function() error('inside') end)()",
      error: "inside"),
    HostileScript(
      name: "an error while closing",
      body: "local t <close> = setmetatable({}, { __close = function() error('closing') end })",
      error: "closing"),
    HostileScript(name: "yield outside of a coroutine", body: "coroutine.yield()", error: "yield"),
    HostileScript(name: "assert of a table", body: "assert(false, {})", error: ""),
    HostileScript(name: "division by zero", body: "return 1 // 0", error: "zero"),
  ]

  // MARK: Ways out

  static let escapes: [HostileScript] = [
    HostileScript(name: "a global", body: "leak = 1", error: "hostile0.lua:2"),
    HostileScript(name: "a global through _G", body: "_G.leak = 1", error: ""),
    HostileScript(name: "a global through rawset", body: "rawset(_G or _ENV, 'leak', 1)", error: ""),
    HostileScript(name: "a function of string replaced", body: "string.rep = nil", error: ""),
    HostileScript(
      name: "a function of string replaced through its metatable", body: "getmetatable('').__index.rep = nil",
      error: ""),
    HostileScript(
      name: "a library written to as a metatable", body: "getmetatable(setmetatable({}, string)).rep = nil",
      error: "read-only"),
    HostileScript(
      name: "globals written to as a metatable", body: "getmetatable(setmetatable({}, _ENV)).leak = 1",
      error: "read-only"),
    HostileScript(name: "setmetatable on _ENV", body: "setmetatable(_ENV, {})", error: ""),
    HostileScript(name: "bytecode", body: "assert(load('\\27Lua', 'x', 'b'))", error: ""),
    HostileScript(name: "bytecode in text mode", body: "assert(load('\\27Lua'))", error: ""),
    HostileScript(name: "string.dump", body: "string.dump(print)", error: ""),
    HostileScript(name: "debug", body: "debug.sethook()", error: "field 'sethook'"),
    HostileScript(name: "io", body: "io.open('/etc/passwd')", error: "field 'open'"),
    HostileScript(name: "os.execute", body: "os.execute('true')", error: "execute"),
    HostileScript(name: "os.exit", body: "os.exit()", error: "exit"),
    HostileScript(
      name: "package", body: "package.loaded.math = { random = 1 }",
      error: "package.loaded.math cannot be set"),
    HostileScript(
      name: "package path", body: "package.path = '/?.lua'", error: "'package.path' is read-only"),
    HostileScript(name: "dofile", body: "dofile('/etc/passwd')", error: "dofile"),
    HostileScript(name: "require of a path", body: "require '../../etc/passwd'", error: ""),
    HostileScript(name: "require of nothing", body: "require 'lib.none'", error: "lib"),
    HostileScript(name: "collectgarbage", body: "collectgarbage('stop')", error: "collectgarbage"),
    HostileScript(name: "__gc", body: "setmetatable({}, { __gc = function() end })", error: "__gc"),
    HostileScript(name: "a frozen module", body: "table.insert(string, 1)", error: ""),
  ]

  // MARK: Results nobody can use

  static let values: [HostileScript] = [
    HostileScript(
      name: "a function as a value", body: "return { ctx:store('s'):put('k', { a = { print } }) }",
      error: "a[1]"),
    HostileScript(name: "a mixed table", body: "return { ctx:store('s'):put('k', { 1, x = 2 }) }", error: ""),
    HostileScript(
      name: "a table with holes", body: "return { ctx:store('s'):put('k', { 1, nil, 3 }) }", error: ""),
    HostileScript(name: "a number as a result", body: "return 5", error: ""),
    HostileScript(name: "text as a result", body: "return 'intents'", error: ""),
    HostileScript(
      name: "a made-up intent", body: "return { { kind = 'put', store = 's', key = 'k', value = 1 } }",
      error: ""),
    HostileScript(
      name: "a key that is no string", body: "return { ctx:store('s'):put({}, 1) }", error: "key"),
    HostileScript(
      name: "a key that is not text", body: "return { ctx:store('s'):put('\\xff', 1) }", error: "UTF-8"),
    HostileScript(
      name: "a field that is not text", body: "return { ctx:store('s'):put('k', { ['\\xff'] = 1 }) }",
      error: "UTF-8"),
    HostileScript(
      name: "an event whose name is not text", body: "return { ctx:emit('\\xff', {}) }", error: "UTF-8"),
    HostileScript(name: "a store whose name is not text", body: "return ctx:store('\\xff')", error: "UTF-8"),
    HostileScript(
      name: "append to beyond the depth",
      body:
        "local t = {} for i = 1, 63 do t = { t } end return { ctx:store('s'):append('k', t) }",
      error: "nested deeper than 64"),
    HostileScript(name: "an empty key", body: "return { ctx:store('s'):put('', 1) }", error: "key"),
    HostileScript(
      name: "a giant key", body: "return { ctx:store('s'):put(string.rep('k', 1 << 22), 1) }", error: "key"),
    HostileScript(
      name: "a giant value", body: "return { ctx:store('s'):put('k', string.rep('v', 1 << 22)) }", error: ""),
    HostileScript(
      name: "too many intents",
      body: "local t = {} for i = 1, 20000 do t[i] = ctx:store('s'):put('k', i) end return t",
      error: "intents"),
    HostileScript(
      name: "too many emits", body: "local t = {} for i = 1, 2000 do t[i] = ctx:emit('e', {}) end return t",
      error: "emits"),
    HostileScript(name: "a store without a name", body: "return ctx:store('')", error: "store"),
    HostileScript(name: "a method that is not there", body: "ctx:stroe('s')", error: "store"),
    HostileScript(
      name: "a seq that was not read", body: "return { ctx:store('s'):prepare_commit(7, {}) }",
      error: "was not read"),
    HostileScript(
      name: "add on a string", body: "local s = ctx:store('s') return { s:put('t', 'x'), s:add('t', 1) }",
      error: "add"),
  ]

  // MARK: Odd, and allowed

  static let harmless: [HostileScript] = [
    HostileScript(
      name: "weak tables are strong",
      body:
        "local t = setmetatable({}, { __mode = 'k' }) t[{}] = 1 for i = 1, 1000 do local x = { i } end local n = 0 for k in next, t do n = n + 1 end assert(n == 1)",
      error: nil),
    HostileScript(
      name: "changes while iterating",
      body: "local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do t[k] = nil end assert(next(t) == nil)",
      error: nil),
    HostileScript(
      name: "seeding the generator",
      body: "math.randomseed(42) local a = math.random() math.randomseed(42) assert(a == math.random())",
      error: nil),
    HostileScript(
      name: "integers that wrap", body: "assert(math.maxinteger + 1 == math.mininteger)", error: nil),
    HostileScript(name: "a return of nothing", body: "return", error: nil),
    HostileScript(name: "a list of nothing", body: "return {}", error: nil),
  ]
}
