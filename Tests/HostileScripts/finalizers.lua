Finalizers.

--- __gc set after setmetatable, kept
-- memory: 64mb
-- head: local mt = {} local object = setmetatable({}, mt) mt.__gc = function() while true do end end
for i = 1, 300 do local junk = ('x'):rep(100000) .. i end assert(getmetatable(object).__gc) return object.x

--- __gc that was no function at first
-- memory: 64mb
-- head: local mt = {} local object = setmetatable({}, mt) mt.__gc = true
for i = 1, 300 do local junk = ('x'):rep(100000) .. i end return object.x, mt

--- __gc in a class that is kept
-- memory: 64mb
-- head: local Class = {} Class.__index = Class function Class.new() return {} end local object = setmetatable({ 1 }, Class) Class.object = object Class.__gc = function() while true do end end
for i = 1, 300 do local junk = ('x'):rep(100000) .. i end return Class.new()

--- __gc of an object that is its own metatable
-- memory: 64mb
-- head: local object = {} setmetatable(object, object) object.__gc = function() while true do end end
for i = 1, 300 do local junk = ('x'):rep(100000) .. i end return object.x

--- __gc under an __index that is kept
-- memory: 64mb
-- head: local mt = {} local base = setmetatable({}, mt) local object = setmetatable({}, { __index = base }) mt.__gc = function() while true do end end
for i = 1, 300 do local junk = ('x'):rep(100000) .. i end return object.x

--- __gc given at once
-- error: __gc is not available
-- memory: 64mb
setmetatable({}, { __gc = function() while true do end end })

--- __gc that is false, given at once
-- error: __gc is not available
-- memory: 64mb
setmetatable({}, { __gc = false })

--- __gc of what is kept, given at once
-- error: __gc is not available
-- memory: 64mb
-- head: local mt = { __gc = function() while true do end end }
setmetatable({}, mt)

--- __gc set after setmetatable, in an execution
-- memory: 64mb
local mt = {} for i = 1, 100 do setmetatable({}, mt) end mt.__gc = function() while true do end end for i = 1, 300 do local junk = ('x'):rep(100000) .. i end
