-- Moving averages over a short list of closes, newest last.

local average = {}

--- A new list: `closes` (or nil) and one more close, cut to the newest `keep`.
function average.push(closes, close, keep)
  local result = {}
  local old = closes or {}
  for i = math.max(1, #old - keep + 2), #old do
    result[#result + 1] = old[i]
  end
  result[#result + 1] = close
  return result
end

--- The mean of the newest `period` closes, or nil while there are fewer.
function average.simple(closes, period)
  if #closes < period then return nil end
  local sum = 0.0
  for i = #closes - period + 1, #closes do
    sum = sum + closes[i]
  end
  return sum / period
end

return average
