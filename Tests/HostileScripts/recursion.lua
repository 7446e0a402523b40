Recursion.

--- deep recursion
-- error: endless recursion
local function f() return 1 + f() end return f()

--- deep recursion in pcall
-- error:
local function f() local ok, e = pcall(f) error(e) end f()

--- __index on itself
-- error: loop
local t = {} setmetatable(t, { __index = t }) return t.x

--- __tostring on itself
-- error:
local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) return tostring(t)

--- gsub in gsub in gsub
-- error:
local function f(s) return (s:gsub('.', f)) end return f('x')

--- sort in sort
-- error:
local function f() table.sort({ 1, 2 }, f) return true end f()

--- a deep source
-- error:
assert(load('return ' .. string.rep('(', 300) .. '1' .. string.rep(')', 300)))

--- a source of deep tables
-- error:
assert(load('return ' .. string.rep('{', 100000)))

--- a value nested deep
-- error: deep
local t = {} for i = 1, 100000 do t = { t } end return { ctx:store('s'):put('k', t) }

--- a value in itself
-- error:
local t = {} t.t = t return { ctx:store('s'):put('k', t) }

--- a pattern nested deep
-- error:
return string.find('x', string.rep('(', 100) .. 'x')
