Memory.

--- a table without end
-- error: memory
local t = {} for i = 1, math.huge do t[i] = string.rep('x', 1000) end

--- a string that doubles
-- error: memory
local s = 'x' while true do s = s .. s end

--- string.rep of gigabytes
-- error:
return string.rep('x', 1 << 33)

--- string.rep that overflows
-- error:
return string.rep('xy', math.maxinteger)

--- string.rep with a separator
-- error:
return string.rep('', 1 << 40, 'x')

--- string.format with a wide field
-- error:
return string.format('%99999d', 1)

--- format that grows
-- error:
local f = '' while true do f = f .. '%s' string.format(f, string.rep('x', 100)) end

--- many coroutines
-- error: memory
local t = {} while true do local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) t[#t + 1] = co end

--- many closures
-- error: memory
local t = {} while true do t[#t + 1] = function() return t end end

--- table.concat of gigabytes
-- error:
local t = {} for i = 1, 10000 do t[i] = string.rep('x', 100000) end return table.concat(t)

--- unpack of too much
-- error:
return table.unpack({}, 1, 1 << 40)

--- table.pack of too much
-- error:
return select('#', table.unpack({}, 1, 1e7 // 1 | 0))

--- gsub that grows
-- error:
local s = 'x' while true do s = s:gsub('.', '%0%0') end

--- memory taken in pcall
-- error:
while true do pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(10000) end end) end

--- an array of holes
-- error: k
local t = {} t[1 << 40] = 1 t[1] = 1 for i = 1, 60 do t[1 << i] = i end return { ctx:store('s'):put('k', t) }

--- utf8.char of a lot
local t = {} for i = 1, 100000 do t[i] = 0x10ffff end local s = utf8.char(table.unpack(t))
