What the host holds for an execution.

--- reads of many keys
-- error: timeout
-- endless
local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:get('key number ' .. i) end

--- many scans
-- error: memory
local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:scan('prefix ' .. i) end

--- many counts
-- error: timeout
-- endless
local s = ctx:store('s') for i = 1, 1e9 // 1 | 0 do s:count('prefix ' .. i) end

--- long log lines
-- error: timeout
-- endless
local text = string.rep('x', 60000) while true do print(text) end

--- log lines with large fields
-- error: timeout
-- endless
local text = string.rep('x', 900000) while true do ctx:log('info', 'x', { text = text }) end
