local ini      = require "lib.ini"
local settings = require "lib.settings"
local template = require "lib.template"

local LIMITS <const>, TEMPLATE <const> = "[thermostat]\nlowest = 62\nhighest = 71\n", "target={{target}} on {{date}}\n"

local function conf(more)
  local files = { ["limits.ini"] = LIMITS, ["templates/thermostat.ini"] = "[x]\n" .. TEMPLATE }
  for path, text in pairs(more or {}) do files[path] = text end
  return files
end

describe("ini files", function()
  it("have sections and values", function()
    expect(ini.parse("; a\n[one]\r\nx = 1\n\n[two]\n y=a b \n")):equals { one = { x = "1" }, two = { y = "a b" } }
  end)
  it("name the line of a mistake", function()
    local values, mistake = ini.parse("[one]\nwhat\n")
    expect(values):is_nil()
    expect(mistake):equals("line 2: expected [section] or key = value, got 'what'")
  end)
end)

describe("templates", function()
  it("take values", function() expect(template.render("{{a}}-{{ b }}", { a = 1, b = 2 })):equals("1-2") end)
  it("name what is not there", function()
    local _, mistake = template.render("{{c}}", { a = 1, b = 2 })
    expect(mistake):equals("there is no {{c}}; there are a, b")
  end)
end)

describe("the target", function()
  it("is higher on cold days, within limits", function()
    local limits = settings.limits(LIMITS)
    expect(settings.target(45, limits)):equals(69.0)
    expect(settings.target(20, limits)):equals(71)
    expect(settings.target(95, limits)):equals(62)
  end)
end)

describe("a day that is over", function()
  it("comes with the first reading of the next", function()
    host:send("weather/temperature", { station = "seattle", time = "2010-01-01T22:00:00", degrees = 40 }, "data")
    host:send("weather/temperature", { station = "seattle", time = "2010-01-01T23:00:00", degrees = 50 }, "data")
    expect(host:store("days").newest):is_nil()
    local result = run("days", { station = "seattle", time = "2010-01-02T00:00:00", degrees = 30 }, {
      stores = { days = host:store("days") },
    })
    expect(result.emitted):contains { name = "day.over", payload = { date = "2010-01-01", mean = 45.0 } }
  end)

  local function over(date, files)
    return run("settings", { station = "seattle", date = date, mean = 45 }, { name = "day.over", stores = { conf = conf(files) } })
  end

  it("changes settings, and begins the month's file", function()
    local files = over("2010-01-01").stores.conf
    expect(files["thermostat.ini"]):equals("[x]\ntarget=69.0 on 2010-01-01\n")
    expect(files["months/2010-01.csv"]):equals("date,mean,target\n2010-01-01,45.0,69.0\n")
  end)

  it("is a line more of the month's file", function()
    local result = over("2010-01-02", { ["months/2010-01.csv"] = "date,mean,target\n" })
    expect(result.intents):contains { kind = "append_text", key = "months/2010-01.csv", value = "2010-01-02,45.0,69.0\n" }
  end)

  it("moves files of earlier months to the archive", function()
    local files = over("2010-02-01", { ["months/2010-01.csv"] = "january\n" }).stores.conf
    expect(files["archive/2010-01.csv"]):equals("january\n")
    expect(files["months/2010-01.csv"]):is_nil()
    expect(files["months/2010-02.csv"]):equals("date,mean,target\n2010-02-01,45.0,69.0\n")
  end)
end)

describe("an edit", function()
  local function edit(path, text, more)
    local stores = { conf = conf(more), good = conf(more) }
    stores.conf[path] = text
    local event = { keys = { "conf/" .. path }, seq = 1, trigger = "file-edit" }
    return run("guard", event, { name = "commit", stores = stores })
  end

  it("that is good is taken up", function()
    local result = edit("limits.ini", "[thermostat]\nlowest = 60\nhighest = 65\n")
    expect(result.stores.good["limits.ini"]):matches("highest = 65")
    expect(result.emitted):contains { name = "settings.changed" }
  end)

  it("that is not is put back, and kept beside", function()
    local result = edit("limits.ini", "[thermostat]\nlowest = 60\nhighest = 650\n")
    expect(result.stores.conf["limits.ini"]):equals(LIMITS)
    expect(result.stores.conf["refused/limits.ini"]):matches("^; %[thermostat%] highest: expected 40 to 90 degrees, got 650\n")
    expect(result.logs):contains { level = "warning", message = "limits.ini is put back" }
    expect(result.emitted):has_length(0)
  end)

  it("of a template that names nothing is put back", function()
    expect(edit("templates/thermostat.ini", "{{targt}}").logs):contains {
      fields = { fault = "there is no {{targt}}; there are date, mean, target" },
    }
  end)

  it("that deletes a file brings it back", function()
    expect(edit("limits.ini", nil).stores.conf["limits.ini"]):equals(LIMITS)
  end)

  it("of what the host writes is put back", function()
    local result = edit("thermostat.ini", "[x]\ntarget = 90\n", { ["thermostat.ini"] = "[x]\ntarget = 69\n" })
    expect(result.stores.conf["thermostat.ini"]):equals("[x]\ntarget = 69\n")
  end)

  it("is what a trigger of this host does not make", function()
    local result = run("guard", { keys = { "conf/limits.ini" }, seq = 1, trigger = "settings" }, {
      name = "commit", stores = { conf = conf { ["limits.ini"] = "wrong" }, good = conf() },
    })
    expect(result.intents):has_length(0)
  end)
end)

describe("the index", function()
  it("lists the files every quarter of an hour", function()
    local h = host { stores = { conf = conf() } }
    h:advance("15m")
    expect(h:store("conf")["INDEX.txt"]):equals(
      "2 files, 72 bytes, as of 2026-01-01T00:15:00Z\n      38  limits.ini\n      34  templates/thermostat.ini\n")
  end)
end)

it("a path outside the directory is refused", function()
  local result = run("settings", { station = "seattle", date = "../../etc", mean = 45 }, { name = "day.over", stores = { conf = conf() } })
  expect(result):fails_with("refused by store 'conf': months/../../e.csv: the path must not contain `..`")
end)
