Errors of any kind.

--- __tostring of an error that loops
-- error: __tostring failed
error(setmetatable({}, { __tostring = function() while true do end end }))

--- prepares for ever
-- error: intents
local s = ctx:store('s') while true do s:put('k', 1) end

--- error of nil
-- error:
error()

--- error of a table
-- error:
error({ code = 1 })

--- error of a function
-- error:
error(print)

--- error of a coroutine
-- error:
error(coroutine.create(print))

--- a giant message
-- error: xxx
error(string.rep('x', 1000000))

--- a message with zeros and escapes
-- error: a
error('a\0b\27[2J\255')

--- a table whose __tostring fails
-- error:
error(setmetatable({}, { __tostring = function() error('inner') end }))

--- a table whose __tostring gives no string
-- error:
error(setmetatable({}, { __tostring = function() return {} end }))

--- an error in a coroutine
-- error: inside
coroutine.wrap(function() error('inside') end)()

--- an error while closing
-- error: closing
local t <close> = setmetatable({}, { __close = function() error('closing') end })

--- yield outside of a coroutine
-- error: yield
coroutine.yield()

--- assert of a table
-- error:
assert(false, {})

--- division by zero
-- error: zero
return 1 // 0
