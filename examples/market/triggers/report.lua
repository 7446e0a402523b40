-- Writes a report on all positions and says it in the log. cron.yaml says when it runs; an event
-- `report.due` runs it at once.

local position = require "lib.position"

---@type Trigger
return {
  on       = { event = "report.due" },
  priority = "low", -- never in the way of the market

  execute = function(event, ctx)
    local report = { title = event.title or "Report", time = ctx.time, symbols = {}, trades = 0, profit = 0.0 }

    for symbol, books in ctx:store("portfolio"):scan("") do
      local profit = position.profit(books)
      report.symbols[symbol] = { units = books.units, price = books.price, profit = profit }
      report.trades = report.trades + books.trades
      report.profit = report.profit + profit
    end

    ctx:log("info", report.title, { trades = report.trades, profit = string.format("%.2f", report.profit) })

    local reports = ctx:store("reports")
    return {
      reports:put("latest", report),
      reports:add("count", 1),
    }
  end,
}
