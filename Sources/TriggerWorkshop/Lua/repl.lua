-- What a REPL adds to the sandbox: ctx, store "name", help, and results as people read them. `show` is the function
-- of show.lua.

local call, describe, context = ...

ctx = context

function store(name) return ctx:store(name) end

function help(topic)
  if topic ~= nil and type(topic) ~= "string" then topic = tostring(topic) end
  call("print", { text = call("help", { topic = topic }) })
end

-- The host knows more of some names that nothing has.
local globals = getmetatable(_ENV)
local libraries = globals.__index
function globals.__index(_, name)
  local value = libraries[name]
  if value == nil and type(name) == "string" then call("missing", name) end
  return value
end

-- Intents read as what they would do.
local function special(value)
  local intent = describe(value)
  if not intent then return nil end
  local place = intent.store and intent.store .. (intent.kind == "replace" and "" or "/" .. intent.key) or intent.key
  if intent.value == nil then return intent.kind .. " " .. place end
  return ("%s %s = %s"):format(intent.kind, place, show(intent.value))
end

local is_change
function is_change(value)
  if describe(value) then return true end
  return type(value) == "table" and next(value) ~= nil and is_change(select(2, next(value)))
end

local function print_results(count, ...)
  for i = 1, count do
    local value = select(i, ...)
    call("print", { text = show(value, 100, { depth = 0, special = special }), is_change = is_change(value) })
  end
end

return function(wish, chunk)
  if chunk then
    local results = table.pack(chunk())
    print_results(results.n, table.unpack(results, 1, results.n))
  elseif wish == "names" then
    local names = array {}
    for name in pairs(_ENV) do names[#names + 1] = name end
    call("names", names)
  end
end
