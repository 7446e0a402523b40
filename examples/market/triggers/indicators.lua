-- Every bar updates the chart of its symbol: RSI(14) and two moving averages.

local rsi = require "lib.rsi"
local average = require "lib.average"

local RSI_PERIOD <const> = 14
local FAST <const>, SLOW <const> = 10, 30

---@type Trigger
return {
  on       = { data = "bars/*" },
  priority = "high", -- everything else waits for the indicators
  timeout  = "200ms",
  order_by = "symbol", -- bars of one symbol stay in their order

  execute = function(event, ctx)
    local charts = ctx:store("charts")
    local chart = charts:get(event.symbol) or {}

    local closes = average.push(chart.closes, event.close, SLOW)
    local state = rsi.step(chart.rsi_state, event.close, RSI_PERIOD)

    -- A field that is nil is not stored: the averages appear once there are bars enough.
    local new = {
      time = event.time,
      closes = closes,
      rsi_state = state,
      rsi = rsi.value(state, RSI_PERIOD),
      fast = average.simple(closes, FAST),
      slow = average.simple(closes, SLOW),
    }

    local intents = { charts:put(event.symbol, new) }
    if chart.slow then -- the bar before had both averages: a crossing can be seen
      intents[#intents + 1] = ctx:emit("indicators.changed", {
        symbol = event.symbol,
        time = event.time,
        close = event.close,
        rsi = new.rsi,
        fast = new.fast,
        slow = new.slow,
        fast_before = chart.fast,
        slow_before = chart.slow,
      })
    end
    return intents
  end,
}
