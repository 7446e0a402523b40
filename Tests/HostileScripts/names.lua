Metafields of the wrong type.

--- __name that is no text, in a format beyond the stack's buffer
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) string.format('%s%s%s', ('x'):rep(5000), odd, ('y'):rep(500000))

--- __name that is no text, printed often
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) local t = {} for i = 1, 5000 do t[i] = odd end print(table.unpack(t))

--- __name of every kind
-- memory: 64mb
for _, name in ipairs { 5, 0.5, true, {}, print, coroutine.create(print) } do local odd = setmetatable({}, { __name = name }) assert(tostring(odd) == 'table' and ('%s|'):format(odd) == 'table|') end

--- __name that is no text, in %s of a width
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) assert(('[%8s]'):rep(200):format(table.unpack((function() local t = {} for i = 1, 200 do t[i] = odd end return t end)())):sub(1, 10) == '[   table]')

--- __name that is no text, as an error
-- error: table
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) error(odd)

--- __name that is no text, in a coroutine's error
-- error: table
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) coroutine.wrap(function() error(odd) end)()

--- __name that is no text, as a key
-- error: must be a string, not table
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) ctx:store('s'):put(odd, 1)

--- __name that is no text, as a name
-- error: must be a string, not table
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) ctx:store(odd)

--- __name that is no text, as a field
-- error: no field 'table'
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) return ctx[odd]

--- __name that is no text, as a global
-- error: global 'table' is read-only
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) _ENV[odd] = 1

--- __name that is no text, as an argument
-- error: string expected, got table
-- memory: 64mb
local odd = setmetatable({}, { __name = 5 }) string.rep(odd, 2)

--- __tostring that gives a table, printed
-- error: must return a string
-- memory: 64mb
print(setmetatable({}, { __tostring = function() return {} end }))

--- __tostring that is no function
-- error: attempt to call a number value
-- memory: 64mb
print(setmetatable({}, { __tostring = 5 }))

--- __tostring that gives a number
-- memory: 64mb
assert(('%s%s'):format(('x'):rep(5000), setmetatable({}, { __tostring = function() return 5 end })):sub(-2) == 'x5')

--- __pairs that is no function
-- error: attempt to call a number value
-- memory: 64mb
for _ in pairs(setmetatable({}, { __pairs = 5 })) do end

--- __index that is no table
-- error: attempt to index
-- memory: 64mb
return setmetatable({}, { __index = 5 }).x

--- __close that is no function
-- error: call a number value
-- memory: 64mb
local t <close> = setmetatable({}, { __close = 5 })

--- __len that gives text
-- error: not an integer
-- memory: 64mb
table.insert(setmetatable({}, { __len = function() return 'x' end }), 1)

--- __metatable of every kind
-- memory: 64mb
for _, value in ipairs { 5, 'x', {}, print } do local t = setmetatable({}, { __metatable = value }) assert(getmetatable(t) == value and not pcall(setmetatable, t, {})) end
