-- Every reading: from wall time to instant, and on to the others together with the reading before.

local zone = require "lib.zone"

---@type Trigger
return {
  on       = { data = "home/temperature" },
  priority = "high",
  order_by = "sensor", -- readings of one sensor stay in their order

  execute = function(event, ctx)
    local readings = ctx:store("readings")
    local before = readings:get(event.sensor)
    local at = zone.instant(event.time, before and before.at)
    if before and at <= before.at then -- told twice, or too late
      ctx:log("warning", "reading ignored", { sensor = event.sensor, time = event.time })
      return nil
    end

    local reading = { at = at, time = event.time, degrees = event.degrees }
    return {
      readings:put(event.sensor, reading),
      ctx:emit("home.measured", { sensor = event.sensor, now = reading, before = before }),
    }
  end,
}
