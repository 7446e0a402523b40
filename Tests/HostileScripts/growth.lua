Tables whose growth would take long.

--- keys that collide in the next size
-- error: hash alike
-- memory: 256mb
local t, k = {}, (1 << 18) - 1 for i = 1, 131072 do t[i * k] = 1 end t.x = 1

--- keys that collide in the next size, in pcall
-- error: hash alike
-- memory: 256mb
local t, k = {}, (1 << 17) - 1 for i = 1, 65536 do t[i * k] = 1 end pcall(function() t.x = 1 end) t.y = 1

--- negative keys that collide in the next size
-- error: hash alike
-- memory: 256mb
local t, k = {}, (1 << 17) - 1 for i = 1, 65536 do t[math.mininteger + 1 + (i * k * 2)] = 1 end t.x = 1

--- keys that collide in a smaller size
-- error: hash alike
-- memory: 256mb
local t, k = {}, (1 << 16) - 1 for i = 1, 70000 do t['s' .. i] = 1 end for i = 1, 70000 do t['s' .. i] = nil end for i = 1, 65000 do t[i * k] = 1 end local n = 0 while n < 200000 do n = n + 1 t['n' .. n] = 1 t['n' .. n] = nil end

--- keys that collide, moved by a library
-- error: hash alike
-- memory: 256mb
local t, k = {}, (1 << 18) - 1 for i = 1, 131072 do t[i * k] = 1 end rawset(t, 'x', 1)

--- floats that collide
-- error: timeout
-- endless
local t = {} for i = 1, 1e9 do t[1 + i * 2.0^-50] = i end

--- large tables of honest keys
-- memory: 256mb
local t = {} for i = 1, 140000 do t[i * 1000 + 7] = i end local f = {} for i = 1, 70000 do f[1.7e9 + i / 50] = i end local s = {} for i = 1, 70000 do s[-i * 65536] = i end
