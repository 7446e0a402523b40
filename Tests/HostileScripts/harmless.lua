Odd, and allowed.

--- weak tables are strong
local t = setmetatable({}, { __mode = 'k' }) t[{}] = 1 for i = 1, 1000 do local x = { i } end local n = 0 for k in next, t do n = n + 1 end assert(n == 1)

--- changes while iterating
local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do t[k] = nil end assert(next(t) == nil)

--- seeding the generator
math.randomseed(42) local a = math.random() math.randomseed(42) assert(a == math.random())

--- integers that wrap
assert(math.maxinteger + 1 == math.mininteger)

--- a return of nothing
return

--- a list of nothing
return {}
