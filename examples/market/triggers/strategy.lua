-- Buys when the fast average crosses above the slow one, unless the market has run hot already;
-- sells when it crosses back, or when the market is overheated. One position per symbol.

local UNITS <const> = 10000
local TOO_HOT_TO_BUY <const>, OVERHEATED <const> = 70, 80

local function decide(event, is_holding)
  local crossed_up = event.fast_before <= event.slow_before and event.fast > event.slow
  local crossed_down = event.fast_before >= event.slow_before and event.fast < event.slow
  if not is_holding and crossed_up and event.rsi < TOO_HOT_TO_BUY then return "buy", "crossed up" end
  if is_holding and crossed_down then return "sell", "crossed down" end
  if is_holding and event.rsi > OVERHEATED then return "sell", "overheated" end
  return nil
end

---@type Trigger
return {
  on       = { event = "indicators.changed" },
  priority = "high",
  order_by = "symbol",

  execute = function(event, ctx)
    local orders = ctx:store("orders")
    local newest = orders:get(event.symbol) -- nil before the first order
    local is_holding = newest ~= nil and newest.side == "buy"

    local side, reason = decide(event, is_holding)
    if not side then return {} end

    local order = {
      number = newest and newest.number + 1 or 1,
      side = side,
      units = UNITS,
      price = event.close,
      time = event.time,
      reason = reason,
    }
    ctx:log("debug", "order", { symbol = event.symbol, side = side, price = order.price, reason = reason })

    -- Nothing is changed by preparing an intent: only what is returned is committed, all of it or nothing.
    return {
      orders:put(event.symbol, order), -- the newest, for the next decision
      orders:put(string.format("%s/%06d", event.symbol, order.number), order), -- and one key each, for the books
    }
  end,
}
