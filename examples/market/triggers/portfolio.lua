-- Keeps the books: every committed order is filled at its price, every bar marks the position to
-- market.

local position = require "lib.position"

-- The event lists the keys that one commit changed, such as "orders/EURUSD/000007". Commits come in
-- their order, and each order has a key of its own: none is missed.
local function fill(keys, ctx)
  local orders, portfolio = ctx:store("orders"), ctx:store("portfolio")
  local intents = {}
  for _, key in ipairs(keys) do
    local number_key = key:match("^orders/(.+)$")
    local symbol = number_key:match("^[^/]+")
    local books = portfolio:get(symbol) or position.new()
    intents[#intents + 1] = portfolio:put(symbol, position.fill(books, orders:get(number_key)))
  end
  return intents
end

local function mark(event, ctx)
  local portfolio = ctx:store("portfolio")
  local books = portfolio:get(event.symbol)
  if not books then return {} end -- never traded
  return { portfolio:put(event.symbol, position.mark(books, event.close)) }
end

---@type Trigger
return {
  on = { data = "bars/*", commit = "orders/*/*" },

  execute = function(event, ctx)
    if event.keys then return fill(event.keys, ctx) end
    return mark(event, ctx)
  end,
}
