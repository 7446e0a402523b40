-- What *_test.lua files use: describe and it, expect, run, host. Runs before a test file in its session; the file
-- shares its globals. `show` is the function of show.lua.

local call = ...

-- The nearest place outside of this file, like "a_test.lua:12".
local function place()
  for level = 3, 60 do
    local text = select(2, pcall(error, "", level))
    if text ~= "" and not text:find("^%[session%]") then return (text:gsub(": $", "")) end
  end
  return ""
end

-- A host's refusal is raised at the line of the test that asked.
local function ask(name, argument)
  local answer = table.pack(pcall(call, name, argument))
  if not answer[1] then error(place() .. ": " .. answer[2], 0) end
  return answer[2]
end

local function expect_type(value, wanted, what)
  if type(value) == wanted then return end
  error(("%s: %s must be a %s, not %s"):format(place(), what, wanted, type(value)), 0)
end

-- What an object has not, and what it has: names in `known`, and the fields of `methods`.
local function no_such(what, name, known, methods)
  for other in pairs(methods) do known[#known + 1] = other end
  error(("%s: %s '%s'; there are %s"):format(place(), what, tostring(name), table.concat(known, ", ")), 0)
end

-- Fields of an options table, so that a misspelt one is no silent default.
local function check_options(options, known, what)
  if options == nil then return {} end
  expect_type(options, "table", "the options of " .. what)
  for name in pairs(options) do
    if not known[name] then no_such(what .. " has no option", name, {}, known) end
  end
  return options
end

-- Groups and tests ------------------------------------------------------------------------------------

local tests = {}
local group = { before = {}, after = {} }
local running, test_host
-- Calls of expect in the running test. Where nothing was expected of the value, `is_used` is missing.
local begun

local function names(of, last)
  local list = { last }
  while of.up do
    table.insert(list, 1, of.name)
    of = of.up
  end
  return list
end

local function register(name, body, is_pending)
  expect_type(name, "string", "the name of a test")
  if running then error("a test inside of a test: put it into describe instead", 3) end
  tests[#tests + 1] = { body = body, group = group }
  call("test", { names = names(group, name), place = place(), pending = is_pending })
end

function describe(name, body)
  expect_type(name, "string", "the name of a group")
  expect_type(body, "function", "the body of a group")
  if running then error("describe inside of a test", 2) end
  group = { name = name, up = group, before = {}, after = {} }
  body()
  group = group.up
end

function it(name, body)
  expect_type(body, "function", "the body of a test")
  register(name, body, false)
end

function pending(name) register(name, nil, true) end

function before_each(body)
  expect_type(body, "function", "the argument of before_each")
  table.insert(group.before, body)
end

function after_each(body)
  expect_type(body, "function", "the argument of after_each")
  table.insert(group.after, body)
end

local function run_in(groups, index, body)
  local here = groups[index]
  if not here then
    body()
    return
  end
  local finally <close> = setmetatable({}, {
    __close = function()
      for _, after in ipairs(here.after) do after() end
    end,
  })
  for _, before in ipairs(here.before) do before() end
  run_in(groups, index + 1, body)
end

local function run_test(test)
  local groups, of = {}, test.group
  while of do
    table.insert(groups, 1, of)
    of = of.up
  end
  running, test_host, begun = test, nil, {}
  run_in(groups, 1, test.body)
  running = nil
  for _, root in ipairs(begun) do
    if not root.is_used then
      error(root.place .. ": expect(...) alone looks at nothing: say what is expected, as expect(a):equals(b)", 0)
    end
  end
end

-- Comparing --------------------------------------------------------------------------------------------

local function step(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return "." .. key end
  return "[" .. show(key) .. "]"
end

-- Path to the first place where two values differ, and what is there in both; nothing when they are equal.
-- With `partly`, fields that `expected` lacks do not count.
local function difference(expected, got, partly, path, depth)
  path, depth = path or "", depth or 0
  if depth > 200 then error("a value that holds itself cannot be compared", 0) end
  if rawequal(expected, got) then return nil end
  if type(expected) ~= "table" or type(got) ~= "table" then
    if expected == got then return nil end
    return path, expected, got
  end
  for key, item in pairs(expected) do
    local where, e, g = difference(item, got[key], partly, path .. step(key), depth + 1)
    if where then return where, e, g end
  end
  if partly then return nil end
  for key, item in pairs(got) do
    if expected[key] == nil then return path .. step(key), nil, item end
  end
  return nil
end

local function is_list(value) return type(value) == "table" and (value[1] ~= nil or next(value) == nil) end

local function holds_part(value, part)
  if type(value) == "string" then return type(part) == "string" and value:find(part, 1, true) ~= nil end
  if type(value) ~= "table" then return false end
  if is_list(value) and not is_list(part) then
    for _, item in ipairs(value) do
      if difference(part, item, true) == nil then return true end
    end
    return false
  end
  if is_list(value) and #part > 0 then
    for _, item in ipairs(part) do
      if not holds_part(value, item) then return false end
    end
    return true
  end
  return difference(part, value, true) == nil
end

-- Where two texts part, for those too long to see it at once.
local function note_on_texts(expected, got)
  if type(expected) ~= "string" or type(got) ~= "string" or #expected + #got < 60 then return nil end
  local i = 1
  while i <= #expected and expected:byte(i) == got:byte(i) do i = i + 1 end
  local function tail(text) return i > #text and "its end" or show(text:sub(i, i + 30)) end
  return ("equal up to byte %d, then %s expected and %s got"):format(i - 1, tail(expected), tail(got))
end

-- Expectations -----------------------------------------------------------------------------------------

local Expectation = {}
local expectation

local failed = setmetatable({}, { __tostring = function() return "an expectation does not hold" end })

-- Goes on when `holds` is what is wanted, else ends the test with `report`.
local function judge(self, holds, report)
  if holds ~= self.negated then return self.negated and expectation(self.value, false, self.root) or self end
  report.place = place()
  if self.negated then
    report.what, report.expected = "never " .. report.what, "anything but " .. report.expected
    report.path, report.whole_expected = nil, nil
    report.got = show(self.value)
  end
  call("failure", report)
  error(failed, 0)
end

local function plainly(self, what, holds, expected)
  return judge(self, holds, { what = what, expected = expected, got = show(self.value) })
end

function Expectation:equals(expected)
  local path, e, g = difference(expected, self.value)
  if self.negated then e, g = expected, self.value end
  return judge(self, path == nil, {
    what = "equals", path = path, expected = show(e), got = show(g), note = note_on_texts(e, g),
    whole_expected = path ~= "" and show(expected) or nil, whole_got = path ~= "" and show(self.value) or nil,
  })
end

function Expectation:is(expected) return plainly(self, "is", rawequal(self.value, expected), show(expected)) end
function Expectation:is_nil() return plainly(self, "is_nil", self.value == nil, "nil") end
function Expectation:is_true() return plainly(self, "is_true", self.value == true, "true") end
function Expectation:is_false() return plainly(self, "is_false", self.value == false, "false") end

function Expectation:is_near(expected, tolerance)
  expect_type(expected, "number", "the number of is_near")
  tolerance = tolerance or 1e-9
  local is_near = type(self.value) == "number" and math.abs(self.value - expected) <= tolerance
  return plainly(self, "is_near", is_near, ("%s, give or take %s"):format(expected, tolerance))
end

function Expectation:is_above(number)
  expect_type(number, "number", "the number of is_above")
  return plainly(self, "is_above", type(self.value) == "number" and self.value > number, "more than " .. number)
end

function Expectation:is_below(number)
  expect_type(number, "number", "the number of is_below")
  return plainly(self, "is_below", type(self.value) == "number" and self.value < number, "less than " .. number)
end

function Expectation:contains(part)
  local value = self.value
  if type(value) == "table" and type(part) == "table" and not is_list(value) and not self.negated then
    local path, e, g = difference(part, value, true)
    return judge(self, path == nil, {
      what = "contains", path = path, expected = show(e), got = show(g),
      whole_expected = show(part), whole_got = show(value),
    })
  end
  return plainly(self, "contains", holds_part(self.value, part), "something with " .. show(part))
end

function Expectation:matches(pattern)
  expect_type(pattern, "string", "the pattern of matches")
  local is_pattern, found = pcall(string.find, type(self.value) == "string" and self.value or "", pattern)
  if not is_pattern then error(("%s: matches: %s is no pattern: %s"):format(place(), show(pattern), found), 0) end
  local matches = type(self.value) == "string" and found ~= nil
  return plainly(self, "matches", matches, "a text that matches " .. show(pattern))
end

function Expectation:has_length(length)
  expect_type(length, "number", "the length of has_length")
  local has = type(self.value) == "string" or type(self.value) == "table"
  local got = has and #self.value
  return judge(self, got == length, {
    what = "has_length", expected = "length " .. length,
    got = got and ("length %d: %s"):format(got, show(self.value)) or show(self.value),
  })
end

local function is_result(value) return type(value) == "table" and value.outcome ~= nil end

-- nil when a function, a result or a list of results is good; else what went wrong.
local function problem(value, what)
  if type(value) == "function" then
    local answer = table.pack(pcall(value))
    return not answer[1] and tostring(answer[2]) or nil
  end
  if is_result(value) then
    return value.outcome ~= "committed" and (value.error or value.outcome) or nil
  end
  if not is_list(value) then
    error(("%s: %s needs a function or a result of run or host, not %s"):format(place(), what, type(value)), 0)
  end
  for _, item in ipairs(value) do
    local found = problem(item, what)
    if found then return found end
  end
  return nil
end

function Expectation:succeeds()
  local found = problem(self.value, "succeeds")
  return judge(self, found == nil, { what = "succeeds", expected = "no error", got = found or "no error" })
end

function Expectation:fails_with(text)
  expect_type(text, "string", "the text of fails_with")
  local found = problem(self.value, "fails_with")
  local has = found ~= nil and found:find(text, 1, true) ~= nil
  return judge(self, has, {
    what = "fails_with", expected = "an error with " .. show(text), got = found or "no error",
  })
end

local matchers = {
  __index = function(self, name)
    if name == "value" then return nil end
    if name == "never" then return expectation(self.value, not self.negated, self.root) end
    return Expectation[name] or no_such("expect(...) has no", name, { "never" }, Expectation)
  end,
}

-- Those that take a value, and nil for one.
local takes_any = { equals = true, is = true, contains = true }

for name, method in pairs(Expectation) do
  Expectation[name] = function(self, ...)
    if type(self) ~= "table" or getmetatable(self) ~= matchers then
      error(("%s: call it with a colon: expect(...):%s(...)"):format(place(), name), 0)
    end
    if takes_any[name] and select("#", ...) == 0 then error(("%s: %s needs a value"):format(place(), name), 0) end
    self.root.is_used = true
    return method(self, ...)
  end
end

-- `root` stands for the call of expect that it comes from.
function expectation(value, negated, root)
  return setmetatable({ value = value, negated = negated, root = root }, matchers)
end

function expect(...)
  if select("#", ...) == 0 then error("expect needs a value", 2) end
  local root = { place = place() }
  -- One that was used needs no place in the list any more.
  if begun then begun[begun[#begun] and begun[#begun].is_used and #begun or #begun + 1] = root end
  return expectation((...), false, root)
end

-- Running ----------------------------------------------------------------------------------------------

local run_options = { stores = true, at = true, seed = true, name = true }
local host_options = { stores = true, at = true, seed = true }

function run(trigger, event, options)
  expect_type(trigger, "string", "the trigger of run")
  options = check_options(options, run_options, "run")
  if event == nil then event = {} end
  return ask("run", { trigger = trigger, event = event, options = options })
end

local Host = {}
local host_methods = {
  __index = function(_, name) return Host[name] or no_such("a host has no", name, {}, Host) end,
}

local function new_host(options) return setmetatable({ id = ask("host", options) }, host_methods) end

-- `host` itself stands for a host that each test has by itself.
local function id_of(self, method)
  if type(self) ~= "table" or getmetatable(self) == nil then
    error(("%s: call it with a colon: host:%s(...)"):format(place(), method), 0)
  end
  if self ~= host then return self.id end
  test_host = test_host or new_host {}
  return test_host.id
end

function Host:send(name, payload, kind)
  local id = id_of(self, "send")
  expect_type(name, "string", "the name of the event")
  if payload == nil then payload = {} end
  return ask("send", { host = id, name = name, payload = payload, kind = kind })
end

function Host:advance(span) return ask("advance", { host = id_of(self, "advance"), span = span }) end
function Host:settle(most) return ask("settle", { host = id_of(self, "settle"), span = most }) end
function Host:waiting() return ask("waiting", { host = id_of(self, "waiting") }) end
function Host:store(name) return ask("store", { host = id_of(self, "store"), name = name }) end
function Host:now() return ask("now", { host = id_of(self, "now") }) end
function Host:results() return ask("results", { host = id_of(self, "results") }) end

host = setmetatable({}, {
  __index = host_methods.__index,
  __call = function(_, options) return new_host(check_options(options, host_options, "host")) end,
})

return function(index, chunk)
  if chunk then chunk() else run_test(tests[index]) end
end
