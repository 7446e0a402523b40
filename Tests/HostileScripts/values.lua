Results nobody can use.

--- a function as a value
-- error: a[1]
return { ctx:store('s'):put('k', { a = { print } }) }

--- a mixed table
-- error:
return { ctx:store('s'):put('k', { 1, x = 2 }) }

--- a table with holes
-- error:
return { ctx:store('s'):put('k', { 1, nil, 3 }) }

--- a number as a result
-- error:
return 5

--- text as a result
-- error:
return 'intents'

--- a made-up intent
-- error:
return { { kind = 'put', store = 's', key = 'k', value = 1 } }

--- a key that is no string
-- error: key
return { ctx:store('s'):put({}, 1) }

--- a key that is not text
-- error: UTF-8
return { ctx:store('s'):put('\xff', 1) }

--- a field that is not text
-- error: UTF-8
return { ctx:store('s'):put('k', { ['\xff'] = 1 }) }

--- an event whose name is not text
-- error: UTF-8
return { ctx:emit('\xff', {}) }

--- a store whose name is not text
-- error: UTF-8
return ctx:store('\xff')

--- append to beyond the depth
-- error: nested deeper than 64
local t = {} for i = 1, 63 do t = { t } end return { ctx:store('s'):append('k', t) }

--- an empty key
-- error: key
return { ctx:store('s'):put('', 1) }

--- a giant key
-- error: key
return { ctx:store('s'):put(string.rep('k', 1 << 22), 1) }

--- a giant value
-- error:
return { ctx:store('s'):put('k', string.rep('v', 1 << 22)) }

--- too many intents
-- error: intents
local t = {} for i = 1, 20000 do t[i] = ctx:store('s'):put('k', i) end return t

--- too many emits
-- error: emits
local t = {} for i = 1, 2000 do t[i] = ctx:emit('e', {}) end return t

--- a store without a name
-- error: store
return ctx:store('')

--- a method that is not there
-- error: store
ctx:stroe('s')

--- a seq that was not read
-- error: was not read
return { ctx:store('s'):prepare_commit(7, {}) }

--- add on a string
-- error: add
local s = ctx:store('s') return { s:put('t', 'x'), s:add('t', 1) }
