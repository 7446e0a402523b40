-- Heating with hysteresis: on below ON, off above OFF, and in between as it was. Keeps the hours it was on, by date.

local zone = require "lib.zone"

local ON <const>, OFF <const> = 50, 54 -- degrees Fahrenheit

local function decide(is_on, degrees)
  if degrees < ON then return true end
  if degrees > OFF then return false end
  return is_on
end

---@type Trigger
return {
  on       = { event = "home.measured" },
  priority = "high",
  order_by = "sensor",

  execute = function(event, ctx)
    local heating = ctx:store("heating")
    local now, before = event.now, event.before
    local state = heating:get("state") or { is_on = false, since = now.at }
    local intents = {}

    -- Until now it was as decided last. Hours that pass count, whatever the clocks show.
    if before and state.is_on then
      for _, part in ipairs(zone.by_date(before.at, now.at)) do
        intents[#intents + 1] = heating:add("hours/" .. part.date, part.hours)
      end
    end

    local is_on = decide(state.is_on, now.degrees)
    if is_on ~= state.is_on then
      intents[#intents + 1] = heating:put("state", { is_on = is_on, since = now.at })
      intents[#intents + 1] = heating:add("switches/" .. zone.date(now.at), 1)
      ctx:log("debug", is_on and "heating on" or "heating off", { time = now.time, degrees = now.degrees })
    end
    -- Whoever sums up a day must come after this.
    intents[#intents + 1] = ctx:emit("home.heated", event)
    return intents
  end,
}
