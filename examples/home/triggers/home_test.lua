local zone = require "lib.zone"

local function reading(time, degrees) return { sensor = "outside", time = time, degrees = degrees } end

-- A reading for every hour that passes from one wall time to another, told by wall time.
local function send_hours(h, from, to, degrees)
  local at, last = zone.instant(from), zone.instant(to)
  while at <= last do
    local time = zone.wall(at)
    h:send("home/temperature", reading(time, degrees(time)), "data")
    at = at + 3600
  end
end

describe("heating", function()
  local function measured(degrees)
    return { sensor = "outside", now = { at = 1263045600, time = "2010-01-09T06:00:00", degrees = degrees } }
  end
  local function state(is_on) return { heating = { state = { is_on = is_on, since = 0 } } } end

  it("goes on below 50 and off above 54", function()
    expect(run("heating", measured(49.9), { stores = state(false) }).stores.heating.state.is_on):is_true()
    expect(run("heating", measured(54.1), { stores = state(true) }).stores.heating.state.is_on):is_false()
  end)

  it("stays as it is in between", function()
    for _, is_on in ipairs { true, false } do
      local result = run("heating", measured(52), { stores = state(is_on) })
      expect(result.intents):has_length(0)
      expect(result.emitted):contains { name = "home.heated" }
    end
  end)

  it("counts the hours it was on, by date", function()
    local event = measured(40)
    event.before = { at = event.now.at - 8 * 3600, time = "2010-01-08T22:00:00", degrees = 40 }
    local result = run("heating", event, { stores = state(true) })
    expect(result.intents):contains { kind = "add", key = "hours/2010-01-08", value = 2.0 }
    expect(result.intents):contains { kind = "add", key = "hours/2010-01-09", value = 6.0 }
  end)
end)

describe("alerts", function()
  it("are raised once, and again only after they were cleared", function()
    for hour, degrees in ipairs { 74, 76, 74, 76, 71, 76 } do
      host:send("home/temperature", reading(("2010-08-01T%02d:00:00"):format(hour), degrees), "data")
    end
    local alerts = host:store("alerts")
    expect(alerts["raised/heat"]):contains { degrees = 76 }
    expect(alerts["history/heat"]):equals {
      { from = "2010-08-01T02:00:00", degrees = 76 },
      { from = "2010-08-01T06:00:00", degrees = 76 },
    }
  end)
end)

describe("reading", function()
  it("ignores what was told before", function()
    host:send("home/temperature", reading("2010-05-01T10:00:00", 60), "data")
    local results = host:send("home/temperature", reading("2010-05-01T10:00:00", 61), "data")
    expect(results):has_length(1)
    expect(results[1].logs):contains { level = "warning", message = "reading ignored" }
    expect(host:store("readings").outside.degrees):equals(60)
  end)

  it("fails with a time that is none", function()
    expect(run("reading", reading("noon", 60))):fails_with("'noon' is no time")
  end)
end)

describe("the daily summary", function()
  -- 40 degrees before noon (heating on), 60 after it.
  local function degrees(time) return tonumber(time:sub(12, 13)) < 12 and 40 or 60 end

  local function summary(date)
    local h = host {}
    send_hours(h, date .. "T00:00:00", zone.next_date(date) .. "T00:00:00", degrees)
    return h:store("summaries")[date]
  end

  it("of a usual day", function()
    expect(summary("2010-01-09")):equals {
      date = "2010-01-09", hours = 24.0, is_whole = true, readings = 24, mean = 50.0, min = 40, max = 60,
      heating_hours = 12.0, heating_switches = 2,
    }
  end)

  it("has 23 hours when the clocks go forward", function()
    local day = summary("2010-03-14")
    expect(day):contains { hours = 23.0, is_whole = true, readings = 23, heating_hours = 11.0 }
    expect(day.mean):is_near((11 * 40 + 12 * 60) / 23)
  end)

  it("has 25 hours when they go back", function()
    local day = summary("2010-11-07")
    expect(day):contains { hours = 25.0, is_whole = true, readings = 25, heating_hours = 13.0 }
    expect(day.mean):is_near((13 * 40 + 12 * 60) / 25)
  end)

  it("does not call a day whole that it saw only part of", function()
    local h = host {}
    send_hours(h, "2010-01-09T20:00:00", "2010-01-10T00:00:00", degrees)
    expect(h:store("summaries")["2010-01-09"]):contains { hours = 4.0, is_whole = false }
  end)
end)

describe("the report", function()
  local function summaries(...)
    local content = {}
    for _, date in ipairs { ... } do
      content[date] = { mean = 45.0, heating_hours = 20.0, hours = zone.hours(date) + 0.0 }
    end
    return { summaries = content }
  end

  it("comes five minutes after midnight, also across the clock change", function()
    local h = host { at = "2010-03-13T20:00:00-08:00", stores = summaries("2010-03-13", "2010-03-14") }
    local results = h:advance("48h")
    expect(results):has_length(2)
    expect(results[1].logs[1].message):equals("2010-03-13: 45.0 °F, heating on for 20 of 24 hours")
    expect(results[2].logs[1].message):equals("2010-03-14: 45.0 °F, heating on for 20 of 23 hours")
    -- 23 hours later: on the clock it is the same time.
    expect(h:store("reports").newest.for_time):equals("2010-03-15T07:05:00Z")
    expect(h:results()[1].intents[1].value.for_time):equals("2010-03-14T08:05:00Z")
  end)

  it("says that there is none", function()
    local result = run("report", {}, { at = "2010-06-02T12:00:00Z" })
    expect(result.logs):contains { message = "no summary of 2010-06-01" }
    expect(result.intents):has_length(0)
  end)
end)
