-- INI files: `[section]`, `key = value`, comments after `;` or `#` at the beginning of a line.
local ini = {}

--- The values by section and key; or nil and what is wrong, with its line.
function ini.parse(text)
  local values, number = {}, 0
  local section ---@type table?
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local name = line:match("^%s*%[([%w_]+)%]%s*$")
    local key, value = line:match("^%s*([%w_]+)%s*=%s*(.-)%s*$")
    if name then
      section = values[name] or {}
      values[name] = section
    elseif key and section then
      section[key] = value
    elseif not line:find("^%s*$") and not line:find("^%s*[;#]") then
      return nil, ("line %d: expected [section] or key = value, got '%s'"):format(number, line)
    end
  end
  return values
end

return ini
