-- Looks at what others did to the settings: what is good is taken up, what is not is put back, and kept beside.

local settings = require "lib.settings"

local GUARDED <const> = { "limits.ini", "thermostat.ini", "templates/thermostat.ini" }

local function is_guarded(path)
  for _, name in ipairs(GUARDED) do if name == path then return true end end
  return false
end

---@type Trigger
return {
  on       = { commit = { "conf/*.ini", "conf/templates/*" }, start = true },
  priority = "critical",

  execute = function(event, ctx)
    local conf, good = ctx:store("conf"), ctx:store("good")
    local intents, paths, changed = {}, {}, false
    if event.job then
      paths = GUARDED -- the host has just started
    elseif event.trigger == "file-edit" then -- by nobody in here
      for _, key in ipairs(event.keys) do
        local path = key:sub(#"conf/" + 1)
        if is_guarded(path) then paths[#paths + 1] = path end
      end
    end

    for _, path in ipairs(paths) do
      local text, kept = conf:get(path), good:get(path)
      local fault = not text and "it is gone" or settings.fault(path, text)
      -- What the host writes itself is good as the host wrote it.
      if not fault and path == "thermostat.ini" and kept and text ~= kept then fault = "the host writes this file" end
      if not fault then
        if text ~= kept then
          intents[#intents + 1] = good:put(path, text)
          changed = true
        end
      elseif kept then
        ctx:log("warning", path .. " is put back", { fault = fault })
        intents[#intents + 1] = conf:put(path, kept)
        if text then intents[#intents + 1] = conf:put("refused/" .. path, "; " .. fault .. "\n" .. text) end
      elseif path ~= "thermostat.ini" then
        ctx:log("error", path .. " cannot be used", { fault = fault })
      end
    end
    if changed then intents[#intents + 1] = ctx:emit("settings.changed", {}) end
    return intents
  end,
}
