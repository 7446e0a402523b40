What is kept between executions is what a chunk that runs anew would have made.

--- the length of constant tables with holes
-- head: local lengths = { {nil, nil, 3}, {1, nil, 3}, {1, nil, 3, nil}, {nil, nil, "c", nil, "e", nil}, {n = 1, nil, 2}, {[1] = 1, [2] = 2, [4] = 4}, {nil, 2, [7] = 7, x = 1} }
-- head: for i = 1, 40 do local t = {} for j = 1, i do t[j] = j end for j = 1, i, 3 do t[j] = nil end lengths[#lengths + 1] = t end
local own = { {nil, nil, 3}, {1, nil, 3}, {1, nil, 3, nil}, {nil, nil, "c", nil, "e", nil}, {n = 1, nil, 2}, {[1] = 1, [2] = 2, [4] = 4}, {nil, 2, [7] = 7, x = 1} }
for i = 1, 40 do local t = {} for j = 1, i do t[j] = j end for j = 1, i, 3 do t[j] = nil end own[#own + 1] = t end
for i, t in ipairs(own) do
  local kept = lengths[i]
  assert(#kept == #t and rawlen(kept) == #t, i)
  assert(select("#", table.unpack(kept)) == select("#", table.unpack(t)), i)
  local ok = pcall(table.concat, kept)
  assert(ok == pcall(table.concat, t), i)
end

--- a table whose length is out of proportion
-- head: local sparse = {} for i = 0, 40 do sparse[1 << i] = i end sparse[3] = 3
assert(#sparse > 0 and sparse[1 << 40] == 40)

--- __mode and __gc set later mean nothing, and stay to be read
-- memory: 64mb
-- head: local mt = {} local object = setmetatable({ 1 }, mt) mt.__mode = "kv" mt.__gc = function() error("never") end object[{}] = {}
local own = {}
local t = setmetatable({}, own)
own.__mode, own.__gc = "kv", print
for i = 1, 10 do t[i] = { i } end
for i = 1, 300 do local junk = ("x"):rep(100000) .. i end
assert(#t == 10 and own.__mode == "kv" and own.__gc == print)
local mt = getmetatable(object)
assert(mt.__mode == "kv" and rawget(mt, "__mode") == "kv" and type(mt.__gc) == "function")
local n = 0
for k, v in pairs(object) do n = n + 1 end
assert(n == 2)
assert(getmetatable(setmetatable({}, { __mode = "k" })).__mode == "k")

--- __close, __metatable and __name set later are found where they are used
-- head: local mt = {} local object = setmetatable({}, mt) local seen = {} mt.__close = function() return 1 end mt.__name = "Later" mt.__metatable = "hidden"
assert(tostring(object) == "Later" and getmetatable(object) == "hidden" and not pcall(setmetatable, object, {}))
do local x <close> = object end
local own = {}
local t, closed = setmetatable({}, own), false
own.__close, own.__name = function() closed = true end, "Own"
do local x <close> = t end
assert(closed and tostring(t) == "Own")
own.__metatable = false
assert(getmetatable(t) == false and not pcall(setmetatable, t, {}))

--- neither errors nor tracebacks show that a kept table stands behind a guard
-- head: local function make() return { strict = setmetatable({ known = 1 }, { __index = function(t, k) error("no " .. k, 2) end, __newindex = function(t, k) error("not " .. k, 2) end }), trace = setmetatable({ known = 1 }, { __index = function(t, k) return debug.traceback("here") end, __newindex = function(t, k, v) v.trace = debug.traceback("there") end }) } end local kept = make()
local function probe(t)
  local box = {}
  t.trace.x = box
  return table.concat({
    t.strict.known, t.trace.unknown, box.trace,
    select(2, pcall(function() return t.strict.unknown end)), select(2, pcall(function() t.strict.unknown = 1 end)),
    (select(2, xpcall(function() return t.strict.unknown end, debug.traceback))),
  }, "\n")
end
local mine, theirs = probe(make()), probe(kept)
assert(mine == theirs, mine .. "\n--- kept:\n" .. theirs)
assert(mine:find("in metamethod 'index'", 1, true) and mine:find("in metamethod 'newindex'", 1, true), mine)

--- calls through a kept table nest as deep as through another
-- head: local function make() return setmetatable({ known = 1 }, { __index = function(t, k) if k == 0 then return 0 end return 1 + t[k - 1] end }) end local kept = make()
local function probe(t)
  local seen = {}
  for _, depth in ipairs { 1, 90, 110, 180, 300 } do
    local ok, how = pcall(function() return t[depth] end)
    seen[#seen + 1] = tostring(ok) .. tostring(how)
  end
  return table.concat(seen, "\n")
end
local mine = probe(make())
assert(mine == probe(kept) and mine:find("^true1\ntrue90\ntrue110\ntrue180\nfalse.*C stack overflow"), mine)

--- a coroutine yields through a kept table
-- head: local function make() return setmetatable({ known = 1 }, { __index = function(t, k) assert(coroutine.isyieldable()) return coroutine.yield(k) end, __newindex = function(t, k, v) coroutine.yield(v) end }) end local kept = make()
local function probe(t)
  local co = coroutine.wrap(function() t.new = 7 return t.old end)
  return table.concat({ co(), co(), co("answer") }, " ")
end
assert(probe(make()) == "7 old answer" and probe(kept) == "7 old answer")

--- a chain of kept classes is as long as another
-- head: local function make(n) local t = { last = n } for i = 1, n do t = setmetatable({}, { __index = t }) end return t end local short, long = make(1500), make(2100)
assert(short.last == 1500 and make(1500).last == 1500)
assert(not pcall(function() return long.last end) and not pcall(function() return make(2100).last end))
