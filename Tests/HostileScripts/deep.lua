Recursion, with room for some hundred thousand calls.

--- plain recursion
-- error: calls nested very deep: endless recursion?
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end plain(1)

--- plain recursion by two
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local f local function g() return 1 + f() end f = function() return 1 + g() end f()

--- plain recursion with varargs
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f(...) return 1 + f(1, ...) end f()

--- a loop in the depth
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() while true do end end)

--- pcall in the depth
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() while true do pcall(error) end end)

--- a level of error in the depth
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() while true do pcall(error, 'x', 149990) end end)

--- a level of error beyond the depth
-- error: far
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() error('far', 1 << 40) end)

--- tracebacks in the depth
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() while true do debug.traceback('x', 149000) end end)

--- logs in the depth
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() while true do warn('x') end end)

--- a giant message in the depth
-- error: xxx
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end at(150000, function() error(('x'):rep(10000000)) end)

--- its traceback
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local _, text = xpcall(plain, debug.traceback, 1) error(text, 0)

--- its tracebacks
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end while true do xpcall(plain, debug.traceback, 1) end

--- recursion that is caught
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end while true do pcall(plain, 1) end

--- recursion that is caught at every level
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() pcall(plain, 1) pcall(f) pcall(f) end f()

--- depth between protected calls
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f(n) if n == 150 then while true do end end return at(1500, function() return pcall(f, n + 1) end) end f(1)

--- recursion in a handler
-- error:
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end xpcall(error, plain, 1) error('after')

--- recursion in a handler of recursion
-- error:
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() xpcall(plain, f, 1) error('again') end xpcall(f, f) error('after')

--- recursion in a coroutine
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end coroutine.wrap(plain)(1)

--- the traceback of a coroutine
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local co = coroutine.create(plain) local _, text = coroutine.resume(co, 1) error(debug.traceback(co, text), 0)

--- coroutines in the depth of coroutines
-- error: C stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() return at(2000, function() return coroutine.wrap(f)() end) end f()

--- recursion through __call
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local t t = setmetatable({}, { __call = function() return 1 + t() end }) t()

--- __close at every level
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() local x <close> = setmetatable({}, { __close = function() end }) return (1 + f()) end f()

--- __close that fails at every level
-- error:
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() local x <close> = setmetatable({}, { __close = function() error('e') end }) return (1 + f()) end f()

--- __close that loops at every level
-- error:
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() local x <close> = setmetatable({}, { __close = function() while true do end end }) return (1 + f()) end f()

--- __close that recurs at every level
-- error:
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local function f() local x <close> = setmetatable({}, { __close = function() plain(1) end }) return (1 + f()) end f()

--- a read at every level
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end local s = ctx:store('s') local function f() s:get('k') return 1 + f() end f()

--- recursion in a comparator
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end table.sort({ 1, 2, 3 }, function() return plain(1) > 0 end)

--- recursion in gsub
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end (('x'):rep(9)):gsub('.', function() plain(1) end)

--- recursion caught in gsub
-- error: timeout
-- endless
-- timeout: 500ms
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end (('x'):rep(100000)):gsub('.', function() pcall(plain, 1) end)

--- a giant name of a chunk
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end load('local function f() return 1 + f() end f()', '=' .. ('n'):rep(1000000))()

--- a deep source, and what it gives
-- error: stack overflow
-- memory: 256mb
local function plain(n) return 1 + plain(n + 1) end local function at(n, f) if n == 0 then return f() end return 1 + at(n - 1, f) end load('local function f() return 1 + f() end f()', '@x.lua')()
