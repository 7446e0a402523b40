Where hooks are off.

--- a killed coroutine that a __close closes
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end local victim = coroutine.create(function() local x <close> = closing(loop) while true do end end)
local outer = coroutine.create(function()
  local last <close> = closing(function() coroutine.close(victim) end)
  local first <close> = closing(function() coroutine.resume(victim) end)
  coroutine.yield()
end)
coroutine.resume(outer) coroutine.close(outer)

--- a killed coroutine that a __close closes, again and again
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end local victim = coroutine.create(function() local x <close> = closing(loop) while true do end end)
local outer = coroutine.create(function()
  local last <close> = closing(function() while true do pcall(coroutine.close, victim) end end)
  local first <close> = closing(function() coroutine.resume(victim) end)
  coroutine.yield()
end)
coroutine.resume(outer) coroutine.close(outer)

--- a killed coroutine that is wrapped in a __close
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end
local step = coroutine.wrap(function() local x <close> = closing(loop) while true do end end)
local outer = coroutine.create(function()
  local last <close> = closing(function() while true do pcall(step) end end)
  local first <close> = closing(function() step() end)
  coroutine.yield()
end)
coroutine.resume(outer) coroutine.close(outer)

--- a killed coroutine with many to close
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end
local inner = coroutine.create(function()
  local a <close> = nil local b <close> = closing(loop)
  local c <close> = closing(loop) local d <close> = closing(coroutine.wrap(loop))
  loop()
end)
local e <close> = closing(function() coroutine.close(inner) end)
local f <close> = closing(coroutine.wrap(function() coroutine.close(inner) loop() end))
coroutine.resume(inner)

--- __close of a suspended coroutine, in a __close on the way out
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end
local sleeper = coroutine.create(function() local x <close> = closing(loop) coroutine.yield() end)
coroutine.resume(sleeper)
local x <close> = closing(function() coroutine.close(sleeper) end)
loop()

--- __close that resumes, on the way out
-- error: timeout
-- endless
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end local x <close> = closing(function() while true do coroutine.wrap(loop)() end end) loop()

--- a __close that loops after memory is gone
-- error: memory
local function closing(f) return setmetatable({}, { __close = f }) end local function loop() while true do end end local x <close> = closing(loop)
coroutine.wrap(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)()
