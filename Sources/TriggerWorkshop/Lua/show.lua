-- Any value as Lua text for people: one line when it fits, else a line for each field, in the order of pairs.
-- Returns the function show(value, width, inside); `inside.special` may give the text of a value of its own kind.

local MOST_ENTRIES <const> = 1000
local DEEPEST <const> = 32

local reserved = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch("%a+") do
  reserved[word] = true
end

local function quoted(text)
  local body = text:gsub('[%c"\\\127]', function(c)
    local short = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }
    return short[c] or ("\\%03d"):format(c:byte())
  end)
  return '"' .. body .. '"'
end

local function key_text(key, show)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") and not reserved[key] then return key end
  return "[" .. show(key) .. "]"
end

local show

-- The pieces of a table's content: "1", "a = 2".
local function entries(value, width, inside)
  local list, length, more = {}, rawlen(value), 0
  for key, item in next, value do
    local is_element = math.type(key) == "integer" and key >= 1 and key <= length
    if #list == MOST_ENTRIES then
      more = more + 1
    else
      local text = show(item, width - 2, inside)
      list[#list + 1] = is_element and text or key_text(key, show) .. " = " .. text
    end
  end
  if more > 0 then list[#list + 1] = ("... %d more"):format(more) end
  return list
end

local function show_table(value, width, inside)
  if inside[value] then return "<itself>" end
  if inside.depth >= DEEPEST then return "{ ... }" end
  inside[value], inside.depth = true, inside.depth + 1
  local list = entries(value, width, inside)
  inside[value], inside.depth = nil, inside.depth - 1
  if #list == 0 then return "{}" end
  local line = "{ " .. table.concat(list, ", ") .. " }"
  if #line <= width and not line:find("\n") then return line end
  for i, text in ipairs(list) do list[i] = "  " .. text:gsub("\n", "\n  ") .. "," end
  return "{\n" .. table.concat(list, "\n") .. "\n}"
end

local function has_text(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__tostring ~= nil
end

function show(value, width, inside)
  if type(value) == "string" then return quoted(value) end
  local own = inside and inside.special and inside.special(value)
  if own then return own end
  if type(value) ~= "table" or has_text(value) then return tostring(value) end
  return show_table(value, width or 100, inside or { depth = 0 })
end

return show
