Coroutines that are closed and collected: their stacks change hands.

--- closed coroutines are collected while a stack grows
-- memory: 64mb
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
for round = 1, 40 do
  local closed = {}
  for i = 1, 50 do
    local large = table.pack(string.byte(("x"):rep(200), 1, -1))
    local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = print }) coroutine.yield() end)
    coroutine.resume(co)
    coroutine.close(co)
    closed[i] = { co, large }
  end
  closed = nil
  for i = 1, 30 do local junk = ("x"):rep(100000) .. i end
  assert(coroutine.wrap(deep)(round * 50) == round * 50)
end

--- coroutines that get no memory
-- error: memory
-- memory: 1mb
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
local all = {}
while true do
  all[#all + 1] = coroutine.create(deep)
  if #all % 50 == 0 then deep(500) coroutine.resume(all[#all], 100) end
end
