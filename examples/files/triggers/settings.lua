-- Writes the thermostat's settings: after each day, and when somebody has changed the limits or the template.

local settings = require "lib.settings"
local template = require "lib.template"

---@type Trigger
return {
  on       = { event = { "day.over", "settings.changed" } },
  priority = "high",
  order_by = "station",

  execute = function(event, ctx)
    local conf, good = ctx:store("conf"), ctx:store("good")
    local day = ctx.event_name == "day.over" and event or ctx:store("days"):get("newest")
    if not day then return nil end
    -- Those that are good: what guard.lua has just refused may still be in the directory.
    local limits = settings.limits(good:get("limits.ini") or conf:get("limits.ini") or "")
      or error("limits.ini is missing, or wrong")
    local values = settings.values(day, limits)
    local source = good:get("templates/thermostat.ini") or conf:get("templates/thermostat.ini")
      or error("templates/thermostat.ini is missing")
    local text = assert(template.render(source, values))

    -- All of this shows at once: to other triggers, and after a crash in the directory.
    local intents = { conf:put("thermostat.ini", text), good:put("thermostat.ini", text) }
    if ctx.event_name == "day.over" then
      local month = day.date:sub(1, 7)
      local line = ("%s,%s,%s\n"):format(values.date, values.mean, values.target)
      if conf:get("months/" .. month .. ".csv") then
        intents[#intents + 1] = conf:append_text("months/" .. month .. ".csv", line)
      else
        intents[#intents + 1] = conf:put("months/" .. month .. ".csv", "date,mean,target\n" .. line)
        -- A new month: files of earlier ones move to the archive.
        for path, content in conf:scan("months/") do
          intents[#intents + 1] = conf:put("archive/" .. path:sub(#"months/" + 1), content)
          intents[#intents + 1] = conf:delete(path)
        end
      end
    end
    return intents
  end,
}
