-- Alerts with hysteresis: one is raised at one threshold and cleared at another, so that a temperature that trembles
-- around a threshold does not raise it again and again.

local RULES <const> = {
  heat = { raise = function(degrees) return degrees > 75 end, clear = function(degrees) return degrees < 72 end },
  cold = { raise = function(degrees) return degrees < 38 end, clear = function(degrees) return degrees > 40 end },
}

---@type Trigger
return {
  on       = { event = "home.measured" },
  priority = "critical",
  order_by = "sensor",

  execute = function(event, ctx)
    local alerts = ctx:store("alerts")
    local now = event.now
    local intents = {}

    for name, rule in pairs(RULES) do
      local raised = alerts:get("raised/" .. name)
      if not raised and rule.raise(now.degrees) then
        ctx:log("warning", name, { time = now.time, degrees = now.degrees })
        intents[#intents + 1] = alerts:put("raised/" .. name, now)
        intents[#intents + 1] = alerts:append("history/" .. name, { from = now.time, degrees = now.degrees })
      elseif raised and rule.clear(now.degrees) then
        intents[#intents + 1] = alerts:delete("raised/" .. name)
      end
    end
    return intents
  end,
}
