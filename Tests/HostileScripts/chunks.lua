What a chunk sees, after one failed.

--- a module that fails, in pcall
-- memory: 64mb
local function fail() assert(not pcall(require, 'lib.fails')) end
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

--- a module that fails, in a coroutine
-- memory: 64mb
local function fail() assert(not coroutine.resume(coroutine.create(function() require 'lib.fails' end))) end
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

--- a module that fails, as a coroutine
-- memory: 64mb
local function fail() assert(not coroutine.resume(coroutine.create(require), 'lib.fails')) end
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

--- a module that fails, in wrap
-- memory: 64mb
local function fail() assert(not pcall(coroutine.wrap(function() require 'lib.fails' end))) end
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

--- a module that fails, two deep
-- memory: 64mb
local function fail() assert(not coroutine.resume(coroutine.create(function() require 'lib.needs' end))) end
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

--- a module that fails, in coroutines within coroutines
-- memory: 64mb
local function fail() assert(not coroutine.wrap(function() return coroutine.resume(coroutine.create(function() require 'lib.needs' end)) end)()) end
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

--- a module that fails, in a coroutine that is closed then
-- memory: 64mb
local function fail() local co = coroutine.create(function() require 'lib.closes' end) assert(not coroutine.resume(co)) local ok, e = coroutine.close(co) assert(not ok) end
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

--- a module that fails, in a coroutine that is closed later
-- memory: 64mb
local function fail() local co = coroutine.create(function() require 'lib.closes' end) assert(not coroutine.resume(co)) if last then coroutine.close(last) end end
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

--- a module that fails, in pcall after a yield
-- memory: 64mb
local function fail() local co = coroutine.wrap(function() pcall(function() coroutine.yield() require 'lib.fails' end) return 'done' end) co() assert(co() == 'done') end
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

--- a module that fails, in xpcall after a yield
-- memory: 64mb
local function fail() local co = coroutine.wrap(function() xpcall(function() coroutine.yield() require 'lib.needs' end, print) return 'done' end) co() assert(co() == 'done') end
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

--- a module that fails, in a __close
-- memory: 64mb
local function fail() pcall(function() local x <close> = setmetatable({}, { __close = function() require 'lib.fails' end }) end) end
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

--- a module that fails, in a __tostring
-- memory: 64mb
local function fail() pcall(tostring, setmetatable({}, { __tostring = function() require 'lib.fails' end })) end
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

--- a module that fails, while a deep stack ends
-- memory: 64mb
local function fail() local function f() pcall(f) require 'lib.fails' end pcall(f) end
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

--- a module that fails, in a comparator
-- memory: 64mb
local function fail() pcall(table.sort, { 1, 2, 3 }, function() require 'lib.fails' end) end
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

--- a module that fails, through another module
-- memory: 64mb
local function fail() pcall(require('lib.good').load) end
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

--- a module that loops in a coroutine
-- error: timeout
-- endless
coroutine.wrap(function() require 'lib.loops' end)()

--- modules that fail, for ever
-- error: timeout
-- endless
while true do coroutine.resume(coroutine.create(require), 'lib.needs') end
