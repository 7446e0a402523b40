local zone = require "lib.zone"

-- As people write instants: in UTC.
local function utc(at) return os.date("%Y-%m-%dT%H:%M", at) end

describe("zone", function()
  it("knows summer and winter", function()
    expect(utc(zone.instant("2010-01-01T00:00:00"))):equals("2010-01-01T08:00")
    expect(utc(zone.instant("2010-07-01T00:00:00"))):equals("2010-07-01T07:00")
  end)

  it("takes a time that no clock shows as one that was not put forward", function()
    expect(utc(zone.instant("2010-03-14T01:00:00"))):equals("2010-03-14T09:00")
    expect(utc(zone.instant("2010-03-14T02:00:00"))):equals("2010-03-14T10:00")
    expect(utc(zone.instant("2010-03-14T03:00:00"))):equals("2010-03-14T10:00")
    expect(utc(zone.instant("2010-03-14T04:00:00"))):equals("2010-03-14T11:00")
  end)

  it("tells both passes of a repeated hour apart by what was before", function()
    local first = zone.instant("2010-11-07T01:00:00")
    expect(utc(first)):equals("2010-11-07T08:00")
    expect(utc(zone.instant("2010-11-07T01:00:00", first))):equals("2010-11-07T09:00")
    expect(utc(zone.instant("2010-11-07T02:00:00", first))):equals("2010-11-07T10:00")
    expect(zone.wall(first)):equals("2010-11-07T01:00:00")
    expect(zone.wall(first + 3600)):equals("2010-11-07T01:00:00")
    -- At any other time, what was before makes no difference.
    local summer = zone.instant("2010-05-01T10:00:00")
    expect(zone.instant("2010-05-01T10:00:00", summer)):equals(summer)
  end)

  it("counts the hours of a day", function()
    expect(zone.hours("2010-03-13")):equals(24)
    expect(zone.hours("2010-03-14")):equals(23)
    expect(zone.hours("2010-11-07")):equals(25)
    -- The rule holds for other years.
    expect(zone.hours("2026-03-08")):equals(23)
    expect(zone.hours("2026-11-01")):equals(25)
  end)

  it("splits a span at midnight", function()
    local from, to = zone.instant("2010-03-13T22:30:00"), zone.instant("2010-03-15T01:00:00")
    expect(zone.by_date(from, to)):equals {
      { date = "2010-03-13", hours = 1.5 },
      { date = "2010-03-14", hours = 23.0 },
      { date = "2010-03-15", hours = 1.0 },
    }
    expect(zone.next_date("2010-12-31")):equals("2011-01-01")
  end)

  it("refuses what is no time", function()
    expect(function() zone.instant("noon") end):fails_with("'noon' is no time like")
  end)
end)
