Sources that take the parser long.

--- constants looked for in the depth
-- error: [load "big.lua"]:62: too many names are looked for
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load('local K <const> = 1\n' .. deep(('z=K '):rep(240000)), '@big.lua'))

--- globals looked for in the depth
-- error: [load "big.lua"]:61: too many names are looked for
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load(deep(('x() '):rep(240000)), '@big.lua'))

--- names declared by functions
-- error: [load "big.lua"]:1: too many names are looked for
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load(('local function a() end '):rep(150):rep(40, 'local function f() ') .. ('x() '):rep(240000), '@big.lua'))

--- jumps without end
-- error: [load "big.lua"]:1: a function has more than 10000
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load('while x do ' .. ('break '):rep(160000) .. 'end', '@big.lua'))

--- gotos without end
-- error: [load "big.lua"]:1: a function has more than 10000
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load(('goto a '):rep(140000) .. '::a::', '@big.lua'))

--- labels without end
-- error: [load "big.lua"]:1: a function has more than 10000
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load((function() local t = {} for i = 1, 30000 do t[i] = '::a' .. i .. '::;x=1 ' end return table.concat(t) end)(), '@big.lua'))

--- elseif without end
-- error: [load "big.lua"]:1: a function has more than 10000
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load('if a then ' .. ('elseif a then '):rep(70000) .. 'end', '@big.lua'))

--- or without end
-- error: [load "big.lua"]:1: a function has more than 50000
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load('return ' .. ('a or '):rep(200000) .. 'a', '@big.lua'))

--- a source of many megabytes
-- error: [load "big.lua"]:1: a source is larger than 4 MiB
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load(('x = 1\n'):rep(1000000), '@big.lua'))

--- constants that fall together
-- error: hash alike
-- memory: 256mb
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end
assert(load((function() local t = {} for i = 1, 70000 do t[i] = i * 131071 end return 'return {' .. table.concat(t, ',') .. '}' end)(), '@big.lua'))

--- sources that are only long
-- memory: 256mb
local row = "{ id = 1, name = 'end function do', [[function function]], --[==[ local a, b ]==] v = a and 1 or 2 },\n"
assert(load("return {" .. row:rep(9000) .. "}")) assert(load(("local function f(a, b) return a or b end\n"):rep(150)))
assert(load(("function f(a, b) for i = 1, 2 do if a then break elseif b then goto c end ::c:: end end\n"):rep(9000)))
assert(load(("do local a, b, c = 1, 2, 3 x = a + b + c end\n"):rep(9000)))

--- sources without end
-- error: timeout
-- endless
local levels = {}
for level = 1, 60 do
  local names = {}
  for i = 1, 190 do names[i] = "l" .. level .. "_" .. i end
  levels[level] = "local " .. table.concat(names, ",") .. "\nlocal function f() "
end
local function deep(text) return table.concat(levels) .. text .. ("end "):rep(60) end local text = deep(('z=K '):rep(10000)) while true do load(text) end
