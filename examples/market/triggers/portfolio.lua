-- Keeps the books: every committed order is filled at its price, every bar marks the position to
-- market.

local position = require "lib.position"

-- One commit may have changed several keys of `orders`; the event lists them.
local function fill(keys, ctx)
  local orders, portfolio = ctx:store("orders"), ctx:store("portfolio")
  local intents = {}
  for _, key in ipairs(keys) do
    local symbol = key:match("[^/]+$") -- "orders/EURUSD" or "EURUSD"
    local order = orders:get(symbol)
    if order then
      local books = portfolio:get(symbol) or position.new()
      intents[#intents + 1] = portfolio:put(symbol, position.fill(books, order))
    end
  end
  return intents
end

local function mark(event, ctx)
  local portfolio = ctx:store("portfolio")
  local books = portfolio:get(event.symbol)
  if not books then return {} end -- never traded
  return { portfolio:put(event.symbol, position.mark(books, event.close)) }
end

return {
  on = { data = "bars/*", commit = "orders/*" },

  execute = function(event, ctx)
    if event.keys then return fill(event.keys, ctx) end
    return mark(event, ctx)
  end,
}
