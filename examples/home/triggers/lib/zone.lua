-- Pacific time: wall times to instants and back. Instants are seconds since 1970 in UTC, as os.time gives them.
-- Summer time as in the United States since 2007: from 02:00 on the second Sunday of March to 02:00 on the first
-- Sunday of November.

local zone = {}

local HOUR <const> = 3600
local STANDARD <const>, SUMMER <const> = -8 * HOUR, -7 * HOUR

-- The day of the month of the n-th Sunday.
local function sunday(year, month, n)
  local first = os.date("*t", os.time { year = year, month = month, day = 1, hour = 0 }).wday  -- 1 is Sunday
  return 1 + (8 - first) % 7 + 7 * (n - 1)
end

local function is_summer(at)
  local year = os.date("*t", at).year
  local from = os.time { year = year, month = 3, day = sunday(year, 3, 2), hour = 2 } - STANDARD
  local to = os.time { year = year, month = 11, day = sunday(year, 11, 1), hour = 2 } - SUMMER
  return from <= at and at < to
end

--- The instant of a wall time such as "2010-03-14T01:00:00".
--
-- A time in the hour that comes twice is the first one, unless that is not after the instant `after`. A time that
-- no clock shows (02:30 in March) is what a clock would show that was not put forward.
function zone.instant(text, after)
  local year, month, day, hour, minute = text:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+)")
  if not year then error(("'%s' is no time like 2010-03-14T01:00:00"):format(text)) end
  local wall = os.time { year = year, month = month, day = day, hour = hour, min = minute }
  local in_summer, in_winter = wall - SUMMER, wall - STANDARD
  local is_twice = is_summer(in_summer) and not is_summer(in_winter)
  if is_twice and after and after >= in_summer then return in_winter end
  return is_summer(in_summer) and in_summer or in_winter
end

--- The wall time at an instant.
function zone.wall(at)
  return os.date("%Y-%m-%dT%H:%M:%S", at + (is_summer(at) and SUMMER or STANDARD))
end

--- The date on the calendar at an instant: "2010-03-14".
function zone.date(at)
  return zone.wall(at):sub(1, 10)
end

--- The instant at which a date begins.
function zone.midnight(date)
  return zone.instant(date .. "T00:00:00")
end

--- The date after, or some days after.
function zone.next_date(date, days)
  local year, month, day = date:match("^(%d+)-(%d+)-(%d+)$")
  return os.date("%Y-%m-%d", os.time { year = year, month = month, day = day + (days or 1), hour = 0 })
end

--- How many hours a date has: 24, or 23 or 25 when the clocks change.
function zone.hours(date)
  return (zone.midnight(zone.next_date(date)) - zone.midnight(date)) // HOUR
end

--- The hours from one instant to another, by date: { { date = "2010-03-14", hours = 1.0 }, ... }.
function zone.by_date(from, to)
  local list = {}
  while from < to do
    local date = zone.date(from)
    local ends = math.min(to, zone.midnight(zone.next_date(date)))
    list[#list + 1] = { date = date, hours = (ends - from) / HOUR }
    from = ends
  end
  return list
end

return zone
