Recursion through what Lua and the libraries call: nested C calls.

--- recursion through __index
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__index = function(t, k) return t[k] end
return t.x

--- recursion through __index with ever longer keys
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__index = function(t, k) return t[k .. 'x'] end
return t.x

--- recursion through __newindex
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__newindex = function(t, k, v) t[k] = v end
return (function() t.x = 1 end)()

--- recursion through __concat
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__concat = function(a, b) return a .. b end
return t .. 'x'

--- recursion through __tostring
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__tostring = function(t) return tostring(t) end
return tostring(t)

--- recursion through __eq
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__eq = function(a, b) return a == b end
return t == setmetatable({}, m)

--- recursion through __lt
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__lt = function(a, b) return a < b end
return t < t

--- recursion through __len
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__len = function(t) return #t end
return #t

--- recursion through __unm
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__unm = function(t) return -t end
return -t

--- recursion through __pairs
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__pairs = function(t) return pairs(t) end
return pairs(t)

--- recursion through __index in table.concat
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__index = function(t) return table.concat(t, '', 1, 3) end
return table.concat(t, '', 1, 3)

--- recursion through __len in table.insert
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__len = function(t) table.insert(t, 1) end
return table.insert(t, 1)

--- recursion through __index in unpack
-- error: C stack overflow (calls nested very deep: endless recursion?)\nstack traceback:
local m = {} local t = setmetatable({}, m) m.__index = function(t) return table.unpack(t, 1, 2) end
return table.unpack(t, 1, 2)
