-- Says in the log how yesterday was. cron.yaml runs it five minutes after midnight, wall time.

local zone = require "lib.zone"

---@type Trigger
return {
  priority = "low",

  execute = function(event, ctx)
    local today = zone.date(math.floor(ctx.time))
    local yesterday = zone.next_date(today, -1)
    local summary = ctx:store("summaries"):get(yesterday)
    if not summary then
      ctx:log("info", "no summary of " .. yesterday)
      return nil
    end
    local text = ("%s: %.1f °F, heating on for %.0f of %.0f hours"):format(
      yesterday, summary.mean, summary.heating_hours, summary.hours)
    ctx:log("info", text)
    return { ctx:store("reports"):put("newest", { date = yesterday, text = text, for_time = event.fire_time }) }
  end,
}
