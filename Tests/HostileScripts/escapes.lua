Ways out.

--- a global
-- error: hostile0.lua:2
leak = 1

--- a global through _G
-- error:
_G.leak = 1

--- a global through rawset
-- error:
rawset(_G or _ENV, 'leak', 1)

--- a function of string replaced
-- error:
string.rep = nil

--- a function of string replaced through its metatable
-- error:
getmetatable('').__index.rep = nil

--- a library written to as a metatable
-- error: read-only
getmetatable(setmetatable({}, string)).rep = nil

--- globals written to as a metatable
-- error: read-only
getmetatable(setmetatable({}, _ENV)).leak = 1

--- setmetatable on _ENV
-- error:
setmetatable(_ENV, {})

--- bytecode
-- error:
assert(load('\27Lua', 'x', 'b'))

--- bytecode in text mode
-- error:
assert(load('\27Lua'))

--- string.dump
-- error:
string.dump(print)

--- debug
-- error: field 'sethook'
debug.sethook()

--- io
-- error: field 'open'
io.open('/etc/passwd')

--- os.execute
-- error: execute
os.execute('true')

--- os.exit
-- error: exit
os.exit()

--- package
-- error: package.loaded.math cannot be set
package.loaded.math = { random = 1 }

--- package path
-- error: 'package.path' is read-only
package.path = '/?.lua'

--- dofile
-- error: dofile
dofile('/etc/passwd')

--- require of a path
-- error:
require '../../etc/passwd'

--- require of nothing
-- error: lib
require 'lib.none'

--- collectgarbage
-- error: collectgarbage
collectgarbage('stop')

--- __gc
-- error: __gc
setmetatable({}, { __gc = function() end })

--- a frozen module
-- error:
table.insert(string, 1)
