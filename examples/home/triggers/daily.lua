-- Sums up each day. A reading holds until the next one, so each counts for the hours that pass between them: 23 of
-- them on the day when the clocks go forward, 25 when they go back.

local zone = require "lib.zone"

local function start() return { hours = 0.0, degree_hours = 0.0, readings = 0 } end

local function add(day, degrees, hours)
  day.hours = day.hours + hours
  day.degree_hours = day.degree_hours + degrees * hours
  day.min = math.min(day.min or degrees, degrees)
  day.max = math.max(day.max or degrees, degrees)
end

local function summary(date, day, heating)
  return {
    date = date,
    hours = day.hours,          -- covered by readings
    is_whole = day.hours == zone.hours(date),
    readings = day.readings,
    mean = day.degree_hours / day.hours,
    min = day.min,
    max = day.max,
    heating_hours = heating:get("hours/" .. date) or 0.0,
    heating_switches = heating:get("switches/" .. date) or 0,
  }
end

---@type Trigger
return {
  on       = { event = "home.heated" },
  order_by = "sensor",

  execute = function(event, ctx)
    local days, summaries, heating = ctx:store("days"), ctx:store("summaries"), ctx:store("heating")
    local now, before = event.now, event.before
    local today = zone.date(now.at)
    local intents = {}

    for _, part in ipairs(before and zone.by_date(before.at, now.at) or {}) do
      local day = days:get(part.date) or start()
      add(day, before.degrees, part.hours)
      if part.date == zone.date(before.at) then day.readings = day.readings + 1 end
      if part.date == today then
        intents[#intents + 1] = days:put(part.date, day)
      else
        local done = summary(part.date, day, heating)
        ctx:log("debug", "day", done)
        intents[#intents + 1] = summaries:put(part.date, done)
        intents[#intents + 1] = days:delete(part.date)
      end
    end
    return intents
  end,
}
