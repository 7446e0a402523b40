-- What the settings files must be, and what comes of a day.
local ini      = require "lib.ini"
local template = require "lib.template"

local settings = {}

--- The limits in a text of limits.ini; or nil and what is wrong.
function settings.limits(text)
  local values, mistake = ini.parse(text)
  if not values then return nil, mistake end
  local section, limits = values.thermostat or {}, {}
  for _, key in ipairs { "lowest", "highest" } do
    local number = tonumber(section[key])
    if not number or number < 40 or number > 90 then
      return nil, ("[thermostat] %s: expected 40 to 90 degrees, got %s"):format(key, section[key] or "nothing")
    end
    limits[key] = number
  end
  if limits.lowest > limits.highest then
    return nil, ("[thermostat] lowest (%g) is above highest (%g)"):format(limits.lowest, limits.highest)
  end
  return limits
end

--- The colder the day was, the warmer the house: in half degrees, within the limits.
function settings.target(mean, limits)
  local target = 70 - (mean - 40) * 0.2
  return math.min(math.max(math.floor(target * 2 + 0.5) / 2, limits.lowest), limits.highest)
end

--- What a template can name.
function settings.values(day, limits)
  return {
    date = day.date, mean = ("%.1f"):format(day.mean), target = ("%.1f"):format(settings.target(day.mean, limits)),
  }
end

--- Why a file cannot be as it is; nil when it can.
function settings.fault(path, text)
  local result, mistake
  if path == "limits.ini" then
    result, mistake = settings.limits(text)
  else
    local sample = settings.values({ date = "2010-01-01", mean = 40 }, { lowest = 40, highest = 90 })
    result, mistake = template.render(text, sample)
    if result and path:find("%.ini$") then result, mistake = ini.parse(result) end
  end
  return mistake
end

return settings
