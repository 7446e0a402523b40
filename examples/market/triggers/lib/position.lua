-- The books of one symbol: what is held, what it cost, what was earned.
--
--   units      how much is held; 0 when flat
--   entry      the price it was bought at
--   price      the newest price seen
--   realised   profit of closed trades
--   trades     closed trades
--   filled     number of the newest order in these books
-- Functions return a new table and leave their argument as it was.

local position = {}

function position.new()
  return { units = 0, entry = 0.0, price = 0.0, realised = 0.0, trades = 0, filled = 0 }
end

local function copy(books)
  local result = {}
  for name, value in pairs(books) do result[name] = value end
  return result
end

--- The books after an order. An order that is in them already changes nothing.
function position.fill(books, order)
  local result = copy(books)
  if order.number <= books.filled then return result end
  if order.side == "sell" then
    result.realised = books.realised + books.units * (order.price - books.entry)
    result.trades = books.trades + 1
    result.units, result.entry = 0, 0.0
  else
    result.units, result.entry = order.units, order.price
  end
  -- A bar may have marked a newer price by the time the order is in the books.
  if books.price == 0 then result.price = order.price end
  result.filled = order.number
  return result
end

--- The books at a new price.
function position.mark(books, price)
  local result = copy(books)
  result.price = price
  return result
end

--- Profit so far, closed trades and open position together.
function position.profit(books)
  return books.realised + books.units * (books.price - books.entry)
end

return position
