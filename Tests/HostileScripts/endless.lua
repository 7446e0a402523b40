Without end.

--- what cannot be stored, at great length
-- error: timeout
-- endless
local t = {} for i = 1, 60 do t = { a = t, b = t } end while true do pcall(function() ctx:store('s'):put('k', { t, print }) end) end

--- a plain loop
-- error: timeout
-- endless
while true do end

--- a loop with goto
-- error: timeout
-- endless
::again:: goto again

--- a numeric for over all integers
-- error: timeout
-- endless
for i = math.mininteger, math.maxinteger do end

--- repeat until false
-- error: timeout
-- endless
repeat until false

--- pcall around a loop
-- error: timeout
-- endless
while true do pcall(function() while true do end end) end

--- xpcall with an endless handler
-- error: timeout
-- endless
xpcall(function() error('x') end, function() while true do end end)

--- xpcall again and again
-- error: timeout
-- endless
while true do xpcall(function() while true do end end, function(e) return e end) end

--- a handler that fails for ever
-- error: timeout
-- endless
while true do xpcall(error, function() error('again') end) end

--- a coroutine that never yields
-- error: timeout
-- endless
coroutine.wrap(function() while true do end end)()

--- coroutines within coroutines
-- error: timeout
-- endless
local function deeper(n) return coroutine.wrap(function() if n == 0 then while true do end end deeper(n - 1) end)() end
deeper(20)

--- a coroutine resumed for ever
-- error: timeout
-- endless
local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end

--- pcall in a coroutine in pcall
-- error: timeout
-- endless
pcall(function() local co = coroutine.create(function() pcall(function() while true do end end) end) while true do coroutine.resume(co) co = coroutine.create(function() while true do end end) end end)

--- __index that loops
-- error: timeout
-- endless
local t = setmetatable({}, { __index = function() while true do end end }) return t.x

--- __newindex that loops
-- error: timeout
-- endless
setmetatable({}, { __newindex = function() while true do end end }).x = 1

--- __eq that loops
-- error: timeout
-- endless
local m = { __eq = function() while true do end end } return setmetatable({}, m) == setmetatable({}, m)

--- __lt in a sort
-- error: timeout
-- endless
local m = { __lt = function() while true do end end } table.sort({ setmetatable({}, m), setmetatable({}, m) })

--- __concat that loops
-- error: timeout
-- endless
return setmetatable({}, { __concat = function() while true do end end }) .. 'x'

--- __len that loops
-- error: timeout
-- endless
return #setmetatable({}, { __len = function() while true do end end })

--- __call that loops
-- error: timeout
-- endless
setmetatable({}, { __call = function() while true do end end })()

--- __call that leads back to itself
-- error: timeout
-- endless
local m = {} local t = setmetatable({}, m) m.__call = t pcall(t)

--- __unm that loops
-- error: timeout
-- endless
return -setmetatable({}, { __unm = function() while true do end end })

--- __close that loops
-- error: timeout
-- endless
local t <close> = setmetatable({}, { __close = function() while true do end end }) error('x')

--- __close in a coroutine that is closed
-- error: timeout
-- endless
local co = coroutine.create(function()
  local t <close> = setmetatable({}, { __close = function() while true do end end })
  coroutine.yield()
end)
coroutine.resume(co) coroutine.close(co)

--- __pairs that loops
-- error: timeout
-- endless
for k in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end

--- a comparator that loops
-- error: timeout
-- endless
table.sort({ 3, 1, 2 }, function() while true do end end)

--- a comparator that contradicts itself, often
-- error: timeout
-- endless
while true do pcall(table.sort, { 3, 1, 2, 5, 4, 9, 7 }, function() return true end) end

--- gsub with an endless callback
-- error: timeout
-- endless
string.gsub('abc', '.', function() while true do end end)

--- gmatch without progress
-- error: timeout
-- endless
while true do for w in string.gmatch('', '') do end end

--- a pattern that backtracks
-- error: timeout
-- endless
string.find(string.rep('a', 28), string.rep('a?', 28) .. string.rep('a', 28))

--- the same in pcall
-- error: timeout
-- endless
pcall(string.find, string.rep('a', 30), string.rep('a*', 20) .. 'b')

--- a pattern over a long text
-- error: timeout
-- endless
string.match(string.rep('a', 200000), '.-.-.-.-b')

--- %b over a long text
-- error: timeout
-- endless
while true do string.find(string.rep('(', 100000), '%b()') end

--- table.move over a huge range
-- error: timeout
-- endless
table.move({}, 1, 1 << 50, 2)

--- table.concat over a huge range
-- error: timeout
-- endless
table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 50)

--- table.insert in a table that claims a length
-- error: timeout
-- endless
table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 'x')

--- table.remove from a table that claims a length
-- error: timeout
-- endless
table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)

--- load with an endless reader
-- error: timeout
-- endless
load(function() return ' ' end)

--- a reader that loops
-- error: timeout
-- endless
load(function() while true do end end)

--- os.time in a loop
-- error: timeout
-- endless
local start = os.time() while os.time() == start do end

--- os.clock in a loop
-- error: timeout
-- endless
while os.clock() < 1e9 do end

--- reads for ever
-- error: timeout
-- endless
local s = ctx:store('s') while true do s:get('k') end

--- scans for ever
-- error: timeout
-- endless
local s = ctx:store('s') while true do for k in s:scan('') do end end

--- logs for ever
-- error: timeout
-- endless
while true do ctx:log('info', 'x') end

--- prints for ever
-- error: timeout
-- endless
while true do print('x') end
