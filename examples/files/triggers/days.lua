-- Sums up readings by day. A day is over when the first reading of another one comes.

---@type Trigger
return {
  on       = { data = "weather/temperature" },
  priority = "high",
  order_by = "station", -- readings of one station stay in their order

  execute = function(event, ctx)
    local days = ctx:store("days")
    local date = event.time:match("^%d%d%d%d%-%d%d%-%d%d") or error("'" .. event.time .. "' is no time")
    local day = days:get("current")
    if day and day.date == date then
      return days:put("current", { date = date, sum = day.sum + event.degrees, readings = day.readings + 1 })
    end
    local intents = { days:put("current", { date = date, sum = event.degrees, readings = 1 }) }
    if day then
      local over = { station = event.station, date = day.date, mean = day.sum / day.readings }
      intents[#intents + 1] = days:put("newest", over)
      intents[#intents + 1] = ctx:emit("day.over", over)
    end
    return intents
  end,
}
