-- Wilder's relative strength index, one close at a time.
--
-- A state is a plain table that a store can keep:
--   last      the newest close
--   count     how many changes have been seen, at most the period
--   gain      average gain (their sum until the period is full)
--   loss      average loss (likewise), as a positive number
-- J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978).

local rsi = {}

--- The state after one more close. `state` is nil for the first close and is not changed.
function rsi.step(state, close, period)
  if not state then
    return { last = close, count = 0, gain = 0.0, loss = 0.0 }
  end
  local change = close - state.last
  local gain = change > 0 and change or 0.0
  local loss = change < 0 and -change or 0.0
  local count = state.count

  if count < period then
    -- The first averages are simple ones: add up, and divide when the period is full.
    count = count + 1
    gain, loss = state.gain + gain, state.loss + loss
    if count == period then
      gain, loss = gain / period, loss / period
    end
  else
    gain = (state.gain * (period - 1) + gain) / period
    loss = (state.loss * (period - 1) + loss) / period
  end
  return { last = close, count = count, gain = gain, loss = loss }
end

--- The index from 0 to 100, or nil until `period` changes have been seen.
function rsi.value(state, period)
  if state.count < period then return nil end
  if state.gain + state.loss == 0 then return 50.0 end -- nothing moved
  return 100 * state.gain / (state.gain + state.loss)
end

return rsi
